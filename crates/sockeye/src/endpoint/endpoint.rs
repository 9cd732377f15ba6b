//! Callback style: one value per connection.

use sockeye_proto::{CloseCode, Message};

use crate::{closed::Closed, connection::Session, error::Error};

/// One value per connection, callbacks that never block.
///
/// The calls for one session come one after the other: `on_open` first, `on_close` last and always. In
/// a [`crate::Server`] one of its workers makes them, plain calls between two reads, for all sessions
/// that it carries: a callback that blocks makes all of them wait. `tokio::spawn` works within them.
///
/// A callback that panics ends its own session, with 1011, and no other. `on_close` is still called, and
/// none of the others.
pub trait Endpoint: Send + 'static {
    /// The connection is open.
    fn on_open(&mut self, session: &Session) {
        let _ = session;
    }

    /// A whole message came. What it returns is sent before the next message is looked at.
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply;

    /// A ping came; it is answered already.
    fn on_ping(&mut self, session: &Session, payload: &[u8]) {
        let _ = (session, payload);
    }

    /// A pong came.
    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        let _ = (session, payload);
    }

    /// The connection has ended, whoever ended it. The last call.
    fn on_close(&mut self, session: &Session, closed: &Closed) {
        let _ = (session, closed);
    }

    /// The peer broke the protocol, a limit was reached or the transport failed. `on_close` follows.
    fn on_error(&mut self, session: &Session, error: &Error) {
        let _ = (session, error);
    }
}

/// What an endpoint answers to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    #[default]
    None,
    /// The message itself, without a copy of ours.
    Echo,
    /// Another message.
    Message(Message<'static>),
    /// The end.
    Close(CloseCode, String),
}
