//! Extensions: the grammar of `Sec-WebSocket-Extensions` and permessage-deflate (RFC 7692).
//!
//! ```text
//!   header value ──> grammar ──> negotiation ──> DeflateParams
//!                                                     │
//!             compressed payload ──> Inflater <───────┼───────> Deflater ──> compressed payload
//!                                        └── contexts from the thread's Pool ──┘
//!                                            (a Condenser for short messages)
//! ```
//!
//! There is no trait for extensions: one is in use, and a trait would be drawn from a single case.

mod condenser;
mod deflater;
mod grammar;
mod history;
mod inflater;
mod negotiation;
mod pool;

pub use deflater::{Deflater, Worth};
pub use grammar::{Extension, Extensions, Parameter, check};
pub use inflater::{InflateError, Inflater, Progress};
pub use negotiation::{Deflate, DeflateParams, ExtensionError};
pub(crate) use pool::emptied;
pub use pool::{End, Pool, Takeover};

#[cfg(test)]
mod tests;
