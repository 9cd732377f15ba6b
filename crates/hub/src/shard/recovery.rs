//! Whether a subscriber can be given what it missed.

use std::sync::Arc;

use crate::{History, Publication, StreamPosition, namespace::RecoveryMode};

/// What a subscriber says that it has seen.
#[derive(Clone, Debug)]
pub(crate) struct RecoveryRequest {
    pub(crate) since: StreamPosition,
    pub(crate) mode: RecoveryMode,
}

/// The answer. `publications` are in the order of their offsets, and whole: the subscriber has everything up to
/// `position` then.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recovery {
    pub(crate) is_recovered: bool,
    pub(crate) publications: Vec<Arc<Publication>>,
    /// The channel's position when the history was read.
    pub(crate) position: StreamPosition,
}

impl RecoveryRequest {
    /// Judges by the history that was read for this request, of which `publications_max` may be given.
    pub(crate) fn answer(&self, history: History, publications_max: usize) -> Recovery {
        match self.mode {
            RecoveryMode::Stream => self.answer_stream(history, publications_max),
            RecoveryMode::Cache => self.answer_cache(history),
        }
    }

    /// All of `since + 1 ..= top`, or none: a hole is never delivered.
    fn answer_stream(&self, history: History, publications_max: usize) -> Recovery {
        let History {
            mut publications,
            position,
        } = history;
        let missed = position.offset.checked_sub(self.since.offset);
        publications.retain(|publication| {
            publication.offset > self.since.offset && publication.offset <= position.offset
        });
        let is_whole = publications
            .iter()
            // A client may say any number.
            .zip(self.since.offset.saturating_add(1)..)
            .all(|(publication, offset)| publication.offset == offset);
        let is_recovered = self.is_same_epoch(&position)
            && missed == Some(publications.len() as u64)
            && publications.len() <= publications_max
            && is_whole;
        if !is_recovered {
            publications.clear();
        }
        Recovery {
            is_recovered,
            publications,
            position,
        }
    }

    /// The newest publication, unless the subscriber has it. Without one, the subscriber has what there is only if it
    /// has seen one, and is at the top.
    fn answer_cache(&self, history: History) -> Recovery {
        let position = history.position;
        let is_at_top = self.since.offset > 0 && self.since == position;
        let newest = history
            .publications
            .into_iter()
            .max_by_key(|publication| publication.offset);
        Recovery {
            is_recovered: newest.is_some() || is_at_top,
            publications: newest.filter(|_| !is_at_top).into_iter().collect(),
            position,
        }
    }

    /// An empty epoch is that of a subscriber that has seen no publication yet.
    fn is_same_epoch(&self, position: &StreamPosition) -> bool {
        self.since.epoch.is_empty() || self.since.epoch == position.epoch
    }
}
