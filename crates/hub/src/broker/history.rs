//! Questions about the history of a channel.

use std::{sync::Arc, time::Duration};

use crate::{Publication, StreamPosition};

/// A question about the history of a channel. The default asks for the position only.
///
/// - Without `since` the answer goes from the oldest publication that is kept upwards; with `reverse` from the newest
///   downwards.
/// - With `since` it begins at the next offset, in either direction.
/// - Upwards, if that offset isn't kept any more, it begins at the oldest that is. The caller sees the gap: the first offset
///   isn't `since.offset + 1`.
/// - Downwards, if that offset isn't kept or was never assigned, the answer is empty.
/// - If `since` is of another epoch the answer is empty. The empty epoch stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// How many publications are wanted.
    pub limit: Limit,
    /// Where to begin, exclusively. `None`: at an end.
    pub since: Option<StreamPosition>,
    /// Newest first.
    pub reverse: bool,
    /// How long offset and epoch are remembered from now on. 0 (the default): as long as the last publication or question
    /// said; for a new history the broker's default.
    pub meta_ttl: Duration,
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
    /// The publications, without a gap between them, in the order that was asked for.
    pub publications: Vec<Arc<Publication>>,
    /// The top: the newest offset that was assigned, whether or not its publication is still kept, and the epoch.
    pub position: StreamPosition,
}
