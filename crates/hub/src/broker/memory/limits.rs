//! The limits of the memory broker.

use std::time::Duration;

/// What a [`Memory`](super::Memory) broker may hold. What has expired counts until it is freed: by the sweep, or at once
/// when room is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// Channels that are subscribed, have a history that has had publications, or an idempotency key; 1,000,000 by
    /// default. One more is refused with [`TooManyChannels`](crate::broker::BrokerError::TooManyChannels).
    pub channels_max: usize,
    /// Bytes. The publications in the histories of all channels; 256 MiB by default. When they are used up, a channel that
    /// gets a publication drops its oldest ones first; other channels keep theirs. If that isn't enough the publication
    /// is delivered and gets its offset, but is not kept: who misses it can't recover it, and is told so.
    pub history_bytes_max: usize,
    /// Bytes. The idempotency keys of all channels; 64 MiB by default. When they are used up, a channel that gets a key
    /// forgets those of its own that would expire first; other channels keep theirs. If that isn't enough the publication
    /// is refused with [`TooManyIdempotencyKeys`](crate::broker::BrokerError::TooManyIdempotencyKeys).
    pub idempotency_bytes_max: usize,
    /// Idempotency keys of one channel; 100,000 by default. One more makes the channel forget the one that would expire
    /// first.
    pub idempotency_keys_max: usize,
    /// Publications in the answer to one [`HistoryQuery`](crate::broker::HistoryQuery); 100,000 by default. The caller
    /// asks for the others with `since`.
    pub answer_publications_max: usize,
    /// How long offset and epoch are remembered if no caller has said how long; 30 days by default.
    pub history_meta_ttl: Duration,
}

/// How much a [`Memory`](super::Memory) broker holds, and how much it gave up because of its [`MemoryLimits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// Channels that are subscribed, have a history that has had publications, or an idempotency key.
    pub channels: usize,
    /// Bytes, about. The channels without their publications and keys.
    pub channel_bytes: usize,
    /// Bytes, about. The publications in the histories of all channels.
    pub history_bytes: usize,
    /// Publications that were dropped before their time, or not kept, because of
    /// [`history_bytes_max`](MemoryLimits::history_bytes_max).
    pub history_dropped: u64,
    /// Bytes, about. The idempotency keys of all channels.
    pub idempotency_bytes: usize,
    /// Idempotency keys that were forgotten before their time because of
    /// [`idempotency_bytes_max`](MemoryLimits::idempotency_bytes_max) or
    /// [`idempotency_keys_max`](MemoryLimits::idempotency_keys_max). A publication that repeats one is published again.
    pub idempotency_dropped: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            channels_max: 1_000_000,
            history_bytes_max: 256 << 20,
            idempotency_bytes_max: 64 << 20,
            idempotency_keys_max: 100_000,
            answer_publications_max: 100_000,
            history_meta_ttl: Duration::from_hours(30 * 24),
        }
    }
}
