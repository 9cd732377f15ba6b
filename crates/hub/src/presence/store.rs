//! What keeps presence beyond the process, and what other nodes know.

use std::{future::Future, sync::Arc, time::Duration};

use super::Device;
use crate::{StoreError, UnixMillis};

/// What keeps presence beyond the process, and tells what other nodes know.
///
/// One task calls it: `open` first and after every failure, then `save` and `news` until one of them fails.
/// After an `open` everybody who is here is saved again, in batches up to the one that is the last.
pub trait Store: Send + 'static {
    /// Gets the store ready, and tells what it knows already.
    ///
    /// # Errors
    ///
    /// An outage is tried again after a while. Anything else ends a start, and is an outage later.
    fn open(
        &mut self,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<News>, StoreError>> + Send;

    /// Keeps what has changed since the last batch, and the sign of life that an empty one is. Returns what
    /// it learnt about others.
    ///
    /// # Errors
    ///
    /// The batch is not, or not wholly, kept; `open` is next, and what was in the batch comes again.
    fn save(&mut self, batch: Batch) -> impl Future<Output = Result<Vec<News>, StoreError>> + Send;

    /// Waits for news from others; forever, if there are no others. `None` asks for a `save` soon.
    ///
    /// # Errors
    ///
    /// The store is gone; `open` is next.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    fn news(&mut self) -> impl Future<Output = Result<Option<News>, StoreError>> + Send;

    /// What is no longer known about others, now that `open` has failed again.
    fn lost(&mut self, now: UnixMillis) -> Option<News>;

    /// This node ends in an orderly way; everybody has left, and that is saved.
    fn close(&mut self) -> impl Future<Output = ()> + Send;

    /// How often it wants to be called; `None` if there is nothing to keep.
    fn pace(&self) -> Option<Pace>;
}

/// How often a store is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the first change to the save that gathers what has changed meanwhile.
    pub gather: Duration,
    /// The longest time between two saves, changes or not.
    pub beat: Duration,
}

/// What has changed on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When it was put together.
    pub at: UnixMillis,
    /// The clients that have changed, each once.
    pub clients: Vec<Saved>,
    /// Whether there is nothing more to save for now.
    pub is_last: bool,
    /// Whether anybody is here at all.
    pub is_anybody_online: bool,
}

/// A client in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Who.
    pub client: Arc<str>,
    /// As what it is to be kept.
    pub state: State,
}

/// As what a client is to be kept, seen from this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has devices on this node.
    Here {
        /// Since when it was always here.
        since: UnixMillis,
        /// Its devices on this node.
        devices: Vec<Device>,
    },
    /// It has devices on other nodes only.
    Elsewhere,
    /// It has none.
    Away {
        /// When it was last seen.
        last_seen: UnixMillis,
    },
    /// There was no room for its last-seen time.
    Forgotten,
}

/// What others know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// These were last seen then, as far as the store knows.
    Seen(Vec<(Arc<str>, UnixMillis)>),
    /// All that is on another node.
    Node {
        /// The node's name.
        node: Arc<str>,
        /// When it was so.
        at: UnixMillis,
        /// Its clients with their devices there.
        clients: Vec<(Arc<str>, Vec<Device>)>,
    },
    /// What has changed on another node.
    Changed {
        /// The node's name.
        node: Arc<str>,
        /// When.
        at: UnixMillis,
        /// Clients with their devices there; none means that the client has left that node.
        clients: Vec<(Arc<str>, Vec<Device>)>,
    },
    /// A node has left, or is dead.
    NodeGone {
        /// The node's name.
        node: Arc<str>,
        /// Its last sign of life.
        at: UnixMillis,
    },
    /// Nothing is known about any other node any more.
    Alone {
        /// Their last sign of life.
        at: UnixMillis,
    },
}
