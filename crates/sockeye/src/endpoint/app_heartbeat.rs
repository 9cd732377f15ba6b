//! Heartbeats of the application's own, for peers that can't send those of RFC 6455.

use std::borrow::Cow;

use sockeye_proto::Message;

use crate::{
    closed::Closed,
    connection::Session,
    endpoint::endpoint::{Endpoint, Reply},
    error::Error,
};

/// A heartbeat of the application's own: a text message that is answered with another, and handed to nobody.
///
/// The programs of browsers can't send the ping of RFC 6455, so that they send one of their own to see whether
/// the server still answers; the clients of many chats do. See [`crate::Settings::app_heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppHeartbeat {
    /// The whole text of the question, below 4 KiB. Default `ping`.
    pub ping: Cow<'static, str>,
    /// The whole text of the answer. Default `pong`.
    pub pong: Cow<'static, str>,
}

impl Default for AppHeartbeat {
    fn default() -> Self {
        Self {
            ping: Cow::Borrowed("ping"),
            pong: Cow::Borrowed("pong"),
        }
    }
}

impl AppHeartbeat {
    /// Returns the answer, if `message` is the question.
    pub(crate) fn answer(&self, message: &Message<'_>) -> Option<Message<'static>> {
        let is_ping = message.as_text() == Some(&*self.ping);
        is_ping.then(|| Message::Text(self.pong.clone()))
    }
}

/// An endpoint that hears everything but the application's heartbeats, which are answered.
pub(crate) struct Answering(Box<dyn Endpoint>);

impl Answering {
    /// Wraps `endpoint`, if `heartbeat` is to be answered.
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
