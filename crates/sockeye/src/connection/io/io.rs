//! The socket or stream of one session.

use std::{
    io::{self, IoSlice, Read as _},
    os::fd::AsFd as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::connection::io::{
    socket::{self, Socket},
    stream::{Stream, socket_beneath},
    tcp_info::{Outbound, TcpInfo},
    tls_socket::TlsSocket,
};

/// The socket or stream of one session. A stream of tokio is polled by a task. A worker's socket is tried,
/// and tried again when the worker's loop says that it is ready. 16 bytes.
pub(crate) enum Io {
    /// The connection has ended.
    None,
    /// Boxed twice, so that this is one word: a worker's record stays small.
    Stream(Box<Polled>),
    Socket(Socket),
    Tls(Box<TlsSocket>),
}

/// A stream of tokio, polled by a task.
pub(crate) struct Polled {
    stream: Box<dyn Stream>,
    /// Bytes that the stream has taken; wraps around.
    taken: u32,
}

impl Io {
    pub(crate) fn from_stream(stream: impl Stream) -> Self {
        Self::from_boxed(Box::new(stream))
    }

    pub(crate) fn from_boxed(stream: Box<dyn Stream>) -> Self {
        Self::Stream(Box::new(Polled { stream, taken: 0 }))
    }

    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns whether it is a plain socket, which needs no goodbye of an upper layer.
    pub(crate) fn is_socket(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// Returns what is known of the bytes that it has taken.
    pub(crate) fn outbound(&self) -> Outbound {
        let (socket, otherwise) = match self {
            Self::Socket(socket) => (Some(socket.as_fd()), Outbound::Unknown),
            Self::Tls(tls) => (Some(tls.socket().as_fd()), Outbound::Unknown),
            Self::Stream(polled) => {
                let taken = Outbound::Counted(polled.taken);
                (socket_beneath(&*polled.stream), taken)
            }
            Self::None => (None, Outbound::Unknown),
        };
        let info = socket.and_then(TcpInfo::of);
        info.map_or(otherwise, Outbound::Tcp)
    }

    /// Has the kernel discard unsent bytes when the socket is closed, and reset the connection. The socket
    /// under a stream of tokio isn't known, so that stream is only closed.
    pub(crate) fn reset(&self) {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Tls(tls) => tls.socket(),
            Self::Stream(_) | Self::None => return,
        };
        // On failure the kernel discards the bytes after its own timeouts.
        let _ = socket.set_reset_on_close();
    }

    /// Reads from a plain socket: how many bytes, or 0 if the peer has ended its direction. `None` if it isn't one.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn poll_read_plain(&mut self, buffer: &mut [u8]) -> Option<Poll<io::Result<usize>>> {
        let Self::Socket(socket) = self else {
            return None;
        };
        Some(match socket::receive(socket, buffer) {
            Ok(len) => Poll::Ready(Ok(len)),
            Err(error) => read_again(error, socket, buffer),
        })
    }

    /// Reads, as [`Io::poll_read_plain`], from anything else than a plain socket.
    pub(crate) fn poll_read_layered(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Stream(stream) => {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut stream.stream).poll_read(cx, &mut buffer))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Self::Tls(tls) => attempt(|| tls.read(buffer)),
            Self::None | Self::Socket(_) => Poll::Ready(Ok(0)),
        }
    }

    #[inline]
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket) => attempt(|| match slices {
                [slice] => socket::send(socket, slice),
                _ => socket::send_slices(socket, slices),
            }),
            Self::Stream(polled) => polled.poll_write(cx, slices),
            Self::Tls(tls) => attempt(|| tls.write_vectored(slices)),
            Self::None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Returns whether all that the peer has sent is read, and nothing more comes. Only a plain socket tells without a
    /// read: `false` for anything else.
    pub(crate) fn is_at_end(&self) -> bool {
        let Self::Socket(socket) = self else {
            return false;
        };
        socket::is_at_end(socket)
    }

    /// Writes to a plain socket. `None` if it isn't one, or on an error, which [`Io::poll_write`] finds
    /// again.
    #[inline]
    pub(crate) fn try_write_plain(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Socket(socket) => socket::send(socket, bytes).ok(),
            _ => None,
        }
    }

    /// Writes the last bytes as [`Io::try_write_plain`] does. The kernel holds them until the socket is
    /// closed, so that one packet carries both.
    pub(crate) fn try_write_last(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Socket(socket) => socket::send_last(socket, bytes).ok(),
            _ => None,
        }
    }

    /// Writes several slices as [`Io::try_write_plain`] does.
    pub(crate) fn try_write_slices(&mut self, slices: &[IoSlice<'_>]) -> Option<usize> {
        match self {
            Self::Socket(socket) => socket::send_slices(socket, slices).ok(),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket(_) | Self::None => Poll::Ready(Ok(())),
            Self::Stream(polled) => polled.poll_flush(cx),
            Self::Tls(tls) => attempt(|| tls.flush()),
        }
    }

    /// Ends the sending direction.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(socket) => {
                // It fails if the peer is gone, and isn't needed then.
                let _ = socket.shutdown();
                Poll::Ready(())
            }
            Self::Stream(polled) => Pin::new(&mut polled.stream).poll_shutdown(cx).map(|_| ()),
            Self::Tls(tls) => attempt(|| tls.shutdown()).map(|_| ()),
            Self::None => Poll::Ready(()),
        }
    }
}

impl Polled {
    #[inline]
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let written = match slices {
            [slice] => stream.poll_write(cx, slice),
            _ => stream.poll_write_vectored(cx, slices),
        };
        if let Poll::Ready(Ok(len)) = written {
            self.taken = self.taken.wrapping_add(len as u32);
        }
        written
    }

    #[inline]
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

/// Decides what follows from a read that has failed.
#[cold]
fn read_again(error: io::Error, socket: &Socket, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Poll::Pending,
        io::ErrorKind::Interrupted => attempt(|| socket::receive(socket, buffer)),
        _ => Poll::Ready(Err(error)),
    }
}

/// Repeats an interrupted operation until it is done, fails, or would block.
#[inline]
fn attempt<T>(mut operation: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}
