//! What is done to a map, and what came of it.

use std::sync::Arc;

use bytes::Bytes;

use crate::{ClientInfo, Epoch, StreamPosition, Tags, UnixMillis};

/// A change of an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) key: Arc<str>,
    /// `None` removes the entry.
    pub(crate) data: Option<Bytes>,
    /// What filters look at. A removal without tags has those of the entry.
    pub(crate) tags: Tags,
    pub(crate) info: Option<Arc<ClientInfo>>,
    pub(crate) time: UnixMillis,
    pub(crate) idempotency_key: Option<Arc<str>>,
    /// A version that isn't above the entry's is suppressed. 0: none, and the entry keeps its own.
    pub(crate) version: u64,
    pub(crate) version_epoch: Epoch,
    pub(crate) condition: MapCondition,
}

/// Whether an entry must be there to be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapCondition {
    /// It is set in any case.
    #[default]
    None,
    /// It must not be there.
    IfNew,
    /// It must be there.
    IfExists,
}

/// What came of a change of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapChanged {
    /// Its position. For a repeated idempotency key that of the first change with the key, for another one that was
    /// suppressed that of the map. The offset is 0 where the map has no stream.
    pub position: StreamPosition,
    /// Why it has not happened. `None` if it has.
    pub suppressed: Option<MapSuppression>,
}

/// Why a change of a map has not happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapSuppression {
    /// The map has had a change with this idempotency key.
    Idempotency,
    /// The entry has this version, or a higher one.
    Version,
    /// The entry is there, and was to be new.
    KeyExists,
    /// The entry is not there.
    KeyNotFound,
}

impl MapSuppression {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [
        Self::Idempotency,
        Self::Version,
        Self::KeyExists,
        Self::KeyNotFound,
    ];

    /// Returns the word by which back ends are told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idempotency => "idempotency",
            Self::Version => "version",
            Self::KeyExists => "key_exists",
            Self::KeyNotFound => "key_not_found",
        }
    }
}
