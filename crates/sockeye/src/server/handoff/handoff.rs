//! A connection on its way from tokio to a worker.

use std::any::Any;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::{
    connection::{Established, Io, Permit, Stream, TlsSocket},
    endpoint::Endpoint,
};

/// A connection on its way to a worker: the handshake is agreed on, and its response is not sent yet.
pub(crate) struct Handoff {
    pub(crate) established: Established,
    /// The bytes of the response with status 101.
    pub(crate) response: Vec<u8>,
    pub(crate) endpoint: Box<dyn Endpoint>,
    pub(crate) permit: Permit,
}

/// Returns the socket of `stream`, if a worker can register it: TCP, or TLS on TCP. Otherwise the stream itself is
/// the error. `None` if the socket is lost.
///
/// # Panics
///
/// Panics outside a tokio runtime.
pub(crate) fn socket_of<S: Stream>(stream: S) -> Result<Option<Io>, S> {
    let mut stream = Some(stream);
    let any: &mut dyn Any = &mut stream;
    if let Some(tcp) = any
        .downcast_mut::<Option<TcpStream>>()
        .and_then(Option::take)
    {
        return Ok(watchable(tcp).map(Io::Socket));
    }
    let any: &mut dyn Any = &mut stream;
    if let Some(tls) = any
        .downcast_mut::<Option<TlsStream<TcpStream>>>()
        .and_then(Option::take)
    {
        let (tcp, tls) = tls.into_inner();
        let socket = watchable(tcp);
        return Ok(socket.map(|socket| Io::Tls(Box::new(TlsSocket::new(socket, tls)))));
    }
    match stream {
        Some(stream) => Err(stream),
        None => Ok(None),
    }
}

/// Returns `None` if tokio can't release the socket, as when the peer has closed it.
fn watchable(tcp: TcpStream) -> Option<mio::net::TcpStream> {
    tcp.into_std().ok().map(mio::net::TcpStream::from_std)
}
