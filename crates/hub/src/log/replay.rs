//! The index from what was written.

use std::{collections::HashMap, sync::Arc};

use super::{
    Index,
    record::{EpochText, Location, Record, content_bytes},
};
use crate::StreamPosition;

/// Puts records into an index, in their order.
pub(super) struct Replay<'a> {
    index: &'a mut Index,
    /// What the numbers in records stand for: numbers of the index.
    numbers: HashMap<u32, u32>,
    /// The latest time in a record.
    pub(super) newest: u64,
    /// The greatest location before which all had been synced, by what records say.
    pub(super) synced: Location,
    /// The oldest segment that is needed, by what records say.
    pub(super) oldest: u32,
}

/// A record that contradicts those before it.
#[derive(Debug)]
pub(super) struct Contradiction(pub(super) &'static str);

impl<'a> Replay<'a> {
    pub(super) fn new(index: &'a mut Index) -> Self {
        let oldest = index.oldest();
        Self {
            index,
            numbers: HashMap::new(),
            newest: 0,
            synced: Location::NONE,
            oldest,
        }
    }

    /// Begins a segment, whose numbers have their own meaning.
    pub(super) fn begin_segment(&mut self) {
        self.numbers.clear();
    }

    /// Applies the record that stands at `location`.
    pub(super) fn apply(
        &mut self,
        record: Record<'_>,
        location: Location,
    ) -> Result<(), Contradiction> {
        self.newest = self.newest.max(record.time().unwrap_or(0));
        let segment = location.segment;
        match record {
            Record::Name { number, name } => {
                let known = self.index.number_of_written(name);
                self.numbers.insert(number, known);
            }
            Record::Stream {
                number,
                state,
                keeps_records,
                ..
            } => {
                let number = self.number(number)?;
                self.index.set_state(number, &state, segment, keeps_records);
            }
            Record::Publication {
                number,
                state,
                key,
                payload,
                ..
            } => {
                let number = self.number(number)?;
                let content = match state.counts_bytes {
                    true => content_bytes(&payload),
                    false => 0,
                };
                self.index
                    .set_publication(number, &state, location, content);
                if let Some(key) = key {
                    let position = position(Some((state.epoch, state.top)));
                    let text: Arc<str> = key.key.into();
                    self.index
                        .remember_key(number, &text, position, key.until, segment);
                }
            }
            Record::Key {
                number,
                key,
                position: place,
                ..
            } => {
                let number = self.number(number)?;
                let text: Arc<str> = key.key.into();
                self.index
                    .remember_key(number, &text, position(place), key.until, segment);
            }
            Record::Oldest { segment, .. } => self.oldest = self.oldest.max(segment),
            Record::Synced { location, .. } => self.synced = self.synced.max(location),
            Record::Skipped => {}
        }
        Ok(())
    }

    fn number(&self, number: u32) -> Result<u32, Contradiction> {
        let known = self.numbers.get(&number).copied();
        known.ok_or(Contradiction("the record's channel has no name"))
    }
}

fn position(position: Option<(EpochText, u64)>) -> Option<StreamPosition> {
    position.map(|(epoch, offset)| StreamPosition {
        offset,
        epoch: epoch.epoch(),
    })
}
