//! Joins the connection of a session, which knows frames of RFC 6455, with the requests that carry its messages.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{FrameReader, FromSession, push_close};

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
pub(crate) struct Relay<O: Outbound> {
    state: Mutex<RelayState<O>>,
    /// Bytes of messages that a receiver is given at a time. A single message may be longer.
    batch_bytes_max: usize,
}

/// Messages that a session has written and no receiver has got, in the form of the protocol that the client speaks.
pub(crate) trait Outbound: Default + Send + 'static {
    /// What a receiver is given at a time.
    type Batch;

    fn push_text(&mut self, text: &str);

    fn push_binary(&mut self, payload: &[u8]);

    fn is_empty(&self) -> bool;

    /// Returns whether a receiver may be given more than this at a time.
    fn has_room(&self, batch_bytes_max: usize) -> bool;

    /// Takes what a receiver is given next.
    fn take_batch(&mut self, batch_bytes_max: usize) -> Self::Batch;
}

#[derive(Default)]
struct RelayState<O> {
    receiver: ReceiverState,
    reader: FrameReader,
    /// Messages that the session has written and no receiver has got.
    messages: O,
    /// How the session ends for the client, once it has the messages.
    close: Option<RelayEnd>,
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
pub(crate) enum RelayEnd {
    /// The session has closed itself.
    Closed(Box<RelayClose>),
    /// It has ended otherwise: the client may have lost messages.
    Interrupted,
}

/// The close of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayClose {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// What a receiver is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received<B> {
    /// At least one message.
    Messages(B),
    /// The session has ended. Every later receiver gets the same.
    End(RelayEnd),
}

/// The error of a second receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlreadyReceiving;

/// The error of a sender whose session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionOver;

impl<O: Outbound> Relay<O> {
    pub(crate) fn new(batch_bytes_max: usize) -> Self {
        Self {
            state: Mutex::new(RelayState::default()),
            batch_bytes_max,
        }
    }

    /// Begins to receive. [`Relay::detach`] or [`Relay::break_off`] ends it.
    ///
    /// # Errors
    ///
    /// Another request receives.
    pub(crate) fn attach(&self) -> Result<(), AlreadyReceiving> {
        let mut state = self.state.lock();
        match state.receiver {
            ReceiverState::Detached => state.receiver = ReceiverState::Attached,
            _ => return Err(AlreadyReceiving),
        }
        Ok(())
    }

    /// Waits until no request receives.
    pub(crate) fn poll_detached(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if let ReceiverState::Detached = state.receiver {
            return Poll::Ready(());
        }
        state.next_receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends a receiver that has got all it was given. What comes later waits for the next one.
    pub(crate) fn detach(&self) {
        self.state.lock().detach();
    }

    /// Ends the session without its consent: the client may have lost messages. Without effect on a session that is closing.
    pub(crate) fn break_off(&self) {
        let mut state = self.state.lock();
        state.detach();
        if state.stage == Stage::Open {
            state.close.get_or_insert(RelayEnd::Interrupted);
            state.stage = Stage::Closing;
            state.wake_session();
        }
    }

    /// Returns what there is for the attached receiver. Pending until there is something.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Received<O::Batch>> {
        let mut state = self.state.lock();
        if !state.messages.is_empty() {
            state.receiver = ReceiverState::Attached;
            let batch = state.messages.take_batch(self.batch_bytes_max);
            return Poll::Ready(Received::Messages(batch));
        }
        if let Some(end) = &state.close {
            return Poll::Ready(Received::End(end.clone()));
        }
        state.receiver = ReceiverState::Waiting(cx.waker().clone());
        if state.is_blocked {
            state.wake_session();
        }
        Poll::Pending
    }

    /// Adds what the protocol itself says to the client, behind the messages that are there.
    #[cfg(feature = "engineio")]
    pub(crate) fn push(&self, push: impl FnOnce(&mut O)) {
        let mut state = self.state.lock();
        if state.stage == Stage::Open && state.close.is_none() {
            push(&mut state.messages);
            state.wake_receiver();
        }
    }

    /// Hands frames to the session. The caller waits for [`Relay::poll_delivered`] before it hands over more.
    ///
    /// # Errors
    ///
    /// The session is closing or has ended.
    pub(crate) fn deliver(&self, frames: Vec<u8>) -> Result<(), SessionOver> {
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
    pub(crate) fn poll_delivered(&self, cx: &mut Context<'_>) -> Poll<Result<(), SessionOver>> {
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

    /// Hands frames to the session, behind those of a request that was dropped. Returns when the session has read them.
    ///
    /// # Errors
    ///
    /// The session is closing or has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the session may get the frames all the same.
    pub(crate) async fn hand_over(&self, frames: Vec<u8>) -> Result<(), SessionOver> {
        poll_fn(|cx| self.poll_delivered(cx)).await?;
        self.deliver(frames)?;
        poll_fn(|cx| self.poll_delivered(cx)).await
    }

    /// Hands over the close of a client that has a way to say it, and ends the session in order.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        let mut state = self.state.lock();
        state.detach();
        if state.stage == Stage::Open {
            state.close.get_or_insert(RelayEnd::Interrupted);
            state.stage = Stage::Closing;
            push_close(code, reason, &mut state.inbound);
            state.wake_session();
        }
    }

    /// Returns how the session ends for its client; `None` while it is open.
    pub(crate) fn ending(&self) -> Option<RelayEnd> {
        self.state.lock().close.clone()
    }

    /// Notes that the session's connection has ended.
    fn handle_ended(&self) {
        let mut state = self.state.lock();
        state.stage = Stage::Ended;
        state.close.get_or_insert(RelayEnd::Interrupted);
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

impl<O: Outbound> RelayState<O> {
    fn has_room(&self, batch_bytes_max: usize) -> bool {
        matches!(self.receiver, ReceiverState::Waiting(_))
            && self.messages.has_room(batch_bytes_max)
    }

    /// Takes frames that the session has written.
    fn take(&mut self, bytes: &[u8]) {
        let messages = &mut self.messages;
        let mut close = None;
        self.reader.read(bytes, |sent| match sent {
            FromSession::Text(text) => messages.push_text(text),
            FromSession::Binary(payload) => messages.push_binary(payload),
            FromSession::Close(code, reason) => {
                close = Some(RelayClose {
                    code,
                    reason: reason.to_owned(),
                });
            }
        });
        if let Some(close) = close {
            // The client has no close message: that it is given this one stands for its answer.
            push_close(close.code, "", &mut self.inbound);
            self.stage = Stage::Closing;
            self.close = Some(RelayEnd::Closed(Box::new(close)));
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

/// The stream of a session's connection.
pub(crate) struct RelayStream<H: RelayHolder>(pub(crate) Arc<H>);

/// The owner of a relay, which is told when the session has ended.
pub(crate) trait RelayHolder: Send + Sync + 'static {
    type Outbound: Outbound;

    fn relay(&self) -> &Relay<Self::Outbound>;

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
