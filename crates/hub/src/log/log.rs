//! The log itself: what it consists of, and its place among the segments.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    Disk, Health, Index, LogLimits,
    boot::BootId,
    change::Change,
    checkpoint::Checkpoint,
    cleaning::Cleaning,
    disk::DiskFile,
    record::{Location, Record},
};
use crate::broker::epochs::Epochs;

/// A log. One thread has it; others read the [`Index`].
///
/// Call [`Log::commit`] with the orders that wait, carry out the outcomes, and call [`Log::upkeep`] and, in mode
/// `interval`, [`Log::sync`] now and then; [`Log::close`] in the end. `now` is milliseconds of a clock that never goes back,
/// nor behind [`Log::newest`].
pub(crate) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) limits: LogLimits,
    pub(super) index: Arc<Mutex<Index>>,
    pub(super) health: Arc<Health>,
    /// Bytes. What could not be written last, as much as has to fit before the log is healthy again.
    pub(super) refused_bytes: usize,
    pub(super) epochs: Epochs,
    pub(super) boot: BootId,
    /// The segment that is written. `None` while `sealed` waits for its successor.
    pub(super) current: Option<Segment>,
    /// A segment that gets no more records, and has no successor yet: the disk has failed, or is full.
    pub(super) sealed: Option<Segment>,
    /// Records to be written at the end of the current segment.
    pub(super) buffer: Vec<u8>,
    /// What they change in the index.
    pub(super) changes: Vec<Change>,
    /// Counts the segments and checkpoints that were begun: a channel needs a new `Name` record after each.
    pub(super) era: u32,
    /// What the last `Synced` record says, or the current segment's header.
    pub(super) synced_mark: Location,
    /// Milliseconds. The latest time that was written or passed.
    pub(super) newest: u64,
    pub(super) checkpoint: Checkpoint,
    pub(super) cleaning: Option<Cleaning>,
    /// Bytes. The segments before the current one.
    pub(super) closed_bytes: u64,
    /// Bytes. What was appended since the last checkpoint that was found at the start, or since the start.
    pub(super) appended: u64,
    /// Milliseconds. When upkeep next looks for work.
    pub(super) upkeep_at: u64,
}

/// A segment that is or was written by this process.
pub(super) struct Segment {
    pub(super) id: u32,
    pub(super) file: Arc<dyn DiskFile>,
    /// Bytes. The end of what was accepted.
    pub(super) end: u64,
    /// Bytes. All before is on the disk. `synced <= end`
    pub(super) synced: u64,
}

impl Log {
    /// Returns the index, for readers.
    pub(crate) fn index(&self) -> &Arc<Mutex<Index>> {
        &self.index
    }

    /// Returns whether the log can be written.
    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Returns the latest time in the log, in milliseconds.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// Returns whether something was accepted that may not be on the disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        let is_unsynced = |it: &Segment| it.synced < it.end;
        self.current.as_ref().is_some_and(is_unsynced)
    }

    /// Returns the bytes of all segments and checkpoints.
    pub(crate) fn bytes(&self) -> u64 {
        let written = self.current.as_ref().or(self.sealed.as_ref());
        let written = written.map_or(0, |segment| segment.end);
        self.closed_bytes + written + self.buffer.len() as u64 + self.checkpoint.bytes()
    }

    /// Returns the id of the segment that is written, or was last.
    pub(super) fn current_id(&self) -> u32 {
        let segment = self.current.as_ref().or(self.sealed.as_ref());
        segment.map_or(0, |segment| segment.id)
    }

    /// Appends a record to the buffer. `None`: it is too large.
    pub(super) fn append(&mut self, record: &Record<'_>) -> Option<Location> {
        let current = self.current.as_ref()?;
        record.append(&mut self.buffer, current.id, current.end)
    }
}
