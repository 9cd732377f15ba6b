//! The trait of the callback style.

use sockeye_proto::{CloseCode, Message};

use crate::{closed::Closed, connection::Session, error::Error};

/// The callbacks of one connection: one value per connection, whose callbacks must not block.
///
/// The calls for one session come one after the other. `on_open` is the first, and `on_close` is the last and always
/// comes. In a [`crate::Server`] a worker makes them, between two reads, for all its sessions: a callback that blocks
/// delays all of them. `tokio::spawn` works within a callback.
///
/// # Panics
///
/// A callback that panics closes its own session with 1011, and no other. After that `on_close` is called, and no other
/// callback.
///
/// # Example
///
/// ```
/// use sockeye::{Endpoint, Message, Reply, Session};
///
/// struct Echo;
///
/// impl Endpoint for Echo {
///     fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
///         Reply::Echo
///     }
/// }
/// ```
pub trait Endpoint: Send + 'static {
    /// Called when the connection is open, before any other callback.
    fn on_open(&mut self, session: &Session) {
        if let Some(endpoint) = self.wrapped() {
            endpoint.on_open(session);
        }
    }

    /// Called with each whole message. The reply is sent before the next message is handled.
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply;

    /// Called with the payload of each ping, of at most 125 bytes. The ping has been answered.
    fn on_ping(&mut self, session: &Session, payload: &[u8]) {
        if let Some(endpoint) = self.wrapped() {
            endpoint.on_ping(session, payload);
        }
    }

    /// Called with the payload of each pong, of at most 125 bytes.
    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        if let Some(endpoint) = self.wrapped() {
            endpoint.on_pong(session, payload);
        }
    }

    /// Called when the connection has ended, from either side. The last call.
    fn on_close(&mut self, session: &Session, closed: &Closed) {
        if let Some(endpoint) = self.wrapped() {
            endpoint.on_close(session, closed);
        }
    }

    /// Called when the peer broke the protocol, a limit was reached or the network failed. `on_close` follows.
    fn on_error(&mut self, session: &Session, error: &Error) {
        if let Some(endpoint) = self.wrapped() {
            endpoint.on_error(session, error);
        }
    }

    /// Returns the endpoint that this one wraps; `None` if it wraps none. It gets the callbacks that this one doesn't define,
    /// so that an endpoint which adds something to any other, as logging does, defines only the callbacks that it needs.
    ///
    /// ```
    /// use sockeye::{Endpoint, Message, Reply, Session};
    ///
    /// struct Counted<E> {
    ///     endpoint: E,
    ///     messages: u64,
    /// }
    ///
    /// impl<E: Endpoint> Endpoint for Counted<E> {
    ///     fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
    ///         self.messages += 1;
    ///         self.endpoint.on_message(session, message)
    ///     }
    ///
    ///     fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
    ///         Some(&mut self.endpoint)
    ///     }
    /// }
    /// ```
    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        None
    }
}

/// The answer of an endpoint to a message.
///
/// A reply is sent even if the outbox is full. Reading pauses until the peer has read enough of the replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reply {
    /// Sends nothing.
    #[default]
    None,
    /// Sends the message itself, without a copy.
    Echo,
    /// Sends this message.
    Message(Message<'static>),
    /// Closes with this code and this reason, of which at most 123 bytes are sent.
    Close(CloseCode, String),
}
