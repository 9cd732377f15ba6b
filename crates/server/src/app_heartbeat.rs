//! Heartbeats of the application's own: the text `ping` is answered with `pong`.

use sockeye::{Closed, Endpoint, Error, Message, Reply, Session};

use crate::config::Switch;

/// An endpoint that answers the text `ping` with `pong`, and hears everything else. Switched off it hears
/// that, too: an echo is an echo.
///
/// Browsers can't send the ping of RFC 6455, so that their programs send one of their own.
#[derive(Debug)]
pub(crate) struct Answering<E> {
    endpoint: E,
    heartbeat: Switch,
}

impl<E> Answering<E> {
    pub(crate) fn new(endpoint: E, heartbeat: Switch) -> Self {
        Self {
            endpoint,
            heartbeat,
        }
    }
}

impl<E: Endpoint> Endpoint for Answering<E> {
    fn on_open(&mut self, session: &Session) {
        self.endpoint.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match self.heartbeat {
            Switch::On if message.as_text() == Some("ping") => Reply::Message("pong".into()),
            _ => self.endpoint.on_message(session, message),
        }
    }

    fn on_ping(&mut self, session: &Session, payload: &[u8]) {
        self.endpoint.on_ping(session, payload);
    }

    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        self.endpoint.on_pong(session, payload);
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        self.endpoint.on_close(session, closed);
    }

    fn on_error(&mut self, session: &Session, error: &Error) {
        self.endpoint.on_error(session, error);
    }
}
