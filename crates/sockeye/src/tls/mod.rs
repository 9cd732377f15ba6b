//! TLS with rustls, for clients and servers.
//!
//! ```text
//!   ClientTls (trust, client certificate) ──> ClientConfig for each Alpn ──> connect(stream) ──> TlsStream
//!       └── Verifier: checks the server's certificate
//!   ServerTls (chain, key; replaceable)   ──> ServerConfig ──> TlsAcceptor
//! ```

#[cfg(not(feature = "rustls"))]
mod absent;
#[cfg(all(feature = "rustls", feature = "client"))]
mod client;
#[cfg(feature = "rustls")]
mod provider;
#[cfg(all(feature = "rustls", feature = "client"))]
mod roots;
mod secured;
#[cfg(all(feature = "rustls", feature = "server"))]
mod server;
#[cfg(all(feature = "rustls", feature = "client"))]
mod verifier;

#[cfg(not(feature = "rustls"))]
pub use absent::{ClientTls, ServerTls, TlsAcceptor};
#[cfg(all(feature = "rustls", feature = "client"))]
pub use client::ClientTls;
pub(crate) use secured::Alpn;
#[cfg(all(feature = "rustls", feature = "server"))]
pub use server::ServerTls;
#[cfg(feature = "rustls")]
pub(crate) use tokio_rustls::TlsAcceptor;
