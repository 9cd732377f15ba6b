//! The start: from the files to a log that can be written.

use std::{collections::BTreeSet, io, sync::Arc};

use parking_lot::Mutex;

use super::{
    Disk, Index, Log, LogError, LogLimits, LogSync,
    boot::BootId,
    change::Change,
    checkpoint::{self, Checkpoint, CheckpointHead, Ending, read_checkpoint},
    disk::DiskFile,
    error::damaged,
    log::Segment,
    record::{EpochText, Location, Record},
    replay::Replay,
    scan::{Scan, Scanned},
    segment::{
        SEGMENT_HEADER_BYTES, SegmentHeader, UNFINISHED, create_segment, segment_id, segment_name,
    },
    segment_numbers::check_numbers,
};
use crate::broker::epochs::Epochs;

/// What was found when a log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogReport {
    /// Channels that are known.
    pub channels: usize,
    /// The end of the last segment was not written as a whole, and was cut off: the file, the position, and how many bytes.
    pub cut: Option<(String, u64, u64)>,
    /// Why the whole log was read, and not the checkpoint and what follows it.
    pub full_scan: Option<String>,
    /// Channels that have new epochs, because power was cut and the mode of syncing allowed it to take publications.
    pub new_epochs: usize,
    /// Publications that should be kept, and of which no record was found. More than 0 only after a repair.
    pub lost: u64,
}

/// Where the index comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The checkpoint and the log behind it.
    Checkpoint,
    /// The whole log.
    Segments,
}

/// The files, read but not changed.
pub(super) struct Found {
    index: Index,
    pub(super) report: LogReport,
    checkpoint: Option<CheckpointHead>,
    /// The last segment, without what is cut off.
    last: Segment,
    header: SegmentHeader,
    newest: u64,
    is_unclean: bool,
    was_running: bool,
    /// Records were skipped by a repair.
    is_repaired: bool,
    /// Files that are not needed.
    leftovers: Vec<String>,
}

impl Log {
    /// Opens the log in `disk`, and creates it if there is none. `now` is the time of day in milliseconds.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        limits: LogLimits,
        boot: BootId,
        epochs: Epochs,
        now: u64,
    ) -> Result<(Self, LogReport), LogError> {
        let found = match find(&*disk, &limits, boot, Source::Checkpoint)? {
            Some(found) => found,
            None => create(&*disk, &limits, boot, now)?,
        };
        let (is_unclean, is_repaired) = (found.is_unclean, found.is_repaired);
        let has_seed = (found.checkpoint.as_ref()).is_some_and(|head| head.epoch_seed.is_some());
        let (header, mut report) = (found.header, found.report.clone());
        found.settle(&*disk)?;
        let mut log = Self::with(found, disk, limits, boot, epochs, now);
        let is_restart = boot.is_restart_after(header.boot);
        if is_unclean && !is_restart {
            // A sync of the process before may have failed, and then this one's says nothing.
            log.begin_segment()?;
        } else if let Some(current) = &mut log.current {
            // It was read from the disk, or synced by an orderly end.
            current.synced = current.end;
        }
        let may_have_lost =
            is_repaired || (is_unclean && is_restart && header.sync != LogSync::Each);
        if may_have_lost {
            // Before there is a segment of this start of the system: should the process die in between, the next one does it
            // again.
            report.new_epochs = log.renew_epochs()?;
            log.remove_checkpoint()?;
        }
        if is_repaired {
            let removed = log.disk.remove(REPAIRED);
            removed.map_err(LogError::io("remove", REPAIRED))?;
        }
        if is_restart || (!is_unclean && limits.sync != header.sync) {
            log.begin_segment()?;
        }
        let renews_seed = may_have_lost || !has_seed || log.index.lock().has_forgotten();
        if renews_seed {
            let seed = log.epochs.seed();
            log.index.lock().set_epoch_seed(seed);
        }
        // A start after it knows the seed.
        if (report.full_scan.is_some() || renews_seed)
            && let Err(error) = log.write_checkpoint(Ending::Open)
        {
            tracing::warn!(%error, "the checkpoint is not replaced");
        }
        Ok((log, report))
    }

    /// Goes on in a new segment, in which stands again what may not be on the disk. If the disk is full that waits, and so do
    /// publications.
    fn begin_segment(&mut self) -> Result<(), LogError> {
        let next = segment_name(self.current_id() + 1);
        self.seal();
        let newest = self.newest;
        match self.replace_sealed(newest) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
            replaced => replaced.map_err(|error| match error.downcast::<LogError>() {
                Ok(damaged) => damaged,
                Err(error) => LogError::io("create", &next)(error),
            }),
        }
    }

    /// Creates a log from what was found.
    fn with(
        found: Found,
        disk: Arc<dyn Disk>,
        limits: LogLimits,
        boot: BootId,
        epochs: Epochs,
        now: u64,
    ) -> Self {
        let mut index = found.index;
        let newest = found.newest.max(now);
        if found.is_unclean {
            index.remember_positions(newest);
        }
        let mut log = Self {
            disk,
            limits,
            index: Arc::new(Mutex::new(index)),
            health: Arc::default(),
            refused_bytes: 0,
            epochs,
            boot,
            synced_mark: Location {
                segment: found.last.id,
                position: SEGMENT_HEADER_BYTES as u32,
            },
            current: Some(found.last),
            sealed: None,
            buffer: vec![],
            changes: vec![],
            era: 1,
            newest,
            checkpoint: Checkpoint::default(),
            cleaning: None,
            closed_bytes: 0,
            appended: 0,
            upkeep_at: 0,
        };
        log.count_closed();
        if let Some(head) = &found.checkpoint {
            log.appended = log.bytes_behind(head.location);
            log.checkpoint = Checkpoint::found(head);
        }
        log
    }

    /// Returns how many bytes of the log stand behind a location.
    fn bytes_behind(&self, location: Location) -> u64 {
        let index = self.index.lock();
        let behind = index.segments().filter(|(id, _)| *id >= location.segment);
        let bytes: u64 = behind.map(|(_, segment)| segment.bytes).sum();
        bytes.saturating_sub(u64::from(location.position))
    }

    /// Gives all channels new epochs, with the same offsets and publications.
    fn renew_epochs(&mut self) -> Result<usize, LogError> {
        if self.current.is_none() {
            return Err(LogError::Io {
                what: "cannot give the channels new epochs".to_owned(),
                source: io::ErrorKind::StorageFull.into(),
            });
        }
        let streams = self.index.lock().streams();
        for (number, _) in &streams {
            let (name, mut state) = {
                let index = self.index.lock();
                let channel = index.channel(*number);
                (channel.name.clone(), channel.state())
            };
            state.epoch = EpochText::new(&self.epochs.make());
            let (number, time) = (*number, self.newest);
            let segment = self.current_id();
            self.append(&Record::Name {
                number,
                name: &name,
            });
            self.append(&Record::Stream {
                number,
                time,
                state: state.clone(),
                keeps_records: true,
            });
            self.changes.push(Change::State {
                number,
                state,
                keeps_records: true,
                segment,
            });
            if self.buffer.len() >= RENEWAL_BYTES {
                self.flush_at_start()?;
            }
        }
        self.flush_at_start()?;
        Ok(streams.len())
    }

    fn flush_at_start(&mut self) -> Result<(), LogError> {
        let flushed = self.flush().and_then(|()| self.sync());
        flushed.map_err(|error| LogError::Io {
            what: "cannot give the channels new epochs".to_owned(),
            source: io::Error::other(error.to_string()),
        })
    }
}

