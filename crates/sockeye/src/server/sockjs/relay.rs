//! Joins the connection of a session, which knows frames of RFC 6455, with the requests that carry its messages.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    frames::{FrameReader, FromSession, push_close},
    json::push_string,
};

/// Joins the connection of a session with the requests that carry its messages. It holds no message for longer than a
/// request needs: those to the client wait in the session's outbox until a receiver asks for them, and those of the client
/// wait in their request until the session reads them.
///
/// ```text
///   session's connection ── RelayStream::poll_write ──> messages ──> poll_receive ──> receiver (a response, a WebSocket)
///            ^───────────── RelayStream::poll_read <── inbound  <── deliver, poll_delivered <── sender (a POST, a WebSocket)
///
///   Detached ──attach──> Attached ──poll_receive──> Waiting ──(messages come)──> Attached
///      ^──────detach────────┴──────────────────────────┘
///
///   Open ──(the session closes)──> Closing ──> Ended
///    └─────break_off (the receiver is torn off, or none came)────^
/// ```
pub(super) struct Relay {
    state: Mutex<RelayState>,
    /// Bytes of messages that a receiver is given at a time. A single message may be longer.
    batch_bytes_max: usize,
}

#[derive(Default)]
struct RelayState {
    receiver: ReceiverState,
    reader: FrameReader,
    /// Messages that the session has written and no receiver has got: JSON strings, joined by commas.
    messages: String,
    /// How the session ends for the client, once it has the messages.
    close: Option<Box<RelayClose>>,
    /// Wakes the request that waits for the receiver's place.
    next_receiver: Option<Waker>,
    /// Frames for the session: it has read `inbound[..read]`.
    inbound: Vec<u8>,
    read: usize,
    /// Wakes the sender when the session has read all of `inbound`.
    sender: Option<Waker>,
    stage: Stage,
    /// Whether the session has more to write than it could.
    is_blocked: bool,
    /// Wakes the session's task.
    session: Option<Waker>,
}

/// The state of the one request that may receive.
#[derive(Default)]
enum ReceiverState {
    #[default]
    Detached,
    Attached,
    Waiting(Waker),
}

/// Whether the session's connection is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The connection reads what is left, and then the end of the stream.
    Closing,
    /// The connection has dropped its stream.
    Ended,
}

/// How a session ends for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RelayClose {
    pub(super) code: u16,
    pub(super) reason: String,
}

/// What a receiver is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// JSON strings, joined by commas; at least one.
    Messages(String),
    /// The session has ended. Every later receiver gets the same.
    Close(RelayClose),
}

/// The error of a second receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AlreadyReceiving;

/// The error of a sender whose session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionOver;

