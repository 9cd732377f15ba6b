//! Heartbeats of the application's own: the text `ping` is answered with `pong`.

use sockeye::{Closed, Endpoint, Error, Message, Reply, Session};

/// An endpoint that answers the text `ping` with `pong`, and hears everything else.
///
/// Browsers can't send the ping of RFC 6455, so that their programs send one of their own.
#[derive(Debug)]
pub(crate) struct Answering<E>(pub(crate) E);

impl<E: Endpoint> Endpoint for Answering<E> {
    fn on_open(&mut self, session: &Session) {
        self.0.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match message.as_text() {
            Some("ping") => Reply::Message("pong".into()),
            _ => self.0.on_message(session, message),
        }
    }

    fn on_ping(&mut self, session: &Session, payload: &[u8]) {
        self.0.on_ping(session, payload);
    }

    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        self.0.on_pong(session, payload);
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        self.0.on_close(session, closed);
    }

    fn on_error(&mut self, session: &Session, error: &Error) {
        self.0.on_error(session, error);
    }
}