impl Found {
    /// Makes the files what was found: cuts the end, removes what isn't needed.
    fn settle(&self, disk: &dyn Disk) -> Result<(), LogError> {
        let name = segment_name(self.last.id);
        if self.report.cut.is_some() {
            let cut = self.last.file.truncate(self.last.end);
            cut.map_err(LogError::io("cut", &name))?;
        }
        // What a reader sees must not be gone after a power cut.
        let synced = self.last.file.sync();
        synced.map_err(LogError::io("sync", &name))?;
        for name in &self.leftovers {
            disk.remove(name).map_err(LogError::io("remove", name))?;
        }
        if self.was_running {
            return Ok(());
        }
        // Before anything is written: should power take all of that, the end of the log looks as orderly as it was.
        let marked = disk.create(RUNNING).and_then(|_| disk.sync());
        marked.map_err(LogError::io("create", RUNNING))
    }
}

/// Reads the files. `Ok(None)`: there is no log.
pub(super) fn find(
    disk: &dyn Disk,
    limits: &LogLimits,
    boot: BootId,
    source: Source,
) -> Result<Option<Found>, LogError> {
    let names = disk.list().map_err(LogError::io("list", "the directory"))?;
    let segments: BTreeSet<u32> = names.iter().filter_map(|name| segment_id(name)).collect();
    check_numbers(segments.iter().copied())?;
    let mut report = LogReport::default();
    let read = read_checkpoint(disk, limits);
    let read = read.map_err(LogError::io("read", checkpoint::NAME))?;
    let Some(last) = segments.last().copied() else {
        let location = match read {
            None => return Ok(None),
            Some(Ok((head, _))) => head.location.segment,
            Some(Err(_)) => 1,
        };
        let file = segment_name(location);
        return Err(LogError::Missing { file });
    };
    let oldest = segments.first().copied().unwrap_or(last);
    let (checkpoint, mut index) = match read {
        Some(Ok((head, index))) if source == Source::Checkpoint => (Some(head), index),
        other => {
            report.full_scan = Some(why_full_scan(other.and_then(Result::err)));
            (None, Index::new(limits, oldest))
        }
    };
    add_segments(disk, &mut index, &segments, last, checkpoint.as_ref())?;
    index.count_uses();
    let from = match &checkpoint {
        Some(head) => head.location,
        None => Location {
            segment: index.oldest(),
            position: SEGMENT_HEADER_BYTES as u32,
        },
    };
    let tail = replay(&mut index, from, last, boot, &mut report)?;
    while index.oldest() < tail.oldest.min(last) {
        index.pop_segment();
    }
    let gone = (index.oldest()..=last).find(|id| !segments.contains(id));
    if let Some(gone) = gone {
        let file = segment_name(gone);
        return Err(LogError::Missing { file });
    }
    report.lost = index.drop_unknown();
    report.channels = index.len();
    let end = Location {
        segment: last,
        position: tail.last.end as u32,
    };
    let is_clean = |head: &CheckpointHead| head.is_clean && head.location == end;
    let has = |file: &str| names.iter().any(|name| name == file);
    let was_running = has(RUNNING);
    let is_unclean = was_running || !checkpoint.as_ref().is_some_and(is_clean);
    let is_repaired = has(REPAIRED);
    let newest = checkpoint.as_ref().map_or(0, |head| head.newest);
    let is_leftover = |name: &String| {
        let is_old = segment_id(name).is_some_and(|id| id < index.oldest());
        is_old || name.ends_with(UNFINISHED)
    };
    let leftovers = names.into_iter().filter(is_leftover).collect();
    Ok(Some(Found {
        index,
        report,
        checkpoint,
        last: tail.last,
        header: tail.header,
        newest: newest.max(tail.newest),
        is_unclean,
        was_running,
        is_repaired,
        leftovers,
    }))
}

