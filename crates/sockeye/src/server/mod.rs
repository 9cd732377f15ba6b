//! The server: listeners, routes, and the way from an accepted socket to an endpoint.
//!
//! ```text
//!   listener ──> first_request ──────────────> admission ───────────────> Established ──> endpoint | conversation
//!   (accept)     TLS, first, deadshared   route, origin,         (the seam: what is beneath it may
//!                   │                   authorize, factory      change, what is above may not)
//!                   └──> http1, http2 ──> http_service ^
//!                        later requests,  └──> fallback
//!                        streams
//! ```
//!
//! `registry` knows every open session, so that `drain` can say goodbye; a message passes it by.

mod admit;
mod builder;
mod drain;
mod failure;
mod farewell;
mod first_request;
mod handle;
mod handoff;
mod http;
mod http_settings;
mod listen;
mod listening;
mod registry;
mod route;
mod shared;
mod stats;
mod worker;

pub use builder::Server;
pub use drain::{Drain, DrainReport};
pub use farewell::Retry;
pub use handle::ServerHandle;
pub use http_settings::HttpSettings;
pub use route::{AddressLimits, AddressRateLimiter, Identify, Origins, Route, identity};
pub(crate) use route::{LogLimit, refuse_origin};
pub use stats::Endings;
