//! Questions about the history of a channel.

use std::{sync::Arc, time::Duration};

use crate::{Publication, StreamPosition};

/// A question about the history of a channel. The default asks for the position only.
///
/// Which publications the answer holds:
///
/// | | `reverse: false` | `reverse: true` |
/// |---|---|---|
/// | `since: None` | from the oldest that is kept, upwards | from the newest, downwards |
/// | `since` of the present epoch, or of the empty one | from offset + 1 upwards | from offset − 1 downwards |
/// | ... whose offset + 1 isn't kept any more | from the oldest that is kept: there is a gap, and the caller sees it in the offset | those below, if any are kept |
/// | ... below the lowest or above the highest place to begin | none above the top | none below the oldest, and none if offset − 1 is above the top |
/// | `since` of another epoch | none | none |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// How many publications are wanted.
    pub limit: Limit,
    /// Where to begin, exclusively. `None`: at an end.
    pub since: Option<StreamPosition>,
    /// Newest first.
    pub reverse: bool,
    /// How long offset and epoch are remembered from now on. 0 (the default): the broker's default.
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