fn why_full_scan(damage: Option<&'static str>) -> String {
    match damage {
        Some(reason) => format!("the checkpoint is damaged: {reason}"),
        None => "there is no checkpoint".to_owned(),
    }
}

/// Adds the segments' files to the index.
fn add_segments(
    disk: &dyn Disk,
    index: &mut Index,
    segments: &BTreeSet<u32>,
    last: u32,
    checkpoint: Option<&CheckpointHead>,
) -> Result<(), LogError> {
    let oldest = index.oldest();
    for id in oldest..=last {
        let name = segment_name(id);
        if segments.contains(&id) {
            let file = disk.open(&name).map_err(LogError::io("open", &name))?;
            let bytes = file.len().map_err(LogError::io("read", &name))?;
            index.push_segment(file, bytes);
        } else {
            index.push_segment(Arc::new(GoneFile), 0);
        }
        let known = checkpoint.and_then(|head| head.segments.get((id - oldest) as usize));
        if let (Some((records, keys_until)), Some(segment)) = (known, index.segment_mut(id)) {
            segment.records = *records;
            segment.keys_until = *keys_until;
        }
    }
    Ok(())
}

/// What was found at the end of the log.
struct Tail {
    last: Segment,
    header: SegmentHeader,
    newest: u64,
    oldest: u32,
}

/// Puts the records from `from` on into the index.
fn replay(
    index: &mut Index,
    from: Location,
    last: u32,
    boot: BootId,
    report: &mut LogReport,
) -> Result<Tail, LogError> {
    let mut files = vec![];
    for id in from.segment..=last {
        let Some(segment) = index.segment(id) else {
            let file = segment_name(id);
            return Err(LogError::Missing { file });
        };
        files.push((id, segment.file.clone(), segment.bytes));
    }
    if files.is_empty() {
        let file = segment_name(from.segment);
        return Err(LogError::Missing { file });
    }
    let headers = files.iter().map(|(id, file, _)| read_header(file, *id));
    let headers = headers.collect::<Result<Vec<SegmentHeader>, LogError>>()?;
    let mut replay = Replay::new(index);
    let mut ends = vec![];
    for (at, (id, file, bytes)) in files.iter().enumerate() {
        let begin = match *id == from.segment {
            true => u64::from(from.position),
            false => SEGMENT_HEADER_BYTES as u64,
        };
        let next = headers.get(at + 1);
        let end = next.map_or(*bytes, |next| u64::from(next.previous_end));
        let mut scan = Scan::new(file.clone(), *id, begin, end);
        if begin > end {
            return Err(damaged(*id, end, "the file is shorter than it was"));
        }
        replay.begin_segment();
        let end = replay_segment(&mut replay, &mut scan, *id)?;
        ends.push(match end {
            SegmentEnd::Whole(end) => end,
            SegmentEnd::Bad(position, reason) => {
                if next.is_some() || !is_torn(&mut scan, &headers[at], boot)? {
                    return Err(damaged(*id, position, reason));
                }
                report.cut = Some((segment_name(*id), position, bytes - position));
                position
            }
        });
    }
    let (newest, oldest) = (replay.newest, replay.oldest);
    let synced = replay.synced.max(from);
    for ((id, _, _), end) in files.iter().zip(&ends) {
        if let Some(segment) = index.segment_mut(*id) {
            segment.bytes = *end;
        }
    }
    let (Some((id, file, _)), Some(header), Some(end)) = (files.pop(), headers.last(), ends.pop())
    else {
        let file = segment_name(last);
        return Err(LogError::Missing { file });
    };
    let header = *header;
    // A `Synced` record of this segment may speak of an earlier one, and so may the checkpoint.
    let synced = match synced.segment == id {
        true => u64::from(synced.position).min(end),
        false => SEGMENT_HEADER_BYTES as u64,
    };
    let last = Segment {
        id,
        file,
        end,
        synced,
    };
    Ok(Tail {
        last,
        header,
        newest: newest.max(header.time),
        oldest,
    })
}

