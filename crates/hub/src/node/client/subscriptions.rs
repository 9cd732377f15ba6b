//! The channels that a client is subscribed to.

use std::sync::Arc;

use bytes::Bytes;

use crate::{UnixMillis, presence::DeviceGuard, shard::Generation};

/// The subscriptions of one client, of which there are few.
#[derive(Default)]
pub(crate) struct Subscriptions(
    /// Sorted by channel, each once.
    Vec<Subscription>,
);

pub(crate) struct Subscription {
    pub(crate) channel: Arc<str>,
    pub(crate) progress: Progress,
    pub(crate) origin: Origin,
    /// Only a subscription with a token or an answer of the application expires.
    pub(crate) expire_at: Option<UnixMillis>,
    pub(crate) refresh: RefreshBy,
    pub(crate) chan_info: Bytes,
    /// Keeps the client in the channel's presence on all nodes, if that is kept.
    pub(crate) presence: Option<Box<DeviceGuard>>,
}

/// Who gives a subscription a new time when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshBy {
    /// The client, with a new token.
    Client,
    /// The application, which the server asks.
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Being decided. The number tells it from another attempt for the same channel.
    Pending(u64),
    Active(Generation),
}

/// Who asked for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Client,
    /// The connection's token, or the application when the client connected. A new token must name it again.
    Token,
    /// A back end, or the hub itself.
    Server,
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn find(&self, channel: &str) -> Option<&Subscription> {
        self.place(channel).ok().map(|at| &self.0[at])
    }

    pub(crate) fn find_mut(&mut self, channel: &str) -> Option<&mut Subscription> {
        self.place(channel).ok().map(|at| &mut self.0[at])
    }

    /// Whether the client has been told that it is subscribed.
    pub(crate) fn is_active(&self, channel: &str) -> bool {
        self.find(channel)
            .is_some_and(|subscription| matches!(subscription.progress, Progress::Active(_)))
    }

    /// Adds a subscription, unless there is one.
    pub(crate) fn insert(&mut self, subscription: Subscription) -> bool {
        match self.place(&subscription.channel) {
            Ok(_) => false,
            Err(at) => {
                // Most clients have one or two, and a vector would begin with room for four.
                self.0.reserve_exact(1);
                self.0.insert(at, subscription);
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, channel: &str) -> Option<Subscription> {
        self.place(channel).ok().map(|at| self.0.remove(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        self.0.iter_mut()
    }

    pub(crate) fn drain(&mut self) -> Vec<Subscription> {
        std::mem::take(&mut self.0)
    }

    fn place(&self, channel: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|subscription| (*subscription.channel).cmp(channel))
    }
}
