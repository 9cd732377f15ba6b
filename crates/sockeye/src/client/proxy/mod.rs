//! Proxies: HTTP CONNECT and SOCKS5.
//!
//! ```text
//!   choice (no_proxy) ──> server: TCP ──> (TLS with the proxy) ──> http_connect or socks5 ──> a stream to the target
//! ```

mod choice;
pub(super) mod http_connect;
mod no_proxy;
pub(super) mod server;
pub(super) mod socks5;

pub use choice::Proxy;
pub(crate) use http_connect::tunnel;
pub(crate) use server::{ProxyScheme, ProxyServer};
pub(crate) use socks5::{Destination, Socks5Error, socks5};
