//! Messaging rules without sockets.
//!
//! What it is:
//! - [`presence`]: who is here, with how many devices, and since when the others are not.
//!
//! What it is not:
//! - a server: it knows no socket of a client, no HTTP, no configuration file; whoever has those calls it;
//! - a clock: time is an argument, and what needs it all the time asks a [`Clock`].
//!
//! ```text
//!   a client's connection                                             application, back end
//!   opens ──> join ──> ┐                         ┌──> status, list, count
//!                      ├──> registry (pure) ─────┤
//!   ends ──> drop ───> ┘       ^     │           └──> changes: online, offline
//!                         news │     v unsaved
//!                            keeper ──> store: memory, durable, redis
//! ```

mod clock;
mod error;
mod ids;
pub mod presence;
mod private_file;

pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use error::StoreError;
pub use ids::CLIENT_BYTES_MAX;
pub use private_file::open_private_file;
