//! Looks at a log that no server has, and mends it.

use std::{fmt::Write as _, io, path::Path, sync::Arc, time::Duration};

use super::{
    BootId, Directory, Disk, LogError, LogLimits, LogReport, LogSync, checkpoint,
    disk::DiskFile,
    open::{REPAIRED, Source, find},
    record::{EpochText, KeyField, Location, Payload, Record, StreamState, decode_publication},
    repair::repair_segments,
    scan::{Scan, Scanned},
    segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_id, segment_name},
};

/// Reads all segments of the log in `directory`, and its checkpoint, and changes nothing. Returns what a start would report
/// if it had no checkpoint.
///
/// # Errors
///
/// A process has the log, or it is damaged: the file and the position.
pub fn check_log(directory: &Path) -> Result<LogReport, LogError> {
    let disk = Directory::open_existing(directory)?;
    let limits = limits();
    let damage = checkpoint::read_checkpoint(&disk, &limits)
        .map_err(LogError::io("read", checkpoint::NAME))?
        .and_then(Result::err);
    let found = find(&disk, &limits, BootId::current(), Source::Segments)?;
    let mut report = found.map(|found| found.report).unwrap_or_default();
    report.full_scan = damage.map(|reason| format!("the checkpoint is damaged: {reason}"));
    Ok(report)
}

/// Writes each record of the log in `directory` as a line: segment, position, and what it says. A part that can't be read is
/// a line, too.
///
/// # Errors
///
/// A process has the log, or the files can't be read. The inner error is that of `line`.
pub fn dump_log(
    directory: &Path,
    line: &mut dyn FnMut(&str) -> io::Result<()>,
) -> Result<io::Result<()>, LogError> {
    let disk = Directory::open_existing(directory)?;
    let names = disk.list().map_err(LogError::io("list", "the directory"))?;
    let mut segments: Vec<u32> = names.iter().filter_map(|name| segment_id(name)).collect();
    segments.sort_unstable();
    for id in segments {
        let name = segment_name(id);
        let file = disk.open(&name).map_err(LogError::io("read", &name))?;
        let shown = dump_segment(&name, id, &file, line);
        if let Err(error) = shown.map_err(LogError::io("read", &name))? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Mends the log in `directory`: what can't be read is marked, so that starts skip it, and missing segments are replaced by
/// empty ones. Returns a line for each change; none if there is nothing to mend. The next start gives all channels new
/// epochs, because publications may be gone that clients have seen.
///
/// # Errors
///
/// A process has the log, or the system refuses. A part may be mended then; repeat it.
pub fn repair_log(directory: &Path) -> Result<Vec<String>, LogError> {
    let disk = Directory::open_existing(directory)?;
    match find(&disk, &limits(), BootId::current(), Source::Segments) {
        Ok(_) => return Ok(vec![]),
        Err(LogError::Damaged { .. } | LogError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    // Before anything is changed: should it end in between, the next start still gives new epochs.
    let marked = disk.create(REPAIRED).and_then(|_| disk.sync());
    marked.map_err(LogError::io("create", REPAIRED))?;
    let changes = repair_segments(&disk)?;
    match disk.remove(checkpoint::NAME) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(LogError::io("remove", checkpoint::NAME)(error)),
    }
    disk.sync().map_err(LogError::io("sync", "the directory"))?;
    Ok(changes)
}

fn dump_segment(
    name: &str,
    id: u32,
    file: &Arc<dyn DiskFile>,
    line: &mut dyn FnMut(&str) -> io::Result<()>,
) -> io::Result<io::Result<()>> {
    let header = SegmentHeader::read(file, id)?;
    let text = header.map_or_else(
        || "it doesn't begin as a segment does".to_owned(),
        |header| {
            format!(
                "segment, synced {}, the one before ends at {}",
                match header.sync {
                    LogSync::None => "never",
                    LogSync::Interval => "at intervals",
                    LogSync::Each => "each time",
                },
                header.previous_end
            )
        },
    );
    if let Err(error) = line(&format!("{name} 0 {text}")) {
        return Ok(Err(error));
    }
    let end = file.len()?;
    let mut scan = Scan::new(file.clone(), id, SEGMENT_HEADER_BYTES as u64, end);
    loop {
        let (position, text) = match scan.next()? {
            Scanned::End => return Ok(Ok(())),
            Scanned::Record(location, body) => {
                let text = Record::decode(body).map(|record| describe(&record));
                let text = text.unwrap_or_else(|| "unknown to this version".to_owned());
                (u64::from(location.position), text)
            }
            Scanned::Bad(position, reason) => {
                let text = format!("bad: {reason}");
                scan.skip_to_record()?;
                (position, text)
            }
        };
        if let Err(error) = line(&format!("{name} {position} {text}")) {
            return Ok(Err(error));
        }
    }
}

/// Returns a line about a record.
fn describe(record: &Record<'_>) -> String {
    match record {
        Record::Name { number, name } => format!("name {number} is {name:?}"),
        Record::Stream { number, state, .. } => format!("state of {number}: {}", of_state(state)),
        Record::Publication {
            number,
            state,
            key,
            payload,
            ..
        } => {
            let mut text = format!("publication in {number}: {}", of_state(state));
            if let Some(key) = key {
                _ = write!(text, ", {}", of_key(key));
            }
            if let Payload::Encoded(payload) = payload
                && let Some(publication) = decode_publication(payload, state.top)
            {
                let shown = publication.data.len().min(SHOWN_BYTES);
                let data = String::from_utf8_lossy(&publication.data[..shown]);
                _ = write!(text, ", {} bytes {data:?}", publication.data.len());
            }
            text
        }
        Record::Key {
            number,
            key,
            position,
            ..
        } => {
            let offset = position.map_or(0, |(_, offset)| offset);
            format!("key in {number}: {}, offset {offset}", of_key(key))
        }
        Record::Oldest { segment, .. } => format!("{} is the oldest", segment_name(*segment)),
        Record::Synced { location, .. } => {
            let Location { segment, position } = location;
            format!("synced up to {} {position}", segment_name(*segment))
        }
        Record::Skipped => "skipped by a repair".to_owned(),
    }
}

fn of_state(state: &StreamState) -> String {
    let EpochText(epoch) = state.epoch;
    format!(
        "epoch {}, offset {}, kept from {}",
        String::from_utf8_lossy(&epoch),
        state.top,
        state.first
    )
}

fn of_key(key: &KeyField<'_>) -> String {
    format!("key {:?} until {}", key.key, key.until)
}

/// Limits that no log reaches: what was written is read.
fn limits() -> LogLimits {
    LogLimits {
        sync: LogSync::None,
        bytes_max: u64::MAX,
        channels_max: usize::MAX,
        idempotency_bytes_max: usize::MAX,
        idempotency_keys_max: usize::MAX,
        history_meta_ttl: Duration::ZERO,
        checkpoint_bytes: u64::MAX,
    }
}

/// Bytes. So much of a publication's data is shown.
const SHOWN_BYTES: usize = 100;
