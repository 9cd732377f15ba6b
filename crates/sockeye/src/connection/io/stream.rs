//! Streams that can carry a WebSocket.

use std::{
    any::Any,
    os::fd::{AsFd as _, BorrowedFd},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

#[cfg(feature = "server")]
use crate::connection::io::async_socket::AsyncSocket;

/// A stream that can carry a WebSocket: any ordered, reliable stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Returns the stream itself, so that its type can be found out.
    #[doc(hidden)]
    fn as_any(&self) -> &dyn Any;
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Returns the socket under a stream, if the stream is of a type that this crate opens: a socket, TLS on it, and boxes
/// around them.
pub(crate) fn socket_beneath(stream: &dyn Stream) -> Option<BorrowedFd<'_>> {
    let any = stream.as_any();
    if let Some(tcp) = any.downcast_ref::<TcpStream>() {
        return Some(tcp.as_fd());
    }
    #[cfg(feature = "server")]
    if let Some(socket) = any.downcast_ref::<AsyncSocket>() {
        return Some(socket.as_fd());
    }
    if let Some(boxed) = any.downcast_ref::<Box<dyn Stream>>() {
        return socket_beneath(&**boxed);
    }
    socket_beneath_tls(any)
}

#[cfg(feature = "rustls")]
fn socket_beneath_tls(any: &dyn Any) -> Option<BorrowedFd<'_>> {
    use tokio_rustls::{client, server};

    if let Some(tls) = any.downcast_ref::<server::TlsStream<TcpStream>>() {
        return Some(tls.get_ref().0.as_fd());
    }
    #[cfg(feature = "server")]
    if let Some(tls) = any.downcast_ref::<server::TlsStream<AsyncSocket>>() {
        return Some(tls.get_ref().0.as_fd());
    }
    let tls = any.downcast_ref::<client::TlsStream<Box<dyn Stream>>>()?;
    socket_beneath(&**tls.get_ref().0)
}

#[cfg(not(feature = "rustls"))]
fn socket_beneath_tls(_any: &dyn Any) -> Option<BorrowedFd<'_>> {
    None
}
