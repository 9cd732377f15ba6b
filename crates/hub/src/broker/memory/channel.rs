//! One channel.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use super::stream::Stream;
use crate::broker::{keys::Keys, usage::Usage};

/// A channel that is subscribed, or about which something is kept.
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    /// Different from that of every other channel.
    pub(super) id: u64,
    state: Mutex<ChannelState>,
}

/// What is kept about a channel.
#[derive(Default)]
pub(super) struct ChannelState {
    /// The channel is not in the table any more: its lock orders nothing.
    pub(super) is_removed: bool,
    pub(super) is_subscribed: bool,
    pub(super) stream: Option<Box<Stream>>,
    /// `None` rather than empty.
    pub(super) keys: Option<Box<Keys>>,
    /// The time under which the schedule has the channel: not later than `deadline`. `None` if it hasn't.
    pub(super) scheduled_at: Option<Duration>,
}

impl Channel {
    pub(super) fn new(name: Arc<str>, id: u64) -> Self {
        Self {
            name,
            id,
            state: Mutex::default(),
        }
    }

    /// Bytes. What the table holds for the channel, without publications and keys, about.
    pub(super) fn cost(&self) -> usize {
        CHANNEL_BYTES + self.name.len()
    }

    /// Locks the channel. A delivery that panicked has changed nothing here.
    pub(super) fn lock(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, ChannelState>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl ChannelState {
    /// Returns whether nothing is kept about the channel that can't be made again, so that the table needn't hold it.
    pub(super) fn is_idle(&self) -> bool {
        let has_publications = self
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.is_unpublished());
        !self.is_subscribed && !has_publications && self.keys.is_none()
    }

    /// Drops what has expired. Calls `on_forgotten` if that is the position of a history that had publications.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        history: &Usage,
        idempotency: &Usage,
        on_forgotten: impl FnOnce(),
    ) {
        if let Some(stream) = &mut self.stream {
            stream.expire(now, history);
            if stream.is_forgotten(now) {
                stream.clear(history);
                if !stream.is_unpublished() {
                    on_forgotten();
                }
                self.stream = None;
            }
        }
        if let Some(keys) = &mut self.keys {
            keys.expire(now, idempotency);
            if keys.is_empty() {
                self.keys = None;
            }
        }
    }

    /// Returns when something expires next.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let stream = self.stream.as_ref().map(|stream| stream.deadline());
        let keys = self.keys.as_ref().and_then(|keys| keys.deadline());
        stream.into_iter().chain(keys).min()
    }
}

/// Bytes. The channel, its stream and epoch, its places in a hash table that is half full and in the schedule, and the
/// name's counts.
const CHANNEL_BYTES: usize = size_of::<Channel>() + size_of::<Stream>() + 2 * 24 + 2 * 24 + 5 * 16;
