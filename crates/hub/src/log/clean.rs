//! Retention: which segments go, and what of them is copied forward.
//!
//! Only the oldest segment is ever removed. Before that its last records about channels are written again, at the end of
//! the log, and so are the publications that are kept; if the log would become larger than it may, its publications are
//! dropped instead, and channels keep their positions.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Index, Log, LogError,
    append::refusal,
    change::Change,
    checkpoint::Ending,
    cleaning::{Cleaning, Kept},
    error::damaged,
    index::SegmentUse,
    open::RUNNING,
    record::{Location, Record, content_bytes, copied_state},
    scan::{Scan, Scanned},
    segment::{SEGMENT_HEADER_BYTES, segment_name},
};
use crate::broker::BrokerError;

impl Log {
    /// Does a bounded amount of upkeep: a part of a checkpoint, or of emptying the oldest segment. Returns whether there is
    /// more to do at once. An error is logged, and the work begins anew some seconds later.
    pub(crate) fn upkeep(&mut self, now: u64) -> bool {
        self.newest = self.newest.max(now);
        let now = self.newest;
        if now < self.upkeep_at {
            return false;
        }
        // A failed segment is replaced also if nobody publishes.
        if self.current.is_none()
            && let Err(error) = self.ready(now)
        {
            tracing::warn!(%error, "the log waits for its disk");
            self.upkeep_at = now.saturating_add(RETRY_MILLIS);
            return false;
        }
        match self.step(now, Urgency::Background) {
            Ok(is_busy) => {
                if !is_busy {
                    self.upkeep_at = now.saturating_add(UPKEEP_MILLIS);
                }
                is_busy
            }
            Err(error) => {
                tracing::warn!(%error, "upkeep of the log waits");
                self.cleaning = None;
                self.upkeep_at = now.saturating_add(RETRY_MILLIS);
                false
            }
        }
    }

