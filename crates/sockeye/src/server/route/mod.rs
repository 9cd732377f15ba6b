//! The routes of a server: which path leads to which handler, which pages and clients may connect, and who they are.
//!
//! ```text
//!   request ──> forwarded (what proxies say) ──> routes: path ──> route: origin ──> identity ──> authorize ──> handler
//! ```
//!
//! `address_limits` counts what each client address takes.

mod forwarded;

mod routes;

mod route;

mod path;

mod origin;

pub mod identity;

mod handler;

mod address_limits;

pub(crate) use address_limits::Addresses;
pub use address_limits::{AddressLimits, AddressRateLimiter};
pub(crate) use forwarded::TrustedProxies;
pub(crate) use handler::Handler;
pub use identity::Identify;
pub use origin::Origins;
pub(crate) use origin::{ORIGIN_ADVICE, refuse_origin};
pub use route::Route;
pub(crate) use route::{Authorization, BoxFuture, CompiledRoute};
pub(crate) use routes::{RouteAdapter, RouteMatch, Routes};
