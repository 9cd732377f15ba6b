//! The edges: a client's first device came, its last one went.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::UnixMillis;

/// An edge of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first device came.
    Online {
        /// Who.
        client: Arc<str>,
        /// When.
        at: UnixMillis,
    },
    /// The last device went, or the node that it was on is dead.
    Offline {
        /// Who.
        client: Arc<str>,
        /// When it was last seen.
        at: UnixMillis,
    },
}

impl Change {
    /// Who.
    #[must_use]
    pub fn client(&self) -> &Arc<str> {
        match self {
            Self::Online { client, .. } | Self::Offline { client, .. } => client,
        }
    }
}

/// The changes from a moment on: what [`super::Presence::subscribe`] gives.
///
/// # Slow reader
///
/// [`super::Limits::changes_max`] changes wait for it. Beyond that the oldest are missed, and
/// [`Heard::Missed`] says how many: who needs to be exact asks for the list again then.
#[derive(Debug)]
pub struct Changes(pub(super) Option<broadcast::Receiver<Change>>);

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A change.
    Change(Change),
    /// So many changes were dropped because this subscriber was slow.
    Missed(u64),
}

impl Changes {
    /// Waits for the next one; `None` once presence is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.as_mut()?.recv().await {
            Ok(change) => Some(Heard::Change(change)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Heard::Missed(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
