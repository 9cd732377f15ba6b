//! The trait of a store, and the types that go in and out of it.

use std::{future::Future, sync::Arc, time::Duration};

use super::Device;
use crate::{StoreError, UnixMillis};

/// A store that saves presence beyond the life of the process, and may share it with other nodes.
///
/// One task calls it: `open` first and after each failure, then `save` and `next_event` until one of them fails.
/// After `open` the task saves all clients of this node again, in batches; the last has `is_last` set.
pub trait Store: Send + 'static {
    /// Opens the store and returns what it knows already.
    ///
    /// # Errors
    ///
    /// After an outage the task tries again later. Any other error makes the first `open` fail, and is retried afterwards.
    fn open(
        &mut self,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<StoreEvent>, StoreError>> + Send;

    /// Saves the changes since the last batch. An empty batch is a heartbeat. Returns what the store learnt about
    /// other nodes.
    ///
    /// # Errors
    ///
    /// The batch is not completely saved. The task calls `open` next and saves the clients of the batch again.
    fn save(
        &mut self,
        batch: Batch,
    ) -> impl Future<Output = Result<Vec<StoreEvent>, StoreError>> + Send;

    /// Waits for an event from another node; forever, if the store has no other nodes. Returns `None` to ask for a `save`.
    ///
    /// # Errors
    ///
    /// The store has failed. The task calls `open` next.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    fn next_event(&mut self)
    -> impl Future<Output = Result<Option<StoreEvent>, StoreError>> + Send;

    /// Returns the event by which outdated knowledge about other nodes is dropped. Called after each failed `open`.
    fn expire(&mut self, now: UnixMillis) -> Option<StoreEvent>;

    /// Ends this node's part in the store. All its clients have disconnected, and that is saved.
    fn close(&mut self) -> impl Future<Output = ()> + Send;

    /// Returns how often `save` is to be called; `None` if the store saves nothing.
    fn save_timing(&self) -> Option<SaveTiming>;
}

/// How often [`Store::save`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveTiming {
    /// Time from the first unsaved change to the save, which includes the changes made meanwhile.
    pub batch_delay: Duration,
    /// The longest time between two saves, with or without changes.
    pub interval_max: Duration,
}

/// The changes on this node since the last batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When the batch was made.
    pub at: UnixMillis,
    /// The changed clients, each once.
    pub clients: Vec<ClientRecord>,
    /// Whether no unsaved change is left after this batch.
    pub is_last: bool,
    /// Whether any client is online, on this node or another.
    pub is_anybody_online: bool,
}

/// A client in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// The client's name.
    pub client: Arc<str>,
    /// The state to save.
    pub state: ClientState,
}

/// The state of a client as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// The client has devices on this node.
    Local {
        /// Since when it has been online without a gap.
        since: UnixMillis,
        /// Its devices on this node.
        devices: Vec<Device>,
    },
    /// The client has devices on other nodes only.
    Remote,
    /// The client has no devices.
    Offline {
        /// When it was last seen.
        last_seen: UnixMillis,
    },
    /// The client's last-seen time was removed because of [`Limits::clients_max`](super::Limits::clients_max).
    Forgotten,
}

/// What a store reports about other nodes and earlier processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// Last-seen times that the store has saved.
    LastSeen(Vec<(Arc<str>, UnixMillis)>),
    /// The whole state of another node.
    NodeSnapshot {
        /// The node's name.
        node: Arc<str>,
        /// When the state was read.
        at: UnixMillis,
        /// All its clients, with their devices on it.
        clients: Vec<(Arc<str>, Vec<Device>)>,
    },
    /// Changes on another node.
    NodeChanged {
        /// The node's name.
        node: Arc<str>,
        /// When they happened.
        at: UnixMillis,
        /// The changed clients with their devices on it. Without devices, the client has left the node.
        clients: Vec<(Arc<str>, Vec<Device>)>,
    },
    /// Another node has left, or is dead.
    NodeGone {
        /// The node's name.
        node: Arc<str>,
        /// When the node was last alive.
        at: UnixMillis,
    },
    /// The store has no connection to the other nodes, so they count as gone.
    AllNodesGone {
        /// When any of them was last alive.
        at: UnixMillis,
    },
}
