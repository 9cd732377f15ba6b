//! What a server's routes say: which path leads where, which pages and which clients may come, and who they are.
//!
//! ```text
//!   request ──> forwarded (what proxies tell) ──> route: path ──> origin ──> identity ──> handler
//! ```

mod address_limits;
mod forwarded;
mod handler;
pub mod identity;
mod log_limit;
mod origin;
mod path;
mod route;

pub(crate) use address_limits::Addresses;
pub use address_limits::{AddressLimits, AddressRateLimiter};
pub(crate) use forwarded::TrustedProxies;
pub(crate) use handler::Handler;
pub use identity::Identify;
pub(crate) use log_limit::LogLimit;
pub use origin::Origins;
pub(crate) use origin::refuse_origin;
pub use route::Route;
pub(crate) use route::{BoxFuture, CompiledRoute, Found, Routes, Verdict};
