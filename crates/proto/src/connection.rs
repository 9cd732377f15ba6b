//! The protocol state of one WebSocket, both directions joined.

use alloc::vec::Vec;

use crate::{
    CloseCode, Delivery, Event, Input, Limits, Message, ProtocolError, Receiver, Role, SendError,
    Sender,
    extension::{Deflate, DeflateParams, Pool},
};

/// The protocol state of one WebSocket after its handshake; no socket inside.
///
/// Orders and answers gather in a buffer of its own until [`Connection::poll_transmit`] takes them.
/// A driver that wants to hold the two directions under different locks takes it apart with
/// [`Connection::into_halves`].
///
/// ```text
///          close()                       Event::Close
///   open ──────────> we close ───────────────────────────┐
///     │                                                  ├──> closed: flush, then end the transport
///     └───────────> peer closes: answered by itself ─────┘
///      Event::Close
/// ```
///
/// Call [`Connection::poll_event`] with each input until `None`, then [`Connection::poll_transmit`],
/// then, if [`Connection::is_closed`], end the transport (the server first, RFC 6455 section 7.1.1).
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    limits: Limits,
    pool: Pool,
    out: Vec<u8>,
}

impl Connection {
    /// The server's end.
    #[must_use]
    pub fn server(limits: Limits, deflate: Option<(DeflateParams, &Deflate)>) -> Self {
        let params = deflate.map(|(params, _)| params);
        Self::join(
            limits,
            Receiver::new(Role::Server, params),
            Sender::server(deflate),
        )
    }

    /// The client's end; `seed` comes from a strong source of entropy.
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
        }
    }

    /// The two directions, each on its own.
    #[must_use]
    pub fn into_halves(self) -> (Receiver, Sender) {
        (self.receiver, self.sender)
    }

    /// The next thing that the peer did; pings and Close frames are answered already.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or went over a limit. The Close frame that says so is ready in
    /// [`Connection::poll_transmit`].
    pub fn poll_event<'e>(
        &'e mut self,
        input: &'e mut Input<'_>,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        match self
            .receiver
            .poll_event(input, &mut self.pool, &self.limits)
        {
            Ok(Some(event)) => {
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

    /// Says how messages are handed out from now on.
    pub fn deliver(&mut self, delivery: Delivery) {
        self.receiver.deliver(delivery);
    }

    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// We are closing.
    pub fn send(&mut self, message: &Message<'_>) -> Result<(), SendError> {
        self.sender.send(message, &mut self.pool, &mut self.out)
    }

    /// Sends a ping.
    ///
    /// # Errors
    ///
    /// We are closing.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.ping(payload, &mut self.out)
    }

    /// Sends our Close frame; messages from the peer are handed out until its own comes.
    ///
    /// # Errors
    ///
    /// We are closing already.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.close(code, reason, &mut self.out)
    }

    /// Moves what must go to the wire to the end of `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    /// Whether both ends have said all: the transport ends once the last bytes are out.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver.has_ended() && self.sender.close_sent().is_some()
    }

    /// Bytes that wait for [`Connection::poll_transmit`], or that the peer has made it own
    /// ([`Receiver::buffered_bytes`]).
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.out.len() + self.receiver.buffered_bytes()
    }
}