/// How the records of a segment end.
enum SegmentEnd {
    Whole(u64),
    Bad(u64, &'static str),
}

fn replay_segment(
    replay: &mut Replay<'_>,
    scan: &mut Scan,
    id: u32,
) -> Result<SegmentEnd, LogError> {
    let name = segment_name(id);
    loop {
        let position = scan.position();
        match scan.next().map_err(LogError::io("read", &name))? {
            Scanned::End => return Ok(SegmentEnd::Whole(position)),
            Scanned::Bad(position, reason) => return Ok(SegmentEnd::Bad(position, reason)),
            Scanned::Record(location, body) => {
                let record = Record::decode(body);
                let record = record.ok_or_else(|| {
                    damaged(id, position, "a record that this version doesn't know")
                })?;
                let applied = replay.apply(record, location);
                applied.map_err(|contradiction| damaged(id, position, contradiction.0))?;
            }
        }
    }
}

/// Returns whether what is bad in the last segment was never accepted, or need not be there after a power cut: the end of the
/// log. Leaves `scan` anywhere.
///
/// If the process alone has died, the kernel has all that it was given: a record behind the bad one was written after that
/// one was there as a whole. If power was cut, blocks that had not been synced may be missing between others: what counts
/// then is whether a record behind says that the position had been synced.
fn is_torn(scan: &mut Scan, header: &SegmentHeader, boot: BootId) -> Result<bool, LogError> {
    let name = segment_name(header.id);
    let bad = scan.position();
    let is_restart = boot.is_restart_after(header.boot);
    let fail = || LogError::io("read", &name);
    while scan.skip_to_record().map_err(fail())? {
        if !is_restart {
            return Ok(false);
        }
        while let Scanned::Record(_, body) = scan.next().map_err(fail())? {
            if let Some(Record::Synced { location, .. }) = Record::decode(body)
                && (location.segment > header.id
                    || (location.segment == header.id && u64::from(location.position) > bad))
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn read_header(file: &Arc<dyn DiskFile>, id: u32) -> Result<SegmentHeader, LogError> {
    let name = segment_name(id);
    let header = match SegmentHeader::read(file, id) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(LogError::Missing { file: name });
        }
        header => header.map_err(LogError::io("read", &name))?,
    };
    header.ok_or_else(|| damaged(id, 0, "it doesn't begin as a segment does"))
}

/// Creates the first segment.
fn create(disk: &dyn Disk, limits: &LogLimits, boot: BootId, now: u64) -> Result<Found, LogError> {
    let header = SegmentHeader {
        id: 1,
        previous_end: 0,
        boot,
        sync: limits.sync,
        time: now,
    };
    let file = create_segment(disk, &header, &[]);
    let file = file.map_err(LogError::io("create", &segment_name(1)))?;
    let mut index = Index::new(limits, 1);
    let end = SEGMENT_HEADER_BYTES as u64;
    index.push_segment(file.clone(), end);
    let last = Segment {
        id: 1,
        file,
        end,
        synced: end,
    };
    Ok(Found {
        index,
        report: LogReport::default(),
        checkpoint: None,
        last,
        header,
        newest: now,
        is_unclean: false,
        was_running: false,
        is_repaired: false,
        leftovers: vec![],
    })
}

/// A file that was removed when it was not needed any more; the end of the log says so.
struct GoneFile;

impl DiskFile for GoneFile {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn len(&self) -> io::Result<u64> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The name of a file that is there while a process has the log, and after its death.
pub(super) const RUNNING: &str = "running";

/// The name of a file that says that the log was repaired, and that channels need new epochs.
pub(super) const REPAIRED: &str = "repaired";

/// Bytes. Records of new epochs that are written at once.
const RENEWAL_BYTES: usize = 1 << 20;
