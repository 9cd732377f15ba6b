//! Heartbeats as messages, for peers that can't send pings: scripts in a browser.

use sockeye_proto::Message;

use crate::{
    closed::Closed,
    connection::Session,
    endpoint::endpoint::{Endpoint, Reply},
    error::Error,
    settings::AppHeartbeat,
};

/// An endpoint that answers the application's heartbeats and passes everything else on.
pub(crate) struct Answering(Box<dyn Endpoint>);

impl Answering {
    /// Wraps `endpoint` if the settings have a `heartbeat`.
    pub(crate) fn wrap(
        endpoint: Box<dyn Endpoint>,
        heartbeat: Option<&AppHeartbeat>,
    ) -> Box<dyn Endpoint> {
        match heartbeat {
            Some(_) => Box::new(Self(endpoint)),
            None => endpoint,
        }
    }
}

impl Endpoint for Answering {
    fn on_open(&mut self, session: &Session) {
        self.0.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match session.answer_to_heartbeat(&message) {
            Some(pong) => Reply::Message(pong),
            None => self.0.on_message(session, message),
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
