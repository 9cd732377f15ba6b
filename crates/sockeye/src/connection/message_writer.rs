//! One outgoing message as a stream of bytes.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use sockeye_proto::{CloseCode, MessageKind, extension::End};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{
    connection::{
        session::{SessionShared, WaiterTicket},
        write::{OutboxError, Writer},
    },
    error::Error,
};

/// Bytes of one fragment, except the last one and flushed ones. Peers count fragments, and some allow few.
const FRAGMENT_BYTES: usize = 64 << 10;

/// One outgoing message as a stream of bytes, from [`crate::Session::send_stream`].
///
/// Written bytes gather until they make a fragment of 64 KiB. A program whose next bytes may take time calls
/// `flush` to send what there is. [`tokio::io::copy`] does so whenever its source has nothing to read.
///
/// # Slow reader
///
/// A write waits for room in the outbox.
///
/// # Closing
///
/// [`MessageWriter::finish`] (or `shutdown`) ends the message. If the writer is dropped without it, the
/// connection is closed with 1011, so that the peer doesn't take a part for the whole message.
pub struct MessageWriter {
    shared: Arc<SessionShared>,
    kind: MessageKind,
    finished: bool,
    place: WaiterTicket,
    /// Bytes written and not yet sent; `len <= FRAGMENT_BYTES`.
    gathered: Vec<u8>,
}

impl MessageWriter {
    pub(crate) fn new(shared: Arc<SessionShared>, kind: MessageKind) -> Self {
        Self {
            place: WaiterTicket::new(Writer::waiting),
            shared,
            kind,
            finished: false,
            gathered: Vec::new(),
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
        let finished = self.shutdown().await;
        finished.map_err(|_| Error::not_open(self.shared.lock_in_order().closed().cloned()))
    }

    /// Sends the gathered bytes.
    fn poll_gathered(&mut self, cx: &mut Context<'_>, end: End) -> Poll<io::Result<()>> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let sent = self.poll_part(cx, &gathered, end);
        if sent.is_ready() {
            gathered.clear();
        }
        self.gathered = gathered;
        sent
    }

    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
        end: End,
    ) -> Poll<io::Result<()>> {
        let mut writer = self.shared.lock_in_order();
        match writer.try_send_part(self.kind, payload, end) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(OutboxError::Closed) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Err(OutboxError::Full) => {
                self.place.wait(&self.shared, &mut writer, cx.waker());
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
        // Gathering touches no socket, so nothing else would report the end.
        if self.finished || !self.shared.lock_in_order().is_open() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.gathered.len() == FRAGMENT_BYTES {
            ready!(self.poll_gathered(cx, End::No))?;
        }
        let room = FRAGMENT_BYTES - self.gathered.len();
        let payload = &bytes[..bytes.len().min(room)];
        if payload.len() == FRAGMENT_BYTES {
            ready!(self.poll_part(cx, payload, End::No))?;
            return Poll::Ready(Ok(payload.len()));
        }
        self.gathered.extend_from_slice(payload);
        if self.gathered.len() == FRAGMENT_BYTES
            && let Poll::Ready(Err(error)) = self.poll_gathered(cx, End::No)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(payload.len()))
    }

    /// Sends the gathered bytes. Ready once the outbox has them.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.gathered.is_empty() {
            ready!(self.poll_gathered(cx, End::No))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            ready!(self.poll_gathered(cx, End::Yes))?;
            self.finished = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.shared
                .lock_in_order()
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
