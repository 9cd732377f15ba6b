//! Limits the size of a write.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Stream;

/// A stream that takes at most [`WRITE_BYTES_MAX`] of a write.
///
/// hyper's streams of HTTP/2 buffer up to four slices of any size before a writer waits. With small slices they buffer
/// no more than a socket does, and the rest waits in the outbox, which has limits.
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

/// Bytes. The largest frame of HTTP/2, unless the peer allows more.
const WRITE_BYTES_MAX: usize = 16 << 10;
