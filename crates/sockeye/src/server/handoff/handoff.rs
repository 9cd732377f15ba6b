//! A connection on its way from tokio to a worker.

use std::any::Any;

use tokio::net::TcpStream;

use crate::{
    connection::{Established, Io, Permit, Stream},
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
    #[cfg(feature = "rustls")]
    if let Some(io) = tls_of(&mut stream) {
        return Ok(io);
    }
    match stream {
        Some(stream) => Err(stream),
        None => Ok(None),
    }
}

/// Returns the socket of `stream`, if that is TLS on TCP. The inner `None` is as for [`watchable`].
#[cfg(feature = "rustls")]
fn tls_of(stream: &mut dyn Any) -> Option<Option<Io>> {
    use crate::connection::TlsSocket;

    let tls = stream.downcast_mut::<Option<tokio_rustls::server::TlsStream<TcpStream>>>()?;
    let (tcp, tls) = tls.take()?.into_inner();
    Some(watchable(tcp).map(|socket| Io::Tls(Box::new(TlsSocket::new(socket, tls)))))
}

/// Returns `None` if tokio can't release the socket, as when the peer has closed it.
fn watchable(tcp: TcpStream) -> Option<mio::net::TcpStream> {
    tcp.into_std().ok().map(mio::net::TcpStream::from_std)
}
