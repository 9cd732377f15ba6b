//! A stream that takes little at a time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Stream;

/// A stream that takes little of what is written at a time.
///
/// hyper's streams of HTTP/2 take a slice of any size whole, and up to four before they make the writer wait.
/// In small pieces that is no more than a socket's buffer, and the rest waits in the outbox, where its limits are.
pub(super) struct SmallWrites<S>(pub(super) S);

impl<S: Stream> AsyncRead for SmallWrites<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
    }
}

impl<S: Stream> AsyncWrite for SmallWrites<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let piece = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        Pin::new(&mut self.get_mut().0).poll_write(cx, piece)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// Bytes. As large as a frame of HTTP/2 is at most, unless the peer allows more.
const WRITE_BYTES_MAX: usize = 16 << 10;
