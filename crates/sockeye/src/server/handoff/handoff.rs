//! A connection on its way from tokio to a worker.

use std::any::Any;

use tokio::net::{TcpStream, UnixStream};

use crate::{
    connection::{AsyncSocket, Established, Io, Permit, Stream},
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

/// Returns the socket of `stream`, if a worker can register it: TCP or Unix, with or without TLS. Otherwise the stream
/// itself is the error. `None` if the socket is lost, as when the peer has closed it.
///
/// # Panics
///
/// Panics outside a tokio runtime.
pub(crate) fn socket_of<S: Stream>(stream: S) -> Result<Option<Io>, S> {
    let mut stream = Some(stream);
    let any: &mut dyn Any = &mut stream;
    if let Some(socket) = taken::<AsyncSocket, AsyncSocket>(any)
        .or_else(|| taken::<TcpStream, AsyncSocket>(any))
        .or_else(|| taken::<UnixStream, AsyncSocket>(any))
    {
        return Ok(socket.into_worker().ok().map(Io::Socket));
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

/// Takes the stream out, if its type is `S`.
fn taken<S: Into<T> + 'static, T>(stream: &mut dyn Any) -> Option<T> {
    let stream = stream.downcast_mut::<Option<S>>()?;
    stream.take().map(Into::into)
}

/// Returns the socket of `stream`, if that is TLS on one. The inner `None` is as for [`socket_of`].
#[cfg(feature = "rustls")]
fn tls_of(stream: &mut dyn Any) -> Option<Option<Io>> {
    use tokio_rustls::server::TlsStream;

    use crate::connection::TlsSocket;

    let own = stream.downcast_mut::<Option<TlsStream<AsyncSocket>>>();
    let (socket, tls) = match own.and_then(Option::take) {
        Some(stream) => stream.into_inner(),
        // A stream of the program.
        None => {
            let stream = stream.downcast_mut::<Option<TlsStream<TcpStream>>>()?;
            let (socket, tls) = stream.take()?.into_inner();
            (socket.into(), tls)
        }
    };
    let socket = socket.into_worker().ok();
    Some(socket.map(|socket| Io::Tls(Box::new(TlsSocket::new(socket, tls)))))
}
