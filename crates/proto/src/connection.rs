//! The protocol state of one WebSocket, both directions joined.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    CloseCode, Delivery, Event, Input, Limits, Message, Pace, ProtocolError, ReadState, Receiver,
    Role, SendError, Sender,
    extension::{Deflate, DeflateParams, Pool},
};

/// The protocol state of one WebSocket after its handshake; no socket inside.
///
/// ```text
///           close                   the peer's Close frame
///   open ──────────> closing ──────────────────────────────┐
///     │                 │  handle_eof: 1006                ├──> closed: flush, then end TCP
///     ├─────────────────┴──────────────────────────────────┤
///     └── the peer's Close frame (answered), its mistake ──┘
/// ```
///
/// | family | methods |
/// |---|---|
/// | inputs | [`poll_event`](Self::poll_event) takes bytes; [`handle_eof`](Self::handle_eof), [`handle_timeout`](Self::handle_timeout) |
/// | orders | [`send`](Self::send), [`ping`](Self::ping), [`close`](Self::close), [`deliver`](Self::deliver) |
/// | outputs | [`poll_event`](Self::poll_event), [`poll_transmit`](Self::poll_transmit) |
/// | looks | [`is_closed`](Self::is_closed), [`close_code`](Self::close_code), [`buffered_bytes`](Self::buffered_bytes) |
///
/// Call [`Connection::poll_event`] with each input until it returns `None`, then [`Connection::poll_transmit`], and write what
/// that gave. When the peer has ended TCP (a read of 0 bytes), call [`Connection::handle_eof`]. Once
/// [`Connection::is_closed`], end TCP; the server ends it first (RFC 6455 section 7.1.1).
///
/// Orders and automatic answers (pongs, Close frames) gather in a buffer until [`Connection::poll_transmit`] takes them. That
/// buffer has no limit of its own: stop reading while the peer doesn't take what you write.
///
/// A driver that holds the two directions under different locks takes the connection apart with
/// [`Connection::into_halves`].
///
/// # Example
///
/// ```
/// use sockeye_proto::{CloseCode, Connection, Event, Input, Limits, Message, ProtocolError};
///
/// /// Answers each message of `received` with the same message.
/// fn echo(connection: &mut Connection, received: &mut [u8]) -> Result<Vec<u8>, ProtocolError> {
///     let mut input = Input::new(received);
///     while let Some(event) = connection.poll_event(&mut input)? {
///         if let Event::Message(message) = event {
///             let message = message.into_owned();
///             // The one error says that the connection is closing, which `is_closed` tells too.
///             let _ = connection.send(&message);
///         }
///     }
///     let mut out = Vec::new();
///     connection.poll_transmit(&mut out);
///     Ok(out)
/// }
///
/// let mut server = Connection::server(Limits::default(), None);
/// // A masked text frame, as RFC 6455 section 5.7 shows it.
/// let mut received = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// assert_eq!(echo(&mut server, &mut received)?, b"\x81\x05Hello");
///
/// // The peer ends TCP without a Close frame.
/// server.handle_eof();
/// assert_eq!(server.close_code(), Some(CloseCode::ABNORMAL));
/// # Ok::<(), ProtocolError>(())
/// ```
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    limits: Limits,
    pool: Pool,
    /// What the next `poll_transmit` takes.
    out: Vec<u8>,
    /// `Some` once the peer's Close frame or the end of the input has come.
    close_code: Option<CloseCode>,
}

impl Connection {
    /// Creates the server's end. `deflate` is what the handshake agreed on, with our settings.
    #[must_use]
    pub fn server(limits: Limits, deflate: Option<(DeflateParams, &Deflate)>) -> Self {
        let params = deflate.map(|(params, _)| params);
        Self::join(
            limits,
            Receiver::new(Role::Server, params),
            Sender::server(deflate),
        )
    }

    /// Creates the client's end. `deflate` is what the handshake agreed on, with our settings.
    ///
    /// `seed` comes from a strong source of entropy: the masking keys are drawn from it (RFC 6455 section 5.3).
    #[must_use]
    pub fn client(
        limits: Limits,
        deflate: Option<(DeflateParams, &Deflate)>,
        seed: [u8; 32],
    ) -> Self {
        let params = deflate.map(|(params, _)| params);
        Self::join(
            limits,
            Receiver::new(Role::Client, params),
            Sender::client(seed, deflate),
        )
    }

