//! One HTTP/2 stream as a stream of bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One HTTP/2 stream as a stream of bytes, in the client and in the server. It takes as many bytes as the
/// peer's window allows, and pends like a socket when that is none. Bytes that wait are then in the outbox,
/// where their limits are.
///
/// RFC 8441 section 5: END_STREAM stands for the end of TCP, RST_STREAM for its reset.
pub(crate) struct Http2Stream<G> {
    send: SendStream<Bytes>,
    recv: RecvStream,
    /// Bytes received and not yet read. Reading them gives their window back.
    received: Bytes,
    is_shut_down: bool,
    /// Its drop tells that the stream has ended.
    _guard: G,
}

impl<G> Http2Stream<G> {
    pub(crate) fn new(send: SendStream<Bytes>, recv: RecvStream, guard: G) -> Self {
        Self {
            send,
            recv,
            received: Bytes::new(),
            is_shut_down: false,
            _guard: guard,
        }
    }
}

impl<G: Unpin> AsyncRead for Http2Stream<G> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.received.is_empty() {
            match ready!(this.recv.poll_data(context)) {
                Some(Ok(data)) => this.received = data,
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.received.len().min(buffer.remaining());
        buffer.put_slice(&this.received[..length]);
        this.received.advance(length);
        let released = this.recv.flow_control().release_capacity(length);
        Poll::Ready(released.map_err(into_io))
    }
}

impl<G: Unpin> AsyncWrite for Http2Stream<G> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(poll_room(&mut this.send, bytes.len(), context))?;
        let data = Bytes::copy_from_slice(&bytes[..room]);
        this.send.send_data(data, false).map_err(into_io)?;
        Poll::Ready(Ok(room))
    }

    /// Does nothing: the task of the HTTP/2 connection writes as soon as it can.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_shut_down {
            return Poll::Ready(Ok(()));
        }
        this.is_shut_down = true;
        Poll::Ready(this.send.send_data(Bytes::new(), true).map_err(into_io))
    }
}

/// Waits until some of `wanted` bytes may be sent, and returns how many. Never 0, unless `wanted` is.
pub(crate) fn poll_room(
    send: &mut SendStream<Bytes>,
    wanted: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let wanted = wanted.min(WRITE_BYTES_MAX);
    loop {
        send.reserve_capacity(wanted);
        let capacity = send.capacity();
        if capacity > 0 {
            return Poll::Ready(Ok(capacity.min(wanted)));
        }
        match ready!(send.poll_capacity(context)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

fn into_io(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error
            .into_io()
            .unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
    }
    if error.is_reset() {
        return io::Error::new(io::ErrorKind::ConnectionReset, error);
    }
    io::Error::other(error)
}

/// Bytes that one stream asks for at once. The other streams of the connection can't use the window that it
/// was given and hasn't used.
const WRITE_BYTES_MAX: usize = 64 << 10;
