//! TLS, both ends, with rustls.

mod client;
mod root_or_itself;
mod server;

pub(crate) use client::Alpn;
pub use client::ClientTls;
pub use server::ServerTls;
