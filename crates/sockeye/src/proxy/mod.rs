//! Proxies on the way to a server: HTTP CONNECT and SOCKS5.
//!
//! ```text
//!   TCP to the proxy -> (TLS to the proxy) -> CONNECT or SOCKS5 -> the stream leads to the server
//! ```

mod choice;
mod http_connect;
mod no_proxy;
mod server;
mod socks5;

pub use choice::Proxy;
pub(crate) use http_connect::tunnel;
pub(crate) use server::{ProxyScheme, ProxyServer};
pub(crate) use socks5::{Destination, Socks5Error, socks5};
