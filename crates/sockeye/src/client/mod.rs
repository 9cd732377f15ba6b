//! The client: from a URL to an open WebSocket.
//!
//! ```text
//!   URL -> Target -> resolve -> race of addresses -> (proxy) -> (TLS) -> request, response -> Established
//!                ^                                                             |
//!                +-------------------------- redirect -------------------------+
//! ```

mod connect;
mod dial;
mod hop;
mod http1;
mod http2;
mod phase;
mod redirect;
mod target;

pub use connect::{Connect, Connecting, Http2, connect};
pub(crate) use target::{Scheme, Target, basic_authorization, shown};
