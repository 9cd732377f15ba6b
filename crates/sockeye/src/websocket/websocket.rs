//! Loop style: the handle that a program holds.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use sockeye_proto::{CloseCode, Delivery, Message, MessageKind, Role};

#[cfg(feature = "stream")]
use crate::connection::MessageSink;
use crate::{
    closed::Closed,
    connection::{Driver, Established, MessageWriter, Prepared, Session, Stream, TrySendError},
    endpoint::TaskDriver,
    error::Error,
    handshake::Request,
    settings::Settings,
    websocket::{
        background_driver::{Presence, RecvState, State},
        inbox::{Control, Inbox},
        message_queue::Item,
        message_reader::MessageReader,
    },
};

/// The handle that a program holds, both directions: [`WebSocket::recv`] in a loop, `send` at any
/// time, also from other tasks by a clone of [`WebSocket::session`].
///
/// A pong leaves and a close is answered even if nobody calls `recv`, until
/// [`Settings::inbox_bytes_max`] of messages wait.
///
/// # Slow reader
///
/// See [`Session`].
///
/// # Closing
///
/// [`WebSocket::close`] closes and waits for the peer. Dropping closes with 1001 in the background, or with
/// 1011 if its thread is panicking.
pub struct WebSocket {
    core: Arc<RecvState>,
    session: Session,
    #[cfg(feature = "stream")]
    sink: MessageSink,
}

