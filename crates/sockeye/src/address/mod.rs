//! Limits for each client address: how many connections it may hold, and how often it may do something.
//!
//! ```text
//!   RequestInfo ──> key ──> table: connections and rate of each address ──> permit | RetryAfter
//!                  (/64 of IPv6)   (bounded, sharded)
//! ```

mod key;
mod rate;
mod table;

pub use key::AddressKey;
pub use rate::{Rate, RetryAfter};

pub(crate) use key::Key;
pub(crate) use table::{AddressPermit, AddressTable};