    /// Drops what has expired, of a bounded number of channels.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.newest = self.newest.max(now);
        self.index.lock().sweep(self.newest, SWEEP_CHANNELS_MAX);
    }

    /// Makes everything last, and writes a checkpoint, from which the next start is quick.
    pub(crate) fn close(&mut self, now: u64) -> Result<(), BrokerError> {
        self.newest = self.newest.max(now);
        self.ready(self.newest)?;
        self.write_checkpoint(Ending::Clean)?;
        let unmarked = self.disk.remove(RUNNING).and_then(|()| self.disk.sync());
        unmarked.map_err(|error| refusal("close", &error))
    }

    /// Makes room for one more batch within the limit of bytes.
    pub(super) fn make_room(&mut self, now: u64) -> Result<(), BrokerError> {
        // A sixteenth is what a segment may have at most.
        let bytes_max = self.limits.bytes_max - self.limits.segment_bytes();
        let mut steps = 0;
        while self.bytes() > bytes_max {
            steps += 1;
            if steps > STEPS_MAX || !self.step(now, Urgency::Now)? {
                return Err(BrokerError::DiskFull);
            }
            self.ready(now)?;
        }
        Ok(())
    }

    /// Returns whether it did something.
    fn step(&mut self, now: u64, urgency: Urgency) -> Result<bool, BrokerError> {
        if self.checkpoint.is_unfinished() {
            self.continue_checkpoint(Ending::Open)?;
            return Ok(true);
        }
        if let Some(mut cleaning) = self.cleaning.take() {
            let is_over = self.clean(&mut cleaning, now)?;
            if is_over {
                self.remove_oldest(cleaning.segment, now)?;
            } else {
                self.cleaning = Some(cleaning);
            }
            return Ok(true);
        }
        if self.checkpoint.is_due(self.appended, &self.limits) {
            self.begin_checkpoint()?;
            return Ok(true);
        }
        let Some(kept) = self.what_to_clean(now, urgency) else {
            return Ok(false);
        };
        let oldest = self.index.lock().oldest();
        if oldest == self.current_id() {
            self.roll(now)?;
            return Ok(true);
        }
        if self.checkpoint.location.segment <= oldest {
            // A start reads the log from the checkpoint on.
            self.begin_checkpoint()?;
            return Ok(true);
        }
        self.begin_cleaning(oldest, kept);
        Ok(true)
    }

    /// Returns what to do with the oldest segment. `None`: nothing.
    fn what_to_clean(&self, now: u64, urgency: Urgency) -> Option<Kept> {
        let index = self.index.lock();
        let (id, oldest) = index.segments().next()?;
        let segment_bytes = self.limits.segment_bytes();
        let is_current = id == self.current_id();
        if is_current && oldest.bytes < segment_bytes / 2 {
            return None;
        }
        let bytes = self.bytes();
        let live_of = |it: &SegmentUse| match it.records {
            0 => 0,
            records => it.bytes * u64::from(it.live) / u64::from(records),
        };
        if urgency == Urgency::Now {
            return Some(Kept::Dropped);
        }
        if bytes + 3 * segment_bytes > self.limits.bytes_max {
            return Some(match live_of(oldest) < oldest.bytes / 2 {
                true => Kept::Copied,
                false => Kept::Dropped,
            });
        }
        if is_current || oldest.keys_until > now {
            return None;
        }
        if oldest.live == 0 && oldest.anchors == 0 {
            return Some(Kept::Copied);
        }
        // Each death of the process leaves a segment, however small.
        let count_max = 32 + 2 * (self.limits.bytes_max / segment_bytes);
        if index.segments().count() as u64 > count_max {
            return Some(Kept::Copied);
        }
        let live: u64 = index.segments().map(|(_, it)| live_of(it)).sum();
        let garbage_max = 3 * live + 4 * segment_bytes;
        (bytes.saturating_sub(live) > garbage_max).then_some(Kept::Copied)
    }

    fn begin_cleaning(&mut self, oldest: u32, kept: Kept) {
        let index = self.index.lock();
        if let Some(segment) = index.segment(oldest) {
            let begin = SEGMENT_HEADER_BYTES as u64;
            self.cleaning = Some(Cleaning {
                segment: oldest,
                scan: Scan::new(segment.file.clone(), oldest, begin, segment.bytes),
                names: HashMap::new(),
                kept,
            });
        }
    }

    /// Empties a part of a segment. Returns whether it is empty.
    fn clean(&mut self, cleaning: &mut Cleaning, now: u64) -> Result<bool, BrokerError> {
        self.ready(now)?;
        let begin = cleaning.scan.position();
        let mut is_over = false;
        while !is_over && cleaning.scan.position() < begin + STEP_BYTES {
            let (location, body) = match cleaning.scan.next() {
                Ok(Scanned::Record(location, body)) => (location, body.to_vec()),
                Ok(Scanned::End) => {
                    is_over = true;
                    continue;
                }
                Ok(Scanned::Bad(position, reason)) => {
                    return Err(unreadable(&damaged(cleaning.segment, position, reason)));
                }
                Err(error) => {
                    let name = segment_name(cleaning.segment);
                    return Err(unreadable(&LogError::io("read", &name)(error)));
                }
            };
            self.clean_record(cleaning, &body, location, now);
        }
        if is_over {
            self.clean_other_anchors(cleaning.segment, now);
        }
        self.flush()?;
        Ok(is_over)
    }

    /// Writes again what is needed of a record.
    fn clean_record(&mut self, cleaning: &mut Cleaning, body: &[u8], location: Location, now: u64) {
        let record = Record::decode(body);
        if let Some(Record::Name { number, name }) = record {
            cleaning.names.insert(number, name.into());
            return;
        }
        let Some(Record::Publication { number, .. } | Record::Stream { number, .. }) = record
        else {
            return;
        };
        let Some(name) = cleaning.names.get(&number) else {
            return;
        };
        let shared = Arc::clone(&self.index);
        let mut index = shared.lock();
        let Some(number) = index.number(name) else {
            return;
        };
        index.expire(number, now);
        let channel = index.channel(number);
        if channel.epoch.is_none() {
            return;
        }
        let Some(Record::Publication { state, payload, .. }) = record else {
            if channel.anchor == cleaning.segment {
                self.write_state(&mut index, number, None, now);
            }
            return;
        };
        let offset = state.top;
        if channel.location(offset) != Some(location) {
            if channel.top == offset && channel.anchor == cleaning.segment {
                self.write_state(&mut index, number, None, now);
            }
            return;
        }
        if cleaning.kept == Kept::Dropped {
            let is_elsewhere = |it: &Location| it.segment != cleaning.segment;
            let kept = channel.locations().rev().take_while(is_elsewhere).count() as u64;
            let (first, top) = (channel.top + 1 - kept, channel.top);
            // At once, so that the segment's next records of the channel are seen to be dropped.
            index.set_range(number, first, top);
            self.write_state(&mut index, number, Some(first), now);
            return;
        }
        let state = copied_state(channel.state(), offset);
        self.name(&mut index, number);
        let content = content_bytes(&payload);
        let record = Record::Publication {
            number,
            time: now,
            state: state.clone(),
            key: None,
            payload,
        };
        if let Some(location) = self.append(&record) {
            self.changes.push(Change::Publication {
                number,
                state,
                location,
                content,
            });
        }
    }

    /// Writes again the states of channels that still need a segment whose records have all been looked at.
    fn clean_other_anchors(&mut self, segment: u32, now: u64) {
        let shared = Arc::clone(&self.index);
        let mut index = shared.lock();
        if index.segment(segment).is_none_or(|it| it.anchors == 0) {
            return;
        }
        let planned = self.changes.iter().filter_map(|change| match change {
            Change::State { number, .. } | Change::Publication { number, .. } => Some(*number),
            _ => None,
        });
        let planned: HashSet<u32> = planned.collect();
        for (number, _) in index.streams() {
            if index.channel(number).anchor == segment && !planned.contains(&number) {
                self.write_state(&mut index, number, None, now);
            }
        }
    }

    /// Writes a channel's state, with `first` instead of its own if that is given.
    fn write_state(&mut self, index: &mut Index, number: u32, first: Option<u64>, now: u64) {
        self.name(index, number);
        let mut state = index.channel(number).state();
        state.first = first.unwrap_or(state.first);
        self.append(&Record::Stream {
            number,
            time: now,
            state: state.clone(),
            keeps_records: false,
        });
        self.changes.push(Change::State {
            number,
            state,
            keeps_records: false,
            segment: self.current_id(),
        });
    }

    fn name(&mut self, index: &mut Index, number: u32) {
        let channel = index.channel(number);
        if channel.named_in == self.era {
            return;
        }
        let name = &channel.name;
        if self.append(&Record::Name { number, name }).is_some() {
            index.channel_mut(number).named_in = self.era;
        }
    }

    /// Removes the oldest segment, which is empty.
    fn remove_oldest(&mut self, oldest: u32, now: u64) -> Result<(), BrokerError> {
        let needed = {
            let index = self.index.lock();
            let segment = index.segment(oldest);
            segment.map_or(0, |segment| segment.live + segment.anchors)
        };
        if needed > 0 {
            return Err(BrokerError::Unavailable {
                message: format!("{} is still needed", segment_name(oldest)),
            });
        }
        self.append(&Record::Oldest {
            time: now,
            segment: oldest + 1,
        });
        self.flush()?;
        // The copies must be on the disk before what they were copied from is gone.
        self.sync()?;
        self.index.lock().pop_segment();
        self.count_closed();
        let name = segment_name(oldest);
        let gone = self.disk.remove(&name).and_then(|()| self.disk.sync());
        if let Err(error) = gone {
            // The next start removes it.
            tracing::warn!(%error, file = name, "a segment that is not needed can't be removed");
        }
        Ok(())
    }
}

/// Whether a batch waits for the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    Background,
    Now,
}

fn unreadable(error: &LogError) -> BrokerError {
    BrokerError::Unavailable {
        message: error.to_string(),
    }
}

/// Bytes. What one step reads of the oldest segment: about a millisecond's work.
const STEP_BYTES: u64 = 256 << 10;

/// Channels that one sweep looks at: about a millisecond's work.
const SWEEP_CHANNELS_MAX: usize = 4096;

/// Milliseconds. The oldest segment is looked at so often, and when a segment is full.
const UPKEEP_MILLIS: u64 = 1000;

/// Milliseconds. Upkeep that has failed is tried again after this time.
const RETRY_MILLIS: u64 = 5000;

/// Steps that a batch waits for, at most. Enough for a checkpoint and a segment of the largest size.
const STEPS_MAX: u32 = 10_000;
