//! Extensions: the grammar of `Sec-WebSocket-Extensions` and permessage-deflate (RFC 7692).
//!
//! ```text
//!   header value ──> grammar ──> negotiation ──> DeflateParams
//!                                                     │
//!             compressed payload ──> Inflater <───────┼───────> Deflater ──> compressed payload
//!                                        └── contexts from the thread's Pool ──┘
//!                                            (a FastDeflate for short messages)
//! ```
//!
//! There is no trait for extensions: one is in use, and a trait would be drawn from a single case.

mod codec;
mod deflater;
mod error;
mod fast_deflate;
mod grammar;
mod history;
mod inflater;
mod negotiation;
mod params;
mod pool;
mod settings;

pub use codec::{Compression, End, InflateError, Progress, Takeover};
pub use deflater::Deflater;
pub use error::ExtensionError;
pub use grammar::{Extension, Extensions, Parameter, check};
pub use inflater::Inflater;
pub use params::DeflateParams;
pub use pool::Pool;
pub(crate) use pool::emptied;
pub use settings::Deflate;

#[cfg(test)]
mod tests;
