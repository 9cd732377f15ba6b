//! Extensions: the grammar of `Sec-WebSocket-Extensions` and permessage-deflate (RFC 7692).
//!
//! ```text
//!   header value ──> grammar ──> negotiation ──> DeflateParams
//!                                                     │
//!             compressed payload ──> Inflater <───────┼───────> Deflater ──> compressed payload
//!                                        └── contexts from the thread's Pool ──┘
//! ```
//!
//! There is no trait for extensions, because only one is in use.
//!
//! Without the feature `deflate` there are no `Inflater` and no `Deflater`, and nothing is agreed on.

mod codec;
mod error;
mod grammar;
mod params;
mod pool;
mod settings;

#[cfg(not(feature = "deflate"))]
mod absent;
#[cfg(feature = "deflate")]
mod contexts;
#[cfg(feature = "deflate")]
mod deflater;
#[cfg(feature = "deflate")]
mod fast_deflate;
#[cfg(feature = "deflate")]
mod history;
#[cfg(feature = "deflate")]
mod inflater;
#[cfg(feature = "deflate")]
mod negotiation;

#[cfg(not(feature = "deflate"))]
use absent::Contexts;
#[cfg(not(feature = "deflate"))]
pub(crate) use absent::{Deflater, Inflater, deflate_once, offer};
pub use codec::{Compression, End, InflateError, Progress, Takeover};
#[cfg(feature = "deflate")]
use contexts::Contexts;
#[cfg(feature = "deflate")]
pub use deflater::Deflater;
#[cfg(feature = "deflate")]
pub(crate) use deflater::deflate_once;
pub use error::ExtensionError;
pub use grammar::{Extension, Extensions, Parameter, check};
#[cfg(feature = "deflate")]
pub use inflater::Inflater;
#[cfg(feature = "deflate")]
pub(crate) use negotiation::offer;
pub use params::DeflateParams;
pub use pool::Pool;
pub(crate) use pool::emptied;
pub use settings::Deflate;

#[cfg(all(test, feature = "deflate"))]
mod tests;
