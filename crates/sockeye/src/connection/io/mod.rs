//! The bytes under a connection: a socket of a worker's, with or without TLS, or any stream of tokio's.

mod carrier;
mod http2_stream;
mod stream;
pub(crate) mod tcp_info;
mod tls_socket;

pub(crate) use carrier::{Carrier, Drained, Received};
pub(crate) use http2_stream::{Http2Stream, poll_room};
pub use stream::Stream;
pub(crate) use tcp_info::Outbound;

pub(crate) use tls_socket::TlsSocket;
