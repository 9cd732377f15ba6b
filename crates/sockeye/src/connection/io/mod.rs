//! The bytes under a connection: a socket of a worker's, with or without TLS, or any stream of tokio's.

mod http2_stream;
mod io;
mod stream;
pub(crate) mod tcp_info;
mod tls_socket;

pub(crate) use http2_stream::{Http2Stream, poll_room};
pub use stream::Stream;
pub(crate) use tcp_info::Outbound;

pub(crate) use io::Drained;
pub(crate) use io::Io;
pub(crate) use io::Received;
pub(crate) use tls_socket::TlsSocket;
