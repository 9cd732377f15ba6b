//! Writing, syncing, and going on in another segment.

use std::{io, mem, sync::Arc};

use super::{
    Log, LogSync,
    change::apply,
    disk::DiskFile,
    log::Segment,
    record::Location,
    rescue::Rescue,
    segment::{SEGMENT_HEADER_BYTES, SegmentHeader, create_segment},
};
use crate::broker::BrokerError;

impl Log {
    /// Writes the buffer, syncs it in mode `each`, and changes the index. After an error nothing of it has happened: no
    /// reader sees it, and offsets are given again.
    pub(super) fn flush(&mut self) -> Result<(), BrokerError> {
        let buffer = mem::take(&mut self.buffer);
        let changes = mem::take(&mut self.changes);
        let written = self.write(&buffer);
        match &written {
            Ok(()) => {
                apply(&mut self.index.lock(), changes, self.era);
                if !buffer.is_empty() {
                    self.health.recover();
                }
            }
            Err(error) => {
                // `Name` records may not have been written either.
                self.era += 1;
                self.refused_bytes = buffer.len();
                self.health.fail(error);
            }
        }
        self.buffer = buffer;
        self.buffer.clear();
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BrokerError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let Some(current) = &mut self.current else {
            return Err(no_segment());
        };
        if let Err(error) = current.file.write_all_at(bytes, current.end) {
            _ = self.cut_off();
            return Err(refusal("write", &error));
        }
        if self.limits.sync == LogSync::Each {
            if let Err(error) = current.file.sync() {
                self.seal();
                return Err(refusal("sync", &error));
            }
            current.synced = current.end + bytes.len() as u64;
        }
        current.end += bytes.len() as u64;
        self.appended += bytes.len() as u64;
        let (id, end) = (current.id, current.end);
        if let Some(segment) = self.index.lock().segment_mut(id) {
            segment.bytes = end;
        }
        Ok(())
    }

    /// Cuts off what a failed write has left: whole records in it would be taken for accepted ones.
    fn cut_off(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let cut = current
            .file
            .truncate(current.end)
            .and_then(|()| match self.limits.sync {
                // Nor after a power cut.
                LogSync::Each => current.file.sync(),
                LogSync::None | LogSync::Interval => Ok(()),
            });
        if let Err(error) = &cut {
            tracing::error!(%error, segment = current.id, "a failed write can't be cut off");
            self.seal();
        }
        cut
    }

    /// Tries, after a failure, whether what was refused could be written now. Nothing in the log changes by it: zeros are no
    /// record, and they are cut off again.
    pub(crate) fn retry(&mut self, now: u64) {
        let tried = self.ready(now).and_then(|()| {
            self.make_room(now)?;
            let current = self.current.as_ref().ok_or_else(no_segment)?;
            let zeros = vec![0; self.refused_bytes];
            let written = current.file.write_all_at(&zeros, current.end);
            let tried = written.and(self.cut_off());
            tried.map_err(|error| refusal("write", &error))
        });
        // A failed attempt is not counted: nobody was refused.
        if tried.is_ok() {
            self.health.recover();
        }
    }

    /// Makes what was accepted last.
    ///
    /// After an error the segment is never written or synced again: the kernel may have dropped what it could not write, and
    /// says so only once. What was accepted since the last success is written anew into the next segment.
    pub(crate) fn sync(&mut self) -> Result<(), BrokerError> {
        let Some(current) = &mut self.current else {
            return Err(no_segment());
        };
        if current.synced < current.end {
            if let Err(error) = current.file.sync() {
                tracing::error!(%error, segment = current.id, "the log can't be synced");
                self.seal();
                let error = refusal("sync", &error);
                self.health.fail(&error);
                return Err(error);
            }
            current.synced = current.end;
        }
        Ok(())
    }

    /// Sees to it that a segment can be written: replaces one that is full or has failed.
    pub(super) fn ready(&mut self, now: u64) -> Result<(), BrokerError> {
        let segment_bytes = self.limits.segment_bytes();
        if (self.current.as_ref()).is_some_and(|current| current.end >= segment_bytes) {
            self.roll(now)?;
        }
        if self.sealed.is_some() {
            let replaced = self.replace_sealed(now);
            replaced.map_err(|error| refusal("begin a segment of", &error))?;
        }
        Ok(())
    }

    /// Goes on in a new segment.
    pub(super) fn roll(&mut self, now: u64) -> Result<(), BrokerError> {
        self.sync()?;
        self.seal();
        let replaced = self.replace_sealed(now);
        replaced.map_err(|error| refusal("begin a segment of", &error))
    }

    /// Closes the current segment for good. Also when its successor can't be created at once: a part of the successor may be
    /// on the disk, and it says where this segment ends.
    pub(super) fn seal(&mut self) {
        if let Some(current) = self.current.take() {
            self.sealed = Some(current);
        }
    }

    /// Creates the successor of the sealed segment, with what was accepted and may not be on the disk.
    pub(super) fn replace_sealed(&mut self, now: u64) -> io::Result<()> {
        let Some(sealed) = &self.sealed else {
            return Ok(());
        };
        let id = sealed.id + 1;
        let header = SegmentHeader {
            id,
            previous_end: sealed.synced as u32,
            boot: self.boot,
            sync: self.limits.sync,
            time: now,
        };
        let mut rescue = Rescue::new(id, now);
        if sealed.synced < sealed.end {
            rescue.write_again(&self.index.lock(), sealed)?;
        }
        let file = create_segment(&*self.disk, &header, &rescue.records)?;
        let end = (SEGMENT_HEADER_BYTES + rescue.records.len()) as u64;
        let (old, synced) = (sealed.id, sealed.synced);
        self.sealed = None;
        {
            let mut index = self.index.lock();
            let mut keys_until = 0;
            if let Some(segment) = index.segment_mut(old) {
                segment.bytes = synced;
                keys_until = segment.keys_until;
            }
            index.push_segment(file.clone(), end);
            if let Some(segment) = index.segment_mut(id) {
                // Its keys may have been written again.
                segment.keys_until = keys_until;
            }
            self.era += 1;
            apply(&mut index, rescue.changes, self.era);
        }
        self.install(id, file, end);
        Ok(())
    }

    /// Makes a new, synced segment the current one.
    pub(super) fn install(&mut self, id: u32, file: Arc<dyn DiskFile>, end: u64) {
        self.current = Some(Segment {
            id,
            file,
            end,
            synced: end,
        });
        self.synced_mark = Location {
            segment: id,
            position: end as u32,
        };
        self.count_closed();
        self.upkeep_at = 0;
    }

    /// Counts the bytes of the segments before the current one.
    pub(super) fn count_closed(&mut self) {
        let current = self.current_id();
        let index = self.index.lock();
        let closed = index.segments().filter(|(id, _)| *id != current);
        self.closed_bytes = closed.map(|(_, segment)| segment.bytes).sum();
    }
}

/// Returns the answer to orders that can't be written.
pub(super) fn refusal(what: &str, error: &io::Error) -> BrokerError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BrokerError::DiskFull,
        _ => BrokerError::Unavailable {
            message: format!("cannot {what} the log: {error}"),
        },
    }
}

fn no_segment() -> BrokerError {
    BrokerError::Unavailable {
        message: "the log has no segment that can be written".to_owned(),
    }
}

/// Bytes. A larger buffer is freed after its batch.
const BUFFER_KEPT_BYTES: usize = 4 << 20;
