//! Limits for each client address: how many connections it may hold, and how often it may do something.
//!
//! ```text
//!   RequestInfo ──> key ──> table: connections and rate of each address ──> permit | RetryAfter
//!                  (/64 of IPv6)   (bounded, sharded)
//! ```

mod key;
#[cfg(feature = "server")]
mod rate;
#[cfg(feature = "server")]
mod table;

pub use key::AddressKey;
#[cfg(feature = "server")]
pub use rate::{Rate, RetryAfter};

pub(crate) use key::Key;
#[cfg(feature = "server")]
pub(crate) use table::{AddressPermit, AddressTable};
