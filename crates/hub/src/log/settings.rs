//! How a log is kept.

use std::time::Duration;

/// When what was published is on the disk, rather than in the kernel's memory.
///
/// In every mode a publication has been handed to the kernel before anybody sees it or hears that it was accepted: the death
/// of the process loses nothing. The modes differ in what a power cut or the death of the kernel loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogSync {
    /// When the kernel likes, and when a segment is full. A power cut loses what the kernel had not written; channels
    /// get new epochs after it.
    None,
    /// At intervals. A power cut loses what was published since; channels get new epochs after it.
    #[default]
    Interval,
    /// Before a publication is delivered and accepted. A power cut loses nothing.
    Each,
}

/// How a [`Log`](super::Log) is kept. The fields are those of [`LogSettings`](crate::broker::LogSettings).
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLimits {
    pub(crate) sync: LogSync,
    /// Bytes. All segments and checkpoints.
    pub(crate) bytes_max: u64,
    pub(crate) channels_max: usize,
    pub(crate) idempotency_bytes_max: usize,
    pub(crate) idempotency_keys_max: usize,
    pub(crate) history_meta_ttl: Duration,
    /// Bytes. A checkpoint is written when so much was appended since the last one, or twice that one's size.
    pub(crate) checkpoint_bytes: u64,
}

impl LogLimits {
    /// Returns the bytes at which a segment is full: a sixteenth of the log, so that dropping one is a small loss; not so
    /// many that reading one back takes long.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.bytes_max / 16).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
    }
}

/// Bytes. The smallest full segment.
pub(super) const SEGMENT_BYTES_MIN: u64 = 4 << 10;

/// Bytes. The largest full segment. A last batch may go beyond.
pub(super) const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Bytes. The largest record. A publication that would be larger is refused.
pub(super) const RECORD_BYTES_MAX: u32 = 16 << 20;
