//! Heartbeats as messages, for peers that can't send pings: scripts in a browser.

use sockeye_proto::Message;

use crate::{
    connection::Session,
    endpoint::endpoint::{Endpoint, Reply},
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
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match session.answer_to_heartbeat(&message) {
            Some(pong) => Reply::Message(pong),
            None => self.0.on_message(session, message),
        }
    }

    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        Some(&mut *self.0)
    }
}
