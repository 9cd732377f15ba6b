//! Proxies on the way to a server: HTTP CONNECT and SOCKS5.
//!
//! ```text
//!   TCP to the proxy -> (TLS to the proxy) -> CONNECT or SOCKS5 -> the stream leads to the server
//! ```

mod choice;
pub(super) mod http_connect;
mod no_proxy;
pub(super) mod server;
pub(super) mod socks5;

pub use choice::Proxy;
pub(crate) use http_connect::tunnel;
pub(crate) use server::ProxyScheme;
pub(crate) use server::ProxyServer;
pub(crate) use socks5::Destination;
pub(crate) use socks5::Socks5Error;
pub(crate) use socks5::socks5;
