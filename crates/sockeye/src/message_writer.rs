//! One outgoing message as a stream of bytes.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use sockeye_proto::{CloseCode, Kind, extension::End};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{
    Error,
    session::{Place, Shared},
    wire::{Refused, Wire},
};

/// Bytes. One fragment: what fits it is sent as it comes.
const FRAGMENT_BYTES_MAX: usize = 64 << 10;

/// One outgoing message as a stream of bytes, from [`crate::Session::send_stream`]: each write is a
/// fragment, so wrap it into a [`tokio::io::BufWriter`] if you write little at a time.
///
/// # Slow reader
///
/// A write waits for room in the outbox.
///
/// # Closing
///
/// [`MessageWriter::finish`] (or `shutdown`) ends the message. Dropped without it, the message can't
/// be completed, and the connection is closed with 1011: the peer must not take a part for the whole.
pub struct MessageWriter {
    shared: Arc<Shared>,
    kind: Kind,
    finished: bool,
    place: Place,
}

impl MessageWriter {
    pub(crate) fn new(shared: Arc<Shared>, kind: Kind) -> Self {
        Self {
            place: Place::new(Wire::waiting),
            shared,
            kind,
            finished: false,
        }
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// The connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// Cancelled before it is ready, the message is abandoned as if the writer were dropped.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.shutdown().await.map_err(|_| Error::closed())
    }

    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
        end: End,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.shared.wire();
        match wire.try_send_part(self.kind, payload, end) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Refused::Closed) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Err(Refused::Full) => {
                self.place.wait(&self.shared, &mut wire, cx.waker());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for MessageWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let payload = &bytes[..bytes.len().min(FRAGMENT_BYTES_MAX)];
        if !payload.is_empty() {
            ready!(self.poll_part(cx, payload, End::No))?;
        }
        Poll::Ready(Ok(payload.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Each write is on its way already.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            ready!(self.poll_part(cx, &[], End::Yes))?;
            self.finished = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.shared
                .wire()
                .close(CloseCode::INTERNAL_ERROR, "message abandoned");
        }
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
