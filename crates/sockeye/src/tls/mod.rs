//! TLS with rustls, for clients and servers.
//!
//! ```text
//!   ClientTls (default roots, certificate) ──> ClientConfig for each Alpn ──> connect(stream) ──> Secured
//!       └── Verifier: checks the server's certificate
//!   ServerTls (chain, key; replaceable)    ──> ServerConfig ──> TlsAcceptor
//!
//!   provider: the cryptography of both; absent: stands for both without the feature `rustls`
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