    fn join(limits: Limits, receiver: Receiver, sender: Sender) -> Self {
        Self {
            limits,
            receiver,
            sender,
            pool: Pool::default(),
            out: Vec::new(),
            close_code: None,
        }
    }

    /// Splits the connection into its two directions.
    ///
    /// Bytes that wait for [`Connection::poll_transmit`] are lost: take them first.
    #[must_use]
    pub fn into_halves(self) -> (Receiver, Sender) {
        (self.receiver, self.sender)
    }

    /// Returns the next thing that the peer did, or `None` if all of the input is used.
    ///
    /// The answers to pings and Close frames are in [`Connection::poll_transmit`] already.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or went over a limit. The Close frame that says so is in
    /// [`Connection::poll_transmit`], and all further input is ignored.
    pub fn poll_event<'e>(
        &'e mut self,
        input: &'e mut Input<'_>,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        match self
            .receiver
            .poll_event(input, &mut self.pool, &self.limits)
        {
            Ok(Some(event)) => {
                if let Event::Close(frame) = &event {
                    self.close_code.get_or_insert(frame.code);
                }
                self.sender.answer(&event, &mut self.out);
                Ok(Some(event))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.sender.fail(error, &mut self.out);
                Err(error)
            }
        }
    }

    /// Handles the end of the input: the peer has ended TCP or TLS. Every order fails from now on.
    ///
    /// Without a Close frame before it the WebSocket has ended abnormally, and [`Connection::close_code`] is 1006
    /// (RFC 6455 section 7.1.5).
    pub fn handle_eof(&mut self) {
        self.receiver.end();
        self.close_code.get_or_insert(CloseCode::ABNORMAL);
    }

    /// Judges how fast an unfinished message arrives; call it several times within each [`Limits::message_timeout`].
    ///
    /// `now` is the time since an origin that the caller picks. After [`Pace::TooSlow`] the Close frame that says so is in
    /// [`Connection::poll_transmit`], and all further input is ignored.
    pub fn handle_timeout(&mut self, now: Duration, read_state: ReadState) -> Pace {
        let pace = self.receiver.handle_timeout(now, read_state, &self.limits);
        if pace == Pace::TooSlow {
            self.receiver.end();
            // The one error says that our Close frame is out already.
            let _ = self.sender.close(
                CloseCode::POLICY_VIOLATION,
                "message too slow",
                &mut self.out,
            );
        }
        pace
    }

    /// Sets how the messages that begin from now on are handed out. Default [`Delivery::Whole`].
    pub fn deliver(&mut self, delivery: Delivery) {
        self.receiver.deliver(delivery);
    }

    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`].
    pub fn send(&mut self, message: &Message<'_>) -> Result<(), SendError> {
        self.admit()?;
        self.sender.send(message, &mut self.pool, &mut self.out)
    }

    /// Sends a ping. `payload` is cut to 125 bytes.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.admit()?;
        self.sender.ping(payload, &mut self.out)
    }

    /// Sends our Close frame. Messages from the peer are handed out until its Close frame comes.
    ///
    /// `reason` is cut to 123 bytes, between characters. Without a [sendable](CloseCode::is_sendable) code the frame is
    /// empty.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`].
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.admit()?;
        self.sender.close(code, reason, &mut self.out)
    }

    /// Moves what must be written to the socket to the end of `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    /// Returns whether nothing more is received or sent: once the last bytes are written, TCP ends.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver.has_ended()
    }

    /// Returns "the WebSocket connection close code" of RFC 6455 section 7.1.5: the code of the peer's Close frame, 1005 if
    /// it had none, 1006 if the input ended without a Close frame. `None` until then.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.close_code
    }

    /// Returns the bytes that wait for [`Connection::poll_transmit`] and those of [`Receiver::buffered_bytes`].
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.out.len() + self.receiver.buffered_bytes()
    }

    /// Refuses an order after the last input: a Close frame or a mistake was answered, the end of the input needs none.
    fn admit(&self) -> Result<(), SendError> {
        match self.receiver.has_ended() {
            true => Err(SendError::Closing),
            false => Ok(()),
        }
    }
}
