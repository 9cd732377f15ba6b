//! What was accepted and may not be on the disk, written anew.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
};

use super::{
    Index,
    change::Change,
    error::damaged,
    log::Segment,
    record::{EpochText, KeyField, Location, Payload, Record, content_bytes, copied_state},
    scan::{Scan, Scanned},
    segment::SEGMENT_HEADER_BYTES,
};

/// Records of a segment that has failed, written again for the next one.
pub(super) struct Rescue {
    /// The next segment.
    id: u32,
    now: u64,
    pub(super) records: Vec<u8>,
    pub(super) changes: Vec<Change>,
    /// What the numbers of the segment stand for.
    names: HashMap<u32, Box<str>>,
    /// Channels whose names are in `records`, by their numbers in the index.
    named: HashSet<u32>,
}

impl Rescue {
    pub(super) fn new(id: u32, now: u64) -> Self {
        Self {
            id,
            now,
            records: vec![],
            changes: vec![],
            names: HashMap::new(),
            named: HashSet::new(),
        }
    }

    /// Reads what was accepted and may not be on the disk, while the kernel still has it. The segment is read from its
    /// beginning on, for the names that its numbers stand for.
    pub(super) fn write_again(&mut self, index: &Index, sealed: &Segment) -> io::Result<()> {
        let begin = SEGMENT_HEADER_BYTES as u64;
        let mut scan = Scan::new(sealed.file.clone(), sealed.id, begin, sealed.end);
        let mut touched = BTreeSet::new();
        loop {
            let (location, body) = match scan.next()? {
                Scanned::Record(location, body) => (location, body),
                Scanned::End => break,
                Scanned::Bad(position, reason) => {
                    // What can't be read can't be written anew.
                    return Err(io::Error::other(damaged(sealed.id, position, reason)));
                }
            };
            let record = Record::decode(body);
            if let Some(Record::Name { number, name }) = record {
                self.names.insert(number, name.into());
            } else if u64::from(location.position) >= sealed.synced
                && let Some(record) = record
            {
                touched.extend(self.write_record(index, record, location));
            }
        }
        for number in touched {
            let state = index.channel(number).state();
            if state.epoch.is_none() {
                continue;
            }
            self.name(index, number);
            let record = Record::Stream {
                number,
                time: self.now,
                state: state.clone(),
                keeps_records: false,
            };
            self.append(&record);
            self.changes.push(Change::State {
                number,
                state,
                keeps_records: false,
                segment: self.id,
            });
        }
        let oldest = Record::Oldest {
            time: self.now,
            segment: index.oldest(),
        };
        self.append(&oldest);
        Ok(())
    }

    /// Writes a record again, if it is still needed. Returns the number of its channel in the index, if the record is about the
    /// channel's history.
    fn write_record(
        &mut self,
        index: &Index,
        record: Record<'_>,
        location: Location,
    ) -> Option<u32> {
        let (Record::Publication { number, .. }
        | Record::Stream { number, .. }
        | Record::Key { number, .. }) = &record
        else {
            return None;
        };
        let number = index.number(self.names.get(number)?)?;
        match record {
            Record::Publication {
                state,
                key,
                payload,
                ..
            } => {
                self.write_publication(index, number, state.top, location, payload);
                if let Some(key) = key {
                    self.write_key(index, number, key, Some((state.epoch, state.top)));
                }
                Some(number)
            }
            Record::Key { key, position, .. } => {
                self.write_key(index, number, key, position);
                None
            }
            _ => Some(number),
        }
    }

    fn write_publication(
        &mut self,
        index: &Index,
        number: u32,
        offset: u64,
        location: Location,
        payload: Payload<'_>,
    ) {
        let channel = index.channel(number);
        if channel.epoch.is_none() || channel.location(offset) != Some(location) {
            return;
        }
        self.name(index, number);
        let state = copied_state(channel.state(), offset);
        let content = content_bytes(&payload);
        let record = Record::Publication {
            number,
            time: self.now,
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

    fn write_key(
        &mut self,
        index: &Index,
        number: u32,
        key: KeyField<'_>,
        position: Option<(EpochText, u64)>,
    ) {
        if key.until > self.now {
            self.name(index, number);
            let record = Record::Key {
                number,
                time: self.now,
                key,
                position,
            };
            self.append(&record);
        }
    }

    fn name(&mut self, index: &Index, number: u32) {
        if self.named.insert(number) {
            let name = &index.channel(number).name;
            self.append(&Record::Name { number, name });
            self.changes.push(Change::Named { number });
        }
    }

    fn append(&mut self, record: &Record<'_>) -> Option<Location> {
        record.append(&mut self.records, self.id, SEGMENT_HEADER_BYTES as u64)
    }
}
