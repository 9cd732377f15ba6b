//! The loop style's handle, which a program holds.

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
    connection::{
        Driver, Established, MessageWriter, Prepared, Session, Stream, TrySendError, UpgradedStream,
    },
    endpoint::TaskDriver,
    error::Error,
    handshake::Request,
    settings::Settings,
    websocket::{
        background_driver::{RecvShared, RecvState},
        drive_state::WaitKind,
        inbox::{Control, Inbox},
        message_queue::Item,
        message_reader::MessageReader,
    },
};

/// An open WebSocket that a program receives from in a loop: the handle for both directions.
///
/// [`WebSocket::recv`] returns the next message. [`WebSocket::send`] sends one at any time; other tasks send by a clone
/// of [`WebSocket::session`].
///
/// Pings and a Close frame are answered also while the program doesn't call `recv`. Reading pauses when
/// [`Settings::inbox_bytes_max`] of messages wait (default 1 MiB).
///
/// # Slow reader
///
/// [`WebSocket::send`] waits while the peer reads too slowly and the outbox is full: see [`Session`].
///
/// # Closing
///
/// [`WebSocket::close`] sends a Close frame and waits for the peer. Dropping the handle closes with 1001 in the
/// background, or with 1011 while its thread is panicking.
///
/// # Example
///
/// ```no_run
/// # async fn example() -> Result<(), sockeye::Error> {
/// let mut websocket = sockeye::connect("wss://example.com/feed").await?;
/// websocket.send("hello").await?;
/// while let Some(message) = websocket.recv().await? {
///     println!("{:?}", message.as_text());
/// }
/// # Ok(()) }
/// ```
pub struct WebSocket {
    shared: Arc<RecvShared>,
    session: Session,
    #[cfg(feature = "stream")]
    sink: MessageSink,
}

