//! Changes: a client went online or offline.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::UnixMillis;

/// A client went online or offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The client's first device connected.
    Online {
        /// The client's name.
        client: Arc<str>,
        /// When its first device connected.
        at: UnixMillis,
    },
    /// The client's last device disconnected, or the node that it was on is dead.
    Offline {
        /// The client's name.
        client: Arc<str>,
        /// When it was last seen.
        at: UnixMillis,
    },
}

impl Change {
    /// Returns the client's name.
    #[must_use]
    pub fn client(&self) -> &Arc<str> {
        match self {
            Self::Online { client, .. } | Self::Offline { client, .. } => client,
        }
    }
}

/// A subscription to changes, made by [`super::Presence::subscribe`].
///
/// # Slow reader
///
/// Up to [`super::Limits::changes_max`] changes wait for a subscriber. Beyond that the oldest are dropped, and
/// [`Update::Missed`] says how many. A subscriber that needs the exact state then reads the list again.
#[derive(Debug)]
pub struct Changes(pub(super) Option<broadcast::Receiver<Change>>);

/// An item of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// A change.
    Change(Change),
    /// This many changes were dropped because the subscriber was slow.
    Missed(u64),
}

impl Changes {
    /// Waits for the next update. Returns `None` once presence is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Update> {
        match self.0.as_mut()?.recv().await {
            Ok(change) => Some(Update::Change(change)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Update::Missed(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
