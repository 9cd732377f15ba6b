//! The limits of maps.

/// Bytes. The longest key of an entry. Each is in memory, and in every page and change.
pub const KEY_BYTES_MAX: usize = 1_024;

/// Bytes. Entries in one page, with what belongs to them, but at least one entry. A page is one reply, which has to fit into
/// the client's outbox.
pub(super) const PAGE_BYTES_MAX: usize = 256 << 10;

/// Entries whose time is over that one operation on a map removes. Others stay for the next one.
pub(super) const EXPIRED_MAX: usize = 1_024;

/// What the maps of a node may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapLimits {
    /// Entries of one map; 100,000 by default. One more is refused.
    pub keys_max: usize,
    /// Bytes. The entries of all maps; 256 MiB by default. A change that needs more is refused.
    pub bytes_max: usize,
}

impl Default for MapLimits {
    fn default() -> Self {
        Self {
            keys_max: 100_000,
            bytes_max: 256 << 20,
        }
    }
}
