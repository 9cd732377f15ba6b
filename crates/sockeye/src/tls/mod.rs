//! TLS, both ends, with rustls.

mod server;

pub use server::ServerTls;
