//! Maps: channels whose publications set and remove the entries of a table that every subscriber has.
//!
//! ```text
//!   set, remove ──> Maps ── one lock for each map ──> MapEntries: does the entry allow it?
//!                    │                                    ^
//!                    ├── broker: the change, with the next offset, to the stream and to subscribers
//!                    ├── MapEntries: the entry itself ────┘
//!                    └── broker, if it survives the process: the entry, in a channel of its own
//! ```
//!
//! - The broker knows streams alone. What it keeps of a map's changes lets clients that come back catch up; the entries are
//!   kept here.
//! - A change is delivered before the entry has it, and both happen under the map's lock: who reads entries is told the offset
//!   up to which they are, and finds every later change in the stream.
//! - With a broker that survives the process each entry of a map with a stream is kept in a channel that no client can name. After a
//!   restart a map is read when it is needed first. A change whose entry was not written any more is then taken from the
//!   stream.

mod change;
mod entries;
mod kept;
mod key_channel;
mod limits;
mod maps;
mod record;

pub(crate) use change::Change;
pub(crate) use maps::Maps;

pub use change::{MapChanged, MapCondition, MapSuppression};
pub use limits::{KEY_BYTES_MAX, MapLimits};
pub use maps::MapStateQuery;

#[cfg(test)]
mod tests;
