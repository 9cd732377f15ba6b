//! Callback style: one value per connection.

use sockeye_proto::{CloseCode, Message};

use crate::{Closed, Error, Session, established::Established};

/// One value per connection, callbacks that never block.
///
/// All calls for one session come from one task, one after the other: `on_open` first, `on_close`
/// last and always.
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

/// Runs `endpoint` on the connection, in a task of its own.
pub(crate) fn spawn(established: Established, endpoint: Box<dyn Endpoint>) -> Session {
    let _ = (established, endpoint);
    unimplemented!()
}
