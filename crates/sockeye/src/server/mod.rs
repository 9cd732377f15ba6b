//! The server: listeners, routes, and the way from an accepted socket to an endpoint.
//!
//! ```text
//!   listener ──> intake ──────────────> gate ───────────────> Established ──> endpoint | conversation
//!   (accept)     TLS, first, deadline   route, origin,         (the seam: what is beneath it may
//!                   │                   authorize, factory      change, what is above may not)
//!                   └──> http1, http2 ──> desk ^
//!                        later requests,  └──> fallback
//!                        streams
//! ```
//!
//! `registry` knows every open session, so that `drain` can say goodbye; a message passes it by.

mod address_limits;
mod admit;
mod builder;
mod drain;
mod handle;
mod http;
mod listen;
mod registry;
mod shared;
mod stranger;
mod tally;
mod worker;

pub use address_limits::{AddressLimits, AddressRateLimiter};
pub use admit::{Identify, Origins, Route, identity};
pub use builder::Server;
pub use drain::{Drain, DrainReport, Retry};
pub use handle::ServerHandle;
pub use http::HttpSettings;
pub use tally::Endings;

pub(crate) use admit::{LogLimit, refuse_origin};
