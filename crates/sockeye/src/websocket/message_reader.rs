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
        background_driver::{Attending, Presence, RecvState, State},
        message_queue::Item,
    },
};

/// One incoming message as a stream of bytes, from [`crate::WebSocket::recv_stream`].
///
/// It ends where the message ends. If the connection ends before, reading fails with
/// [`io::ErrorKind::UnexpectedEof`], whose inner error is a [`crate::Error`] with
/// [`crate::Error::closed`]; the next `recv` tells what was wrong. Dropped early, the rest of the message
/// is skipped.
///
/// Text was checked for UTF-8, but a read may end within a character.
pub struct MessageReader<'a> {
    core: &'a RecvState,
    attending: Attending<'a>,
    kind: MessageKind,
    /// `current[read..]` has been received and not been read.
    current: Vec<u8>,
    read: usize,
    /// Whether `current` is the message's end.
    last: bool,
}

impl<'a> MessageReader<'a> {
    pub(crate) fn new(core: &'a RecvState, kind: MessageKind, begin: Item) -> Self {
        let (current, last) = match begin {
            Item::Message(message) => (message.into_vec(), true),
            Item::Part { payload, last, .. } => (payload, last),
        };
        Self {
            core,
            attending: core.attend(Presence::Unsure),
            kind,
            current,
            read: 0,
            last,
        }
    }

    /// Text or binary.
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
            let part = this.core.poll_until(cx, &mut this.attending, next_part);
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
            self.core.state().skips = true;
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

/// The next part and whether it is the last, or how the connection ended before it.
fn next_part(state: &mut State) -> Option<Result<(Vec<u8>, bool), Closed>> {
    match state.next_item() {
        Some(Item::Part { payload, last, .. }) => Some(Ok((payload, last))),
        // Within a message of parts nothing else comes.
        Some(Item::Message(message)) => Some(Ok((message.into_vec(), true))),
        None => state.closed().map(Err),
    }
}
