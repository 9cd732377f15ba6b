//! The client: from a URL to an open WebSocket.
//!
//! ```text
//!   connect: URL ──> Target ──> UpgradeRequest ──> dial ──────────────────> http1 or http2 ──> Established
//!                      ^                           │ address_overrides,      │ request, response (exchange)
//!                      │                           │ or resolve              │
//!                      │                           │ happy_eyeballs: TCP,    │
//!                      │                           │ or unix_socket          │
//!                      │                           │ (proxy), (TLS)          │
//!                      └───────────────────── redirect ──────────────────────┘
//! ```
//!
//! `reconnect` repeats this whenever the connection is lost.

mod address_overrides;
mod connect;
mod connect_request;
mod dial;
mod exchange;
mod happy_eyeballs;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod own_headers;
mod phase;
mod proxy;
pub mod reconnect;
mod redirect;
mod target;
mod unix_dial;
mod unix_socket;
mod upgrade_request;

#[cfg(feature = "http2")]
pub use connect::Http2;
pub use connect::{Connect, Connecting, connect};
pub use connect_request::connect_request;
pub use proxy::Proxy;
