//! TLS, both ends, with rustls.

mod client;
mod server;
mod verifier;

pub(crate) use client::Alpn;
pub use client::ClientTls;
pub use server::ServerTls;
