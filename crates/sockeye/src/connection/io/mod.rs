//! The bytes under a connection: a worker's own socket, with or without TLS, or any stream of tokio.
//!
//! ```text
//!   worker ──> Socket: TCP or Unix (mio) ───┐
//!   worker ──> TlsSocket ──────────────────┼──> Io ──> read, write
//!   any Stream of tokio, Http2Stream ──────┘     └──> tcp_info: what the kernel knows of sent bytes
//! ```
//!
//! An `AsyncSocket` is a server's socket before it comes to a worker, or if it stays on tokio.

#[cfg(feature = "server")]
mod async_socket;
#[cfg(feature = "http2")]
mod http2_stream;
mod io;
#[cfg(feature = "server")]
mod socket;
#[cfg(not(feature = "server"))]
#[path = "socket/absent.rs"]
mod socket;
mod stream;
pub(crate) mod tcp_info;
#[cfg(all(feature = "server", feature = "rustls"))]
mod tls_socket;
#[cfg(not(all(feature = "server", feature = "rustls")))]
#[path = "tls_socket/absent.rs"]
mod tls_socket;

#[cfg(feature = "server")]
pub(crate) use async_socket::AsyncSocket;
#[cfg(feature = "http2")]
pub(crate) use http2_stream::{Http2Stream, poll_room};
pub(crate) use io::Io;
#[cfg(feature = "server")]
pub(crate) use socket::Socket;
pub use stream::Stream;
pub(crate) use tcp_info::Outbound;
pub(crate) use tls_socket::TlsSocket;
