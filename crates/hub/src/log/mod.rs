//! The log: publications of all channels in one sequence of segment files.
//!
//! ```text
//!   orders ──> plan: offset, key, version ──> records ──> one write(2) ──> fdatasync, if each ──> index ──> outcomes
//!              (drafts, beside the index)       │                                                 │
//!                                               v                                                 v
//!     00000001.seg  …  00000007.seg (current)                            channel: epoch, top, place of each record
//!        oldest: emptied by copying forward, then removed                                         │
//!                                                                          checkpoint <── written a part at a time
//! ```
//!
//! - [`Log`] is a machine without a thread: its caller hands it orders, and calls [`Log::upkeep`] now and then.
//! - A record says which channel it belongs to by a number, and a `Name` record earlier in its segment says what the number
//!   stands for: a segment can be read alone.
//! - Its checksum covers the segment's id and the record's position, so that an old record in a reused block is not taken
//!   for a new one.
//! - Segments are removed in the order of their ids only. What is left of the log is therefore always its end, and the last
//!   record about a channel is there if any is.
//! - The index changes when the records have been written, and by the same functions as at the start, when they are read
//!   back.
//! - Files are not preallocated. The length of a file then is the end of the log, a full disk is met by `write(2)` and not
//!   by a fault later, and no byte is written twice.
//!
//! Power may fail between `write(2)` and `fdatasync`, and then any 512 bytes that were not synced may be missing, also in
//! the middle. A `Synced` record says that all before a position had been synced when it was written: a record that can't be
//! read before such a position is damage, and the log refuses to start; one behind is the end of the log.

mod append;
mod boot;
mod change;
mod channel;
mod checkpoint;
mod clean;
mod cleaning;
mod codec;
mod commit;
mod contents;
mod directory;
mod disk;
mod error;
mod health;
mod index;
mod log;
mod open;
mod places;
mod read;
mod record;
mod repair;
mod replay;
mod rescue;
mod scan;
mod segment;
mod segment_numbers;
mod settings;
mod snapshot;
mod tool;

pub(crate) use boot::BootId;
pub(crate) use commit::{Order, Outcome};
pub(crate) use directory::Directory;
pub(crate) use disk::Disk;
pub(crate) use health::Health;
pub(crate) use index::{Index, Presence};
pub(crate) use log::Log;
pub(crate) use read::Reader;
pub(crate) use settings::LogLimits;

pub use error::LogError;
pub use open::LogReport;
pub use settings::LogSync;
pub use tool::{check_log, dump_log, repair_log};

#[cfg(test)]
mod tests;
