//! One incoming message as a stream of bytes.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use sockeye_proto::MessageKind;
use tokio::io::{AsyncRead, ReadBuf};

use crate::{
    closed::Closed,
    error::Error,
    websocket::{
        background_driver::{RecvCall, RecvShared, RecvState},
        drive_state::WaitKind,
        message_queue::Item,
    },
};

/// One incoming message as a stream of bytes, from [`crate::WebSocket::recv_stream`].
///
/// A read returns 0 bytes after the end of the message. Text has been checked for UTF-8, but a read may end within a
/// character.
///
/// Dropping the reader before the end skips the rest of the message.
///
/// # Errors
///
/// A read fails with [`io::ErrorKind::UnexpectedEof`] if the connection ends before the message does. The inner error is
/// a [`crate::Error`] with [`crate::Error::closed`]; the next [`crate::WebSocket::recv`] returns the cause.
///
/// # Cancel safety
///
/// A read that is dropped before it is ready loses no bytes.
pub struct MessageReader<'a> {
    shared: &'a RecvShared,
    call: RecvCall<'a>,
    kind: MessageKind,
    /// `current[read..]` has been received and not been read. `0 <= read <= current.len()`.
    current: Vec<u8>,
    read: usize,
    /// Whether `current` is the last part of the message.
    last: bool,
}

impl<'a> MessageReader<'a> {
    pub(crate) fn new(shared: &'a RecvShared, kind: MessageKind, begin: Item) -> Self {
        let (current, last) = match begin {
            Item::Message(message) => (message.into_vec(), true),
            Item::Part { payload, last, .. } => (payload, last),
        };
        Self {
            shared,
            call: shared.begin_call(WaitKind::Poll),
            kind,
            current,
            read: 0,
            last,
        }
    }

    /// Returns whether the message is text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }
}

impl AsyncRead for MessageReader<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.read == this.current.len() {
            if this.last {
                return Poll::Ready(Ok(()));
            }
            let part = this.shared.poll_until(cx, &mut this.call, next_part);
            match ready!(part) {
                Ok((payload, last)) => {
                    this.current = payload;
                    this.read = 0;
                    this.last = last;
                }
                Err(closed) => {
                    let kind = io::ErrorKind::UnexpectedEof;
                    return Poll::Ready(Err(io::Error::new(kind, Error::ended(closed))));
                }
            }
        }
        let rest = &this.current[this.read..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.read += count;
        Poll::Ready(Ok(()))
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        if !self.last {
            self.shared.state().skips = true;
        }
    }
}

impl fmt::Debug for MessageReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Takes the next part. Returns its payload and whether it is the last, or how the connection ended before it came.
fn next_part(state: &mut RecvState) -> Option<Result<(Vec<u8>, bool), Closed>> {
    match state.next_item() {
        Some(Item::Part { payload, last, .. }) => Some(Ok((payload, last))),
        // RFC 6455 section 5.4: no other message comes between the parts of one.
        Some(Item::Message(message)) => Some(Ok((message.into_vec(), true))),
        None => state.closed().map(Err),
    }
}
