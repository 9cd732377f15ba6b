//! How the broker keeps its log.

use std::time::Duration;

use crate::log::{LogLimits, LogSync};

/// How a [`LogBroker`](super::LogBroker) keeps its log, and how much it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSettings {
    /// When what was published is on the disk; [`LogSync::Interval`] by default.
    pub sync: LogSync,
    /// Time between two syncs in mode [`LogSync::Interval`]; 1 s by default.
    pub sync_interval: Duration,
    /// Bytes. The files of the log; 10 GiB by default, at least 1 MiB. The log consists of segments of a sixteenth of it,
    /// 64 MiB at most. When there is room for less than three more, the oldest is removed: what it has of histories is
    /// copied forward if it is less than half of the segment, else dropped, whatever the channels' retention is. So the
    /// publications that were written first go first. Channels keep their positions.
    pub bytes_max: u64,
    /// Channels that have a history, an epoch or an idempotency key, and as many that are subscribed; 1,000,000 by default.
    /// One more is refused with [`TooManyChannels`](crate::broker::BrokerError::TooManyChannels).
    pub channels_max: usize,
    /// Bytes. The idempotency keys of all channels, in memory; 64 MiB by default. See
    /// [`MemoryLimits`](crate::broker::MemoryLimits).
    pub idempotency_bytes_max: usize,
    /// Idempotency keys of one channel; 100,000 by default. One more makes the channel forget the one that would expire
    /// first.
    pub idempotency_keys_max: usize,
    /// Publications in the answer to one [`HistoryQuery`](crate::broker::HistoryQuery); 100,000 by default. The caller
    /// asks for the others with `since`.
    pub answer_publications_max: usize,
    /// Bytes. The records of the publications in one answer; 16 MiB by default. An answer that would be larger has fewer
    /// publications, but at least one: it is a page, and the caller asks for the next one with `since`. With
    /// [`reads_max`](Self::reads_max) it bounds what questions hold in memory.
    pub answer_bytes_max: usize,
    /// How long offset and epoch are remembered if no caller has said how long; 30 days by default.
    pub history_meta_ttl: Duration,
    /// Publications and questions that wait for the disk; 65,536 by default. One more is refused with
    /// [`TooManyWaiting`](crate::broker::BrokerError::TooManyWaiting).
    pub waiting_max: usize,
    /// Bytes. The payloads of publications that wait for the disk; 64 MiB by default. A publication that finds them used up
    /// is refused with [`TooManyWaiting`](crate::broker::BrokerError::TooManyWaiting).
    pub waiting_bytes_max: usize,
    /// Answers that are read from the disk at the same time; 16 by default. Others wait.
    pub reads_max: usize,
}

impl LogSettings {
    pub(super) fn limits(&self) -> LogLimits {
        LogLimits {
            sync: self.sync,
            bytes_max: self.bytes_max.max(BYTES_MAX_MIN),
            channels_max: self.channels_max,
            idempotency_bytes_max: self.idempotency_bytes_max,
            idempotency_keys_max: self.idempotency_keys_max,
            history_meta_ttl: self.history_meta_ttl,
            checkpoint_bytes: CHECKPOINT_BYTES,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            sync: LogSync::default(),
            sync_interval: Duration::from_secs(1),
            bytes_max: 10 << 30,
            channels_max: 1_000_000,
            idempotency_bytes_max: 64 << 20,
            idempotency_keys_max: 100_000,
            answer_publications_max: 100_000,
            answer_bytes_max: 16 << 20,
            history_meta_ttl: Duration::from_hours(30 * 24),
            waiting_max: 65_536,
            waiting_bytes_max: 64 << 20,
            reads_max: 16,
        }
    }
}

/// Bytes. The smallest log.
const BYTES_MAX_MIN: u64 = 1 << 20;

/// Bytes. Read again by a start after the death of the process, at most, beside twice the checkpoint: below a second.
const CHECKPOINT_BYTES: u64 = 64 << 20;
