//! The publications of a channel that are kept for subscribers whose history is being read.

use std::{collections::VecDeque, sync::Arc};

use crate::{Publication, StreamPosition};

/// Publications kept for the subscribers of one channel whose history is being read, which takes a round trip to the
/// broker. Beyond it the oldest are dropped, and a subscriber that needs one of them is told that it has missed something.
pub(crate) const HELD_PUBLICATIONS_MAX: usize = 1_024;

/// Bytes kept for the subscribers of one channel whose history is being read.
pub(crate) const HELD_BYTES_MAX: usize = 1 << 20;

/// Bytes. What an entry costs beside its payload.
const ENTRY_BYTES: usize = 128;

/// A publication, and its place in the history if it has one.
pub(crate) type HeldPublication = (Arc<Publication>, Option<StreamPosition>);

/// One log for all subscribers of a channel that wait, each of which begins at its own number.
#[derive(Default)]
pub(crate) struct HeldPublications(
    /// `None` while nobody waits.
    Option<Box<Log>>,
);

#[derive(Default)]
struct Log {
    publications: VecDeque<HeldPublication>,
    /// Number of the first of `publications`.
    first: u64,
    /// What `publications` cost.
    bytes: usize,
    /// Subscribers that wait.
    waiting: usize,
}

/// Whether the program has memory left for what is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Room {
    #[default]
    Enough,
    None,
}

impl HeldPublications {
    /// Begins to keep publications for one more subscriber. Returns the number of the first.
    pub(crate) fn enter(&mut self) -> u64 {
        let log = self.0.get_or_insert_default();
        log.waiting += 1;
        log.first + log.publications.len() as u64
    }

    /// Keeps a publication, if anybody waits.
    pub(crate) fn keep(
        &mut self,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
        room: Room,
    ) {
        let Some(log) = &mut self.0 else { return };
        log.bytes += cost(publication);
        log.publications
            .push_back((Arc::clone(publication), position.cloned()));
        while !log.publications.is_empty()
            && (room == Room::None
                || log.bytes > HELD_BYTES_MAX
                || log.publications.len() > HELD_PUBLICATIONS_MAX)
        {
            log.drop_first();
        }
    }

    /// Ends the wait of a subscriber that began at the number `from`. Returns what came since; `None` if some of it was
    /// dropped.
    pub(crate) fn leave(&mut self, from: u64) -> Option<Vec<HeldPublication>> {
        let log = self.0.as_mut()?;
        let skipped = from
            .checked_sub(log.first)
            .and_then(|skipped| usize::try_from(skipped).ok());
        let since = skipped.map(|skipped| log.publications.iter().skip(skipped).cloned().collect());
        self.end();
        since
    }

    /// Ends the wait of a subscriber that doesn't need what came.
    pub(crate) fn end(&mut self) {
        if let Some(log) = &mut self.0 {
            log.waiting -= 1;
            if log.waiting == 0 {
                self.0 = None;
            }
        }
    }

    /// Returns whether anybody waits.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Returns what is kept, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |log| log.bytes)
    }
}

impl Log {
    fn drop_first(&mut self) {
        if let Some((publication, _)) = self.publications.pop_front() {
            self.bytes -= cost(&publication);
            self.first += 1;
        }
    }
}

/// Returns the bytes that a publication costs which is kept.
pub(super) fn cost(publication: &Publication) -> usize {
    publication.data.len() + ENTRY_BYTES
}