impl WebSocket {
    /// A WebSocket on a stream whose opening handshake is done, without extensions and without a
    /// request.
    ///
    /// # Errors
    ///
    /// The system gives no entropy for a client's masks.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn from_stream(stream: impl Stream, role: Role, settings: Settings) -> Result<Self, Error> {
        Self::new(Established::bare(stream, role, settings))
    }

    pub(crate) fn new(established: Established) -> Result<Self, Error> {
        let inbox = Inbox::new(&established.negotiated.settings);
        let driver = Driver::new(established)?;
        let session = driver.session().clone();
        Ok(Self {
            core: RecvState::new(TaskDriver::new(driver), inbox),
            session,
            #[cfg(feature = "stream")]
            sink: MessageSink::default(),
        })
    }

    /// The next message; `None` after a close with 1000, 1001 or without a code.
    ///
    /// # Errors
    ///
    /// Once, if it ended in any other way; then `None`. [`Error::closed`] tells how, with the code:
    ///
    /// - [`crate::ErrorKind::Closed`]: the peer or we closed with another code, such as 1011 for a
    ///   server that failed or 1013 for one that is overloaded;
    /// - [`crate::ErrorKind::Protocol`], [`crate::ErrorKind::Limit`]: the peer broke the protocol, or
    ///   went over a limit of ours;
    /// - [`crate::ErrorKind::Io`], [`crate::ErrorKind::Heartbeat`], [`crate::ErrorKind::Timeout`]: it
    ///   hung up without a Close frame, or was given up.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, no message is lost: the next call gives it.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>, Error> {
        if let Some(message) = self.core.next_of_batch() {
            return Ok(Some(message));
        }
        let mut attending = self.core.attend(Presence::Sure);
        poll_fn(|cx| {
            self.core
                .poll_until(cx, &mut attending, State::next_message)
        })
        .await
    }

    /// Polls for the next message, as [`WebSocket::recv`] waits for it: for a hand-written future, or a stream of
    /// one's own.
    ///
    /// While it is pending, the connection is read and answered in the background, and the task of the last call is
    /// woken when there is something to take. To stop calling it is safe: no message is lost. Where the program can
    /// await, `recv` saves a wake-up for each wait.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::recv`].
    ///
    /// ```
    /// use std::task::{Context, Poll};
    ///
    /// use sockeye::{Error, Message, WebSocket};
    ///
    /// /// Returns the length of the next message.
    /// fn poll_len(websocket: &mut WebSocket, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
    ///     websocket
    ///         .poll_recv(cx)
    ///         .map_ok(|message| message.map_or(0, |message| message.len()))
    /// }
    /// ```
    pub fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message<'static>>, Error>> {
        if let Some(message) = self.core.next_of_batch() {
            return Poll::Ready(Ok(Some(message)));
        }
        // Nobody says whether the task comes again.
        let mut attending = self.core.attend(Presence::Unsure);
        let polled = self
            .core
            .poll_until(cx, &mut attending, State::next_message);
        if polled.is_pending() {
            attending.stay();
        }
        polled
    }

    /// The next message as a stream of bytes, handed out as they arrive; `None` as from
    /// [`WebSocket::recv`]. The memory that it needs doesn't grow with the message, which may have
    /// [`crate::Limits::message_bytes_max`] bytes all the same: raise that for large files.
    ///
    /// A reader that is dropped before its end skips the rest of the message.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::recv`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, no message is lost.
    pub async fn recv_stream(&mut self) -> Result<Option<MessageReader<'_>>, Error> {
        let mut attending = self.core.attend(Presence::Sure);
        let begun =
            poll_fn(|cx| self.core.poll_until(cx, &mut attending, State::next_begin)).await?;
        Ok(begun.map(|(kind, item)| MessageReader::new(&self.core, kind, item)))
    }

    /// Sends a message, waiting for room in the outbox: see [`Session::send`].
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Closed`] once the connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing of the message was sent.
    pub fn send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> impl Future<Output = Result<(), Error>> {
        self.session.send(message)
    }

    /// Sends a message now or gives it back: see [`Session::try_send`].
    ///
    /// # Errors
    ///
    /// No room, or closed.
    pub fn try_send<'m, M>(&self, message: M) -> Result<(), TrySendError<Message<'m>>>
    where
        M: Into<Message<'m>>,
    {
        self.session.try_send(message)
    }

    /// Sends a message that was framed before: see [`Session::send_prepared`].
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::send`].
    pub fn send_prepared(&self, message: &Prepared) -> impl Future<Output = Result<(), Error>> {
        self.session.send_prepared(message)
    }

    /// Begins one message whose bytes are written one after the other: see [`Session::send_stream`].
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::send`].
    pub fn send_stream(
        &self,
        kind: MessageKind,
    ) -> impl Future<Output = Result<MessageWriter, Error>> {
        self.session.send_stream(kind)
    }

    /// Sends a ping: see [`Session::ping`].
    ///
    /// # Errors
    ///
    /// No room, or closed.
    pub fn ping(&self, payload: &[u8]) -> Result<(), TrySendError<()>> {
        self.session.ping(payload)
    }

    /// Shows each ping, pong and Close frame to `observer` as it arrives.
    pub fn on_control(&mut self, observer: impl FnMut(Control<'_>) + Send + 'static) {
        self.core.state().inbox.observe(Box::new(observer));
    }

    /// Closes, and waits for the peer to answer, at most [`crate::Limits::close_timeout`]. Messages
    /// that come meanwhile are discarded; to take them, use [`Session::close`] and go on with `recv`.
    ///
    /// # Cancel safety
    ///
    /// Cancelled after its first poll, the close goes on.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Closed {
        self.session.close(code, reason);
        self.core.state().inbox.discard();
        let mut attending = self.core.attend(Presence::Sure);
        poll_fn(|cx| {
            self.core
                .poll_until(cx, &mut attending, |_| self.session.closed_now())
        })
        .await
    }

    #[cfg(feature = "stream")]
    pub(in crate::websocket) fn sink(&mut self) -> (&Session, &mut MessageSink) {
        (&self.session, &mut self.sink)
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.session.closed_now()
    }

    /// The handle for other tasks: it sends and closes, but doesn't receive.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The request that opened it, while it is kept: see [`Session::request`]. A conversation in a server
    /// gets it as its argument.
    #[must_use]
    pub fn request(&self) -> Option<Arc<Request>> {
        self.session.request()
    }

    /// The subprotocol agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.session.subprotocol()
    }
}

impl State {
    /// The next whole message, `Ok(None)` after the last.
    fn next_message(&mut self) -> Option<Result<Option<Message<'static>>, Error>> {
        self.driver.receiver().deliver(Delivery::Whole);
        while let Some(item) = self.next_item() {
            match item {
                Item::Message(message) => return Some(Ok(Some(message))),
                // It began while somebody was reading in parts.
                Item::Part {
                    kind,
                    payload,
                    last,
                } => {
                    self.joined.extend_from_slice(&payload);
                    if last {
                        let bytes = std::mem::take(&mut self.joined);
                        return Some(Ok(Some(whole(kind, bytes))));
                    }
                }
            }
        }
        self.ended().map(|ended| ended.map(|()| None))
    }

    /// The beginning of the next message.
    fn next_begin(&mut self) -> Option<Result<Option<(MessageKind, Item)>, Error>> {
        self.driver.receiver().deliver(Delivery::Parts);
        if !self.joined.is_empty() {
            // A cancelled `recv` has joined some parts: the message begins with those.
            if let Some(Item::Part {
                kind,
                payload,
                last,
            }) = self.next_item()
            {
                let mut joined = std::mem::take(&mut self.joined);
                joined.extend_from_slice(&payload);
                let payload = joined;
                return Some(Ok(Some((
                    kind,
                    Item::Part {
                        kind,
                        payload,
                        last,
                    },
                ))));
            }
        } else if let Some(item) = self.next_item() {
            let kind = match &item {
                Item::Message(message) => message.kind(),
                Item::Part { kind, .. } => *kind,
            };
            return Some(Ok(Some((kind, item))));
        }
        self.ended().map(|ended| ended.map(|()| None))
    }
}

/// Parts joined to a message. Text was checked as it came.
fn whole(kind: MessageKind, bytes: Vec<u8>) -> Message<'static> {
    match kind {
        MessageKind::Binary => Message::from(bytes),
        MessageKind::Text => Message::from(String::from_utf8(bytes).expect("checked as it came")),
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        let code = match std::thread::panicking() {
            true => CloseCode::INTERNAL_ERROR,
            false => CloseCode::GOING_AWAY,
        };
        self.session.close(code, "");
        self.core.state().inbox.discard();
        Arc::clone(&self.core).see_off();
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebSocket").field(&self.session).finish()
    }
}
