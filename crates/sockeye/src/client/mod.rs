//! The client: from a URL to an open WebSocket.
//!
//! ```text
//!   URL -> Target -> resolve -> race of addresses -> (proxy) -> (TLS) -> request, response -> Established
//!                ^                                                             |
//!                +-------------------------- redirect -------------------------+
//! ```

mod address_overrides;
mod connect;
mod dial;
mod exchange;
mod happy_eyeballs;
mod hop;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod phase;
mod proxy;
pub mod reconnect;
mod redirect;
mod target;

#[cfg(feature = "http2")]
pub use connect::Http2;
pub use connect::{Connect, Connecting, connect};
pub use proxy::Proxy;
