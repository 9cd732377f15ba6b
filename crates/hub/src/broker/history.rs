//! Questions about the history of a channel.

use std::{ops::Range, sync::Arc, time::Duration};

use crate::{Epoch, Publication, StreamPosition};

/// A question about the history of a channel. The default asks for the position only.
///
/// - Without `since` the answer goes from the oldest publication that is kept upwards; with `reverse` from the newest
///   downwards.
/// - With `since` it begins at the next offset, in either direction.
/// - Upwards, if that offset isn't kept any more, it begins at the oldest that is. The caller sees the gap: the first offset
///   isn't `since.offset + 1`.
/// - Downwards, if that offset isn't kept or was never assigned, the answer is empty.
/// - If `since` is of another epoch the answer is empty. The empty epoch stands for any.
///
/// An answer may be a page: a broker gives fewer publications than were asked for where they are many or large. The next
/// question's `since` is the position of the page's last publication, in either direction. The last page is empty, so a reader
/// of a long history holds one page at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// How many publications are wanted.
    pub limit: Limit,
    /// Where to begin, exclusively. `None`: at an end.
    pub since: Option<StreamPosition>,
    /// Newest first.
    pub reverse: bool,
    /// Bytes. The answer ends before the publication that would make it larger, but has one in any case. Default `None`: no limit.
    /// A publication counts with its payload, its tags, what is known of its publisher, and 128.
    pub bytes_max: Option<usize>,
    /// How long offset and epoch are remembered from now on. 0 (the default): as long as the last publication or question
    /// said; for a new history the broker's default.
    pub meta_ttl: Duration,
}

impl HistoryQuery {
    /// Returns the offsets that are asked for, but at most `count_max`, of a history that has an epoch and keeps `oldest` up
    /// to `top`. With [`HistoryQuery::reverse`] the answer has them from the end of the range downwards.
    pub(crate) fn offsets(
        &self,
        oldest: u64,
        top: u64,
        epoch: &Epoch,
        count_max: usize,
    ) -> Range<u64> {
        let none = oldest..oldest;
        let count_max = match self.limit {
            Limit::PositionOnly => 0,
            Limit::AtMost(count) => count.min(count_max),
            Limit::All => count_max,
        } as u64;
        let (begin, end) = match &self.since {
            None => (oldest, top + 1),
            Some(since) if !since.epoch.is_empty() && since.epoch != *epoch => return none,
            Some(since) if self.reverse => {
                // Begins at the offset below, which must have been assigned.
                if since.offset > top + 1 {
                    return none;
                }
                (oldest, since.offset)
            }
            Some(since) => (oldest.max(since.offset.saturating_add(1)), top + 1),
        };
        let count = end.saturating_sub(begin).min(count_max);
        match self.reverse {
            _ if count == 0 => none,
            true => end - count..end,
            false => begin..begin + count,
        }
    }
}

/// Counts the bytes of an answer against [`HistoryQuery::bytes_max`].
pub(crate) struct AnswerBytes {
    bytes_max: usize,
    /// 0: the answer has no publication yet.
    bytes: usize,
}

impl AnswerBytes {
    pub(crate) fn new(bytes_max: Option<usize>) -> Self {
        Self {
            bytes_max: bytes_max.unwrap_or(usize::MAX),
            bytes: 0,
        }
    }

    /// Counts the next publication. Returns whether the answer has room for it.
    pub(crate) fn admit(&mut self, publication: &Publication) -> bool {
        let is_first = self.bytes == 0;
        self.bytes = self.bytes.saturating_add(publication.answer_bytes());
        is_first || self.bytes <= self.bytes_max
    }
}

/// How many publications a [`HistoryQuery`] wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// None: only the position of the top.
    #[default]
    PositionOnly,
    /// So many at most. 0 is the same as `PositionOnly`.
    AtMost(usize),
    /// As many as there are, up to the broker's limit for one answer.
    All,
}

/// An answer to a [`HistoryQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The publications, without a gap between them, in the order that was asked for. Not all of them, perhaps: see
    /// [`HistoryQuery`].
    pub publications: Vec<Arc<Publication>>,
    /// The top: the newest offset that was assigned, whether or not its publication is still kept, and the epoch.
    pub position: StreamPosition,
}