impl Relay {
    pub(super) fn new(batch_bytes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            batch_bytes_max,
        }
    }

    /// Begins to receive. [`Relay::detach`] or [`Relay::break_off`] ends it.
    ///
    /// # Errors
    ///
    /// Another request receives.
    pub(super) fn attach(&self) -> Result<(), AlreadyReceiving> {
        let mut state = self.state.lock();
        match state.receiver {
            ReceiverState::Detached => state.receiver = ReceiverState::Attached,
            _ => return Err(AlreadyReceiving),
        }
        Ok(())
    }

    /// Waits until no request receives.
    pub(super) fn poll_detached(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if let ReceiverState::Detached = state.receiver {
            return Poll::Ready(());
        }
        state.next_receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends a receiver that has got all it was given. What comes later waits for the next one.
    pub(super) fn detach(&self) {
        self.state.lock().detach();
    }

    /// Ends the session without its consent: the client may have lost messages. Without effect on a session that is closing.
    pub(super) fn break_off(&self) {
        let mut state = self.state.lock();
        state.detach();
        if state.stage == Stage::Open {
            state
                .close
                .get_or_insert_with(|| Box::new(RelayClose::interrupted()));
            state.stage = Stage::Closing;
            state.wake_session();
        }
    }

    /// Returns what there is for the attached receiver. Pending until there is something.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Received> {
        let mut state = self.state.lock();
        if !state.messages.is_empty() {
            state.receiver = ReceiverState::Attached;
            return Poll::Ready(Received::Messages(std::mem::take(&mut state.messages)));
        }
        if let Some(close) = &state.close {
            return Poll::Ready(Received::Close((**close).clone()));
        }
        state.receiver = ReceiverState::Waiting(cx.waker().clone());
        if state.is_blocked {
            state.wake_session();
        }
        Poll::Pending
    }

    /// Hands frames to the session. The caller waits for [`Relay::poll_delivered`] before it hands over more.
    ///
    /// # Errors
    ///
    /// The session is closing or has ended.
    pub(super) fn deliver(&self, frames: Vec<u8>) -> Result<(), SessionOver> {
        let mut state = self.state.lock();
        if state.stage != Stage::Open {
            return Err(SessionOver);
        }
        debug_assert!(state.inbound.is_empty());
        if !frames.is_empty() {
            state.inbound = frames;
            state.wake_session();
        }
        Ok(())
    }

    /// Returns whether the session has read what was handed over last, or an error if it has ended without that. It
    /// doesn't read while its outbox is full.
    pub(super) fn poll_delivered(&self, cx: &mut Context<'_>) -> Poll<Result<(), SessionOver>> {
        let mut state = self.state.lock();
        if state.inbound.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if state.stage != Stage::Open {
            return Poll::Ready(Err(SessionOver));
        }
        state.sender = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Hands over the close of a client that has a way to say it, and ends the session in order.
    pub(super) fn close(&self, code: u16, reason: &str) {
        let mut state = self.state.lock();
        state.detach();
        if state.stage == Stage::Open {
            state
                .close
                .get_or_insert_with(|| Box::new(RelayClose::interrupted()));
            state.stage = Stage::Closing;
            push_close(code, reason, &mut state.inbound);
            state.wake_session();
        }
    }

    /// Returns how the session ends for its client; `None` while it is open.
    pub(super) fn ending(&self) -> Option<RelayClose> {
        self.state.lock().close.as_deref().cloned()
    }

    /// Notes that the session's connection has ended.
    fn handle_ended(&self) {
        let mut state = self.state.lock();
        state.stage = Stage::Ended;
        state
            .close
            .get_or_insert_with(|| Box::new(RelayClose::interrupted()));
        state.session = None;
        state.inbound = Vec::new();
        state.wake_receiver();
        if let Some(sender) = state.sender.take() {
            sender.wake();
        }
    }

    /// Takes what the session writes, if a receiver waits for it.
    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock();
        if state.stage != Stage::Open {
            // Nobody receives it any more. The end of the stream, which the session reads next, says so.
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        state.set_session(cx.waker());
        let mut taken = 0;
        for slice in slices {
            if state.close.is_some() || !state.has_room(self.batch_bytes_max) {
                break;
            }
            state.take(slice);
            taken += slice.len();
        }
        state.is_blocked = taken == 0;
        if state.is_blocked {
            return Poll::Pending;
        }
        if !state.messages.is_empty() || state.close.is_some() {
            state.wake_receiver();
        }
        Poll::Ready(Ok(taken))
    }

    /// Reads what the client has sent.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.set_session(cx.waker());
        let rest = &state.inbound[state.read..];
        if rest.is_empty() {
            return match state.stage {
                Stage::Open => Poll::Pending,
                Stage::Closing | Stage::Ended => Poll::Ready(Ok(())),
            };
        }
        let len = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..len]);
        state.read += len;
        if state.read == state.inbound.len() {
            (state.inbound, state.read) = (Vec::new(), 0);
            if let Some(sender) = state.sender.take() {
                sender.wake();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl RelayState {
    fn has_room(&self, batch_bytes_max: usize) -> bool {
        matches!(self.receiver, ReceiverState::Waiting(_)) && self.messages.len() < batch_bytes_max
    }

    /// Takes frames that the session has written.
    fn take(&mut self, bytes: &[u8]) {
        let mut json = std::mem::take(&mut self.messages).into_bytes();
        let mut close = None;
        self.reader.read(bytes, |sent| match sent {
            FromSession::Text(text) => {
                if !json.is_empty() {
                    json.push(b',');
                }
                push_string(text, &mut json);
            }
            // A message of a group may be binary for the members that can have it.
            FromSession::Binary => tracing::debug!("a binary message can't be sent by SockJS"),
            FromSession::Close(code, reason) => {
                close = Some(RelayClose {
                    code,
                    reason: reason.to_owned(),
                });
            }
        });
        self.messages = String::from_utf8(json).unwrap_or_default();
        if let Some(close) = close {
            // The client has no close message: that it is given this one stands for its answer.
            push_close(close.code, "", &mut self.inbound);
            self.stage = Stage::Closing;
            self.close = Some(Box::new(close));
            self.wake_session();
        }
    }

    fn detach(&mut self) {
        self.receiver = ReceiverState::Detached;
        if let Some(next) = self.next_receiver.take() {
            next.wake();
        }
    }

    fn set_session(&mut self, waker: &Waker) {
        if !(self.session.as_ref()).is_some_and(|session| session.will_wake(waker)) {
            self.session = Some(waker.clone());
        }
    }

    fn wake_session(&self) {
        if let Some(session) = &self.session {
            session.wake_by_ref();
        }
    }

    fn wake_receiver(&mut self) {
        if let ReceiverState::Waiting(_) = self.receiver
            && let ReceiverState::Waiting(waker) =
                std::mem::replace(&mut self.receiver, ReceiverState::Attached)
        {
            waker.wake();
        }
    }
}

impl RelayClose {
    /// Makes the close of a session that has ended although nobody has closed it.
    pub(super) fn interrupted() -> Self {
        Self {
            code: 1002,
            reason: "Connection interrupted".to_owned(),
        }
    }
}

/// The stream of a session's connection.
pub(super) struct RelayStream<H: RelayHolder>(pub(super) Arc<H>);

/// The owner of a relay, which is told when the session has ended.
pub(super) trait RelayHolder: Send + Sync + 'static {
    fn relay(&self) -> &Relay;

    /// Called once, when the session's connection has ended.
    fn handle_ended(&self);
}

impl<H: RelayHolder> AsyncRead for RelayStream<H> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.relay().poll_read(cx, buffer)
    }
}

impl<H: RelayHolder> AsyncWrite for RelayStream<H> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.relay().poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.relay().poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<H: RelayHolder> Drop for RelayStream<H> {
    fn drop(&mut self) {
        self.0.relay().handle_ended();
        self.0.handle_ended();
    }
}
