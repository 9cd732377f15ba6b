//! The server: listeners, routes, and the way from an accepted socket to an endpoint.
//!
//! ```text
//!   listener ──> intake ──────────────> gate ───────────────> Established ──> endpoint | conversation
//!   (accept)     TLS, head, deadline    route, origin,         (the seam: what is beneath it may
//!                   │                   authorize, factory      change, what is above may not)
//!                   └──> desk ────────────^
//!                        hyper: HTTP/2, later requests, fallback
//! ```
//!
//! `registry` knows every open session, so that `drain` can say goodbye; a message passes it by.

mod builder;
mod connections;
mod desk;
mod gate;
mod handle;

mod intake;
mod listener;
mod origin;
mod refusal;
mod registry;
mod replay;
mod route;
mod shared;

pub use builder::Server;
pub use handle::ServerHandle;
pub use origin::Origins;
pub use refusal::Refusal;
pub use route::Route;

pub(crate) use connections::Permit;
pub(crate) use origin::Tls;
pub(crate) use registry::{Registry, Tally};
pub(crate) use shared::{Phase, Shared};
