//! Marks what can't be read in a log, so that a start skips it.

use std::{collections::HashSet, io, sync::Arc};

use super::{
    BootId, Disk, LogError, LogSync,
    disk::DiskFile,
    record::{HEADER_BYTES, Location, Record, skipped},
    scan::{Scan, Scanned},
    segment::{SEGMENT_HEADER_BYTES, SegmentHeader, create_segment, segment_id, segment_name},
    segment_numbers::check_numbers,
    settings::RECORD_BYTES_MAX,
};

/// Mends all segments. Returns a line for each change.
pub(super) fn repair_segments(disk: &dyn Disk) -> Result<Vec<String>, LogError> {
    let names = disk.list().map_err(LogError::io("list", "the directory"))?;
    let mut ids: Vec<u32> = names.iter().filter_map(|name| segment_id(name)).collect();
    ids.sort_unstable();
    check_numbers(ids.iter().copied())?;
    let (Some(first), Some(last)) = (ids.first().copied(), ids.last().copied()) else {
        return Ok(vec![]);
    };
    let mut changes = vec![];
    let mut previous_end = 0;
    for id in first..=last {
        let name = segment_name(id);
        let end = match id == last {
            true => None,
            false => next_header(disk, id + 1).map_err(LogError::io("read", &name))?,
        };
        let end = end.map(|header| u64::from(header.previous_end));
        let mended = match ids.contains(&id) {
            true => mend(disk, id, end, previous_end, &mut changes),
            false => replace(disk, id, end, previous_end, &mut changes),
        };
        previous_end = mended.map_err(LogError::io("mend", &name))?;
    }
    Ok(changes)
}

fn next_header(disk: &dyn Disk, id: u32) -> io::Result<Option<SegmentHeader>> {
    match disk.open(&segment_name(id)) {
        Ok(file) => SegmentHeader::read(&file, id),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Mends one segment, whose end the next one says. Returns its end.
fn mend(
    disk: &dyn Disk,
    id: u32,
    end: Option<u64>,
    previous_end: u64,
    changes: &mut Vec<String>,
) -> io::Result<u64> {
    let name = segment_name(id);
    let file = disk.open(&name)?;
    let begin = SEGMENT_HEADER_BYTES as u64;
    if SegmentHeader::read(&file, id)?.is_none() {
        file.write_all_at(&unknown_header(id, previous_end).encode(), 0)?;
        changes.push(format!("{name}: its first bytes are written anew"));
    }
    let is_last = end.is_none();
    let end = end.unwrap_or(file.len()?).max(begin);
    let mut scan = Scan::new(file.clone(), id, begin, end);
    let mut names = HashSet::new();
    loop {
        let at = scan.position();
        let reason = match scan.next()? {
            Scanned::End => break,
            Scanned::Record(_, body) => match unreadable(body, &mut names) {
                None => continue,
                Some(reason) => reason,
            },
            Scanned::Bad(_, reason) => {
                let is_followed = scan.skip_to_record()?;
                if is_last && !is_followed {
                    // The start cuts it off.
                    break;
                }
                reason
            }
        };
        let until = scan.position();
        skip(&file, id, at, until)?;
        changes.push(format!(
            "{name}: bytes {at} to {until} are skipped: {reason}"
        ));
    }
    file.sync()?;
    Ok(end)
}

/// Returns what a start would refuse in a record.
fn unreadable(body: &[u8], names: &mut HashSet<u32>) -> Option<&'static str> {
    match Record::decode(body) {
        None => Some("a record that this version doesn't know"),
        Some(Record::Name { number, .. }) => {
            names.insert(number);
            None
        }
        Some(
            Record::Stream { number, .. }
            | Record::Publication { number, .. }
            | Record::Key { number, .. },
        ) if !names.contains(&number) => Some("the record's channel has no name"),
        Some(_) => None,
    }
}

/// Puts an empty segment in the place of one that is missing. Returns its end.
fn replace(
    disk: &dyn Disk,
    id: u32,
    end: Option<u64>,
    previous_end: u64,
    changes: &mut Vec<String>,
) -> io::Result<u64> {
    let file = create_segment(disk, &unknown_header(id, previous_end), &[])?;
    let begin = SEGMENT_HEADER_BYTES as u64;
    let end = end.unwrap_or(begin);
    if end > begin {
        skip(&file, id, begin, end)?;
        file.sync()?;
    }
    changes.push(format!(
        "{}: is missing, and is empty now",
        segment_name(id)
    ));
    Ok(end)
}

/// Writes records over the bytes from `begin` to `end` that say nothing.
fn skip(file: &Arc<dyn DiskFile>, id: u32, begin: u64, end: u64) -> io::Result<()> {
    let mut position = begin;
    while position < end {
        let left = end - position;
        if left <= HEADER_BYTES as u64 {
            return Err(io::Error::other(format!(
                "{left} bytes at {position} are too few to be skipped"
            )));
        }
        let mut bytes = left.min(u64::from(RECORD_BYTES_MAX));
        if left - bytes > 0 && left - bytes <= HEADER_BYTES as u64 {
            bytes -= 2 * HEADER_BYTES as u64;
        }
        let location = Location {
            segment: id,
            position: position as u32,
        };
        file.write_all_at(&skipped(location, bytes as usize), position)?;
        position += bytes;
    }
    Ok(())
}

/// Returns the first bytes of a segment of which nothing is known: written before a power cut, synced never.
fn unknown_header(id: u32, previous_end: u64) -> SegmentHeader {
    SegmentHeader {
        id,
        previous_end: previous_end as u32,
        boot: BootId([0; 16]),
        sync: LogSync::None,
        time: 0,
    }
}