impl WebSocket {
    /// Makes a WebSocket of a stream whose opening handshake is done, without extensions and without a
    /// request.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers for the masks of a client.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn from_stream(stream: impl Stream, role: Role, settings: Settings) -> Result<Self, Error> {
        Self::new(Established::bare(stream, role, settings))
    }

    /// Makes a WebSocket of a stream whose opening handshake another library has done.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Config`] if what was told of the handshake can't be true:
    ///
    /// - the response agrees to an extension other than permessage-deflate, or to parameters of it that the two ends can't
    ///   have agreed on;
    /// - permessage-deflate was agreed on, and [`Settings::deflate`] is `None`;
    /// - the subprotocol is no token, or the request doesn't offer it;
    /// - [`UpgradedStream::subprotocol`] or [`UpgradedStream::deflate`] contradicts the response.
    ///
    /// The same kind if the operating system has no random numbers for the masks of a client.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn from_upgraded(upgraded: UpgradedStream) -> Result<Self, Error> {
        Self::new(upgraded.establish()?)
    }

    pub(crate) fn new(established: Established) -> Result<Self, Error> {
        let inbox = Inbox::new(&established.negotiated.settings);
        let driver = Driver::new(established)?;
        let session = driver.session().clone();
        Ok(Self {
            shared: RecvShared::new(TaskDriver::new(driver), inbox),
            session,
            #[cfg(feature = "stream")]
            sink: MessageSink::default(),
        })
    }

    /// Waits for the next message and returns it; returns `None` after a close with 1000, 1001 or without a code.
    ///
    /// # Errors
    ///
    /// Returns an error once if the connection ended in any other way, and `None` after that. [`Error::closed`] has the
    /// code and who closed:
    ///
    /// - [`crate::ErrorKind::Closed`]: the peer or the program closed with another code, such as 1011 for a
    ///   server that failed or 1013 for one that is overloaded;
    /// - [`crate::ErrorKind::Protocol`], [`crate::ErrorKind::Limit`]: the peer broke the protocol, or
    ///   exceeded a limit;
    /// - [`crate::ErrorKind::Io`], [`crate::ErrorKind::Heartbeat`], [`crate::ErrorKind::Timeout`]: the peer
    ///   ended the connection without a Close frame, or didn't answer in time.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready loses no message: the next call returns it.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>, Error> {
        if let Some(message) = self.shared.next_of_batch() {
            return Ok(Some(message));
        }
        let mut call = self.shared.begin_call(WaitKind::Future);
        poll_fn(|cx| {
            self.shared
                .poll_until(cx, &mut call, RecvState::next_message)
        })
        .await
    }

    /// Polls for the next message: [`WebSocket::recv`] for a hand-written future or stream.
    ///
    /// While it is pending, a background task reads and answers pings, and wakes the task of the last call when a
    /// message or the end has come. The program may stop calling it: no message is lost. `recv` saves one wake-up for
    /// each wait.
    ///
    /// # Errors
    ///
    /// The errors of [`WebSocket::recv`].
    ///
    /// # Example
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
        if let Some(message) = self.shared.next_of_batch() {
            return Poll::Ready(Ok(Some(message)));
        }
        let mut call = self.shared.begin_call(WaitKind::Poll);
        let polled = self
            .shared
            .poll_until(cx, &mut call, RecvState::next_message);
        if polled.is_pending() {
            call.keep_registered();
        }
        polled
    }

    /// Waits for the next message and returns it as a stream of bytes, which come as they arrive; returns `None` when
    /// [`WebSocket::recv`] does. The memory doesn't grow with the message. Its size is limited all the same, by
    /// [`crate::Limits::message_bytes_max`]: raise that for large files.
    ///
    /// Dropping the reader before the end of the message skips the rest.
    ///
    /// # Errors
    ///
    /// The errors of [`WebSocket::recv`].
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready loses no message.
    pub async fn recv_stream(&mut self) -> Result<Option<MessageReader<'_>>, Error> {
        let mut call = self.shared.begin_call(WaitKind::Future);
        let begun =
            poll_fn(|cx| self.shared.poll_until(cx, &mut call, RecvState::next_begin)).await?;
        Ok(begun.map(|(kind, item)| MessageReader::new(&self.shared, kind, item)))
    }

    /// Sends a message. Waits for room in the outbox: see [`Session::send`].
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Closed`] if the connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready has sent nothing of the message.
    pub fn send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> impl Future<Output = Result<(), Error>> {
        self.session.send(message)
    }

    /// Sends a message without waiting: see [`Session::try_send`].
    ///
    /// # Errors
    ///
    /// Returns the message in [`TrySendError::Full`] if the outbox has no room, in [`TrySendError::Closed`] if the
    /// connection is closing or closed.
    pub fn try_send<'m, M>(&self, message: M) -> Result<(), TrySendError<Message<'m>>>
    where
        M: Into<Message<'m>>,
    {
        self.session.try_send(message)
    }

    /// Sends a message that has been framed already: see [`Session::send_prepared`].
    ///
    /// # Errors
    ///
    /// The errors of [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready has sent nothing of the message.
    pub fn send_prepared(&self, message: &Prepared) -> impl Future<Output = Result<(), Error>> {
        self.session.send_prepared(message)
    }

    /// Begins one message and returns a writer for its bytes: see [`Session::send_stream`].
    ///
    /// # Errors
    ///
    /// The errors of [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready has sent nothing.
    pub fn send_stream(
        &self,
        kind: MessageKind,
    ) -> impl Future<Output = Result<MessageWriter, Error>> {
        self.session.send_stream(kind)
    }

    /// Sends a ping with the first 125 bytes of `payload`, without waiting: see [`Session::ping`].
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if the outbox has no room, [`TrySendError::Closed`] if the connection is closing or
    /// closed.
    pub fn ping(&self, payload: &[u8]) -> Result<(), TrySendError<()>> {
        self.session.ping(payload)
    }

    /// Calls `observer` with each ping, pong and Close frame as it arrives. A later call replaces the observer.
    ///
    /// The observer must not block: it runs in the task that drives the connection.
    pub fn on_control(&mut self, observer: impl FnMut(Control<'_>) + Send + 'static) {
        self.shared.state().inbox.observe(Box::new(observer));
    }

    /// Closes the connection and waits for the peer's answer, at most [`crate::Limits::close_timeout`] (default 5 s).
    /// Returns how the connection ended.
    ///
    /// Discards the messages that come meanwhile. To receive them, call [`Session::close`] and go on with `recv`.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped after its first poll closes the connection all the same.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Closed {
        self.session.close(code, reason);
        self.shared.state().inbox.discard();
        let mut call = self.shared.begin_call(WaitKind::Future);
        poll_fn(|cx| {
            self.shared
                .poll_until(cx, &mut call, |_| self.session.closed_now())
        })
        .await
    }

    #[cfg(feature = "stream")]
    pub(in crate::websocket) fn sink(&mut self) -> (&Session, &mut MessageSink) {
        (&self.session, &mut self.sink)
    }

    /// Returns how the connection ended; `None` while it is open or closing.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.session.closed_now()
    }

    /// Returns the handle for other tasks. It sends and closes, but doesn't receive. Cheap to clone.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the request that opened the connection, while it is kept: see [`Session::request`]. A server passes it
    /// to a conversation as an argument.
    #[must_use]
    pub fn request(&self) -> Option<Arc<Request>> {
        self.session.request()
    }

    /// Returns the subprotocol that client and server have agreed on; `None` without one.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.session.subprotocol()
    }
}

impl RecvState {
    /// Takes the next whole message; `Ok(None)` after the last.
    fn next_message(&mut self) -> Option<Result<Option<Message<'static>>, Error>> {
        self.driver.receiver().deliver(Delivery::Whole);
        while let Some(item) = self.next_item() {
            match item {
                Item::Message(message) => return Some(Ok(Some(message))),
                // The message began while a call of `recv_stream` received parts.
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

    /// Takes the next message, or the first part of one.
    fn next_begin(&mut self) -> Option<Result<Option<(MessageKind, Item)>, Error>> {
        self.driver.receiver().deliver(Delivery::Parts);
        if !self.joined.is_empty() {
            // A cancelled `recv` has joined some parts: the stream begins with those.
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

/// Makes a message of its joined parts. Each part of a text was checked for UTF-8 as it came.
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
        self.shared.state().inbox.discard();
        Arc::clone(&self.shared).finish_in_background();
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebSocket").field(&self.session).finish()
    }
}
