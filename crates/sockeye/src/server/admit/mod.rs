//! From the first request to an open WebSocket: what a connection asks for, and whether it may.
//!
//! ```text
//!   intake (TLS, first request, deadline) ──> gate: route ──> origin ──> identity ──> authorize ──> opener
//! ```

mod first;
mod forwarded;
mod gate;
pub mod identity;
pub(crate) mod intake;
mod log_limit;
mod opener;
pub(crate) mod origin;
mod path;
mod route;

pub(crate) use first::First;
pub(crate) use forwarded::TrustedProxies;
pub(crate) use gate::{Admission, Admitted};
pub use identity::Identify;
pub(crate) use intake::{Accepted, Standing};
pub(crate) use log_limit::LogLimit;
pub use origin::Origins;
pub(crate) use origin::refuse as refuse_origin;
pub use route::Route;
pub(crate) use route::Routes;
