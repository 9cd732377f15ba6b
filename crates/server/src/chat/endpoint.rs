//! The WebSocket endpoint of the chat.

use std::time::Instant;

use serde_json::json;
use sockeye::{
    AddressKey, CloseCode, Closed, Endpoint, Message, Origins, Reply, Request, Route, Session,
};

use super::{
    Chat,
    job::Job,
    processor::{client_id, send_error},
    protocol::{ChatError, Command, EchoedFields, read},
    rate::{MessageRate, RateVerdict},
    service::Refusal,
};
use crate::{
    address_rates::AddressRates, connection_log::ConnectionLog, event::event, unix_time::now_ms,
};

impl Chat {
    /// Returns the endpoint's route. It has the server's limits except for the size of a message.
    pub(crate) fn route(
        &self,
        connections: &ConnectionLog,
        path: &str,
        mut limits: sockeye::Limits,
        rates: AddressRates,
    ) -> Route {
        let chat = self.clone();
        limits.message_bytes_max = chat.limits().message_bytes_max;
        let visit =
            move |request: &Request| ChatEndpoint::new(chat.clone(), request, rates.clone());
        connections.route(path, visit)
            // A page identifies itself by a uuid that pages of other sites don't know. Cookies don't count here.
            .origins(Origins::Any)
            .limits(limits)
    }
}

/// The endpoint of one page's connection.
#[derive(Debug)]
pub(crate) struct ChatEndpoint {
    chat: Chat,
    rate: MessageRate,
    since: Instant,
    /// The client address whose wrong tokens are counted.
    address: AddressKey,
    rates: AddressRates,
}

impl ChatEndpoint {
    /// Creates the endpoint of a connection.
    ///
    /// # Errors
    ///
    /// The client address has sent too many wrong keys and tokens.
    pub(crate) fn new(
        chat: Chat,
        request: &Request,
        rates: AddressRates,
    ) -> Result<Self, sockeye::Refusal> {
        let address = AddressKey::from(request.info());
        rates.wrong_keys.check(address)?;
        let since = Instant::now();
        Ok(Self {
            rate: MessageRate::new(chat.limits(), since.elapsed()),
            chat,
            since,
            address,
            rates,
        })
    }

    /// Counts a wrong token. Returns whether the client address may try again.
    fn may_try_again(&self) -> bool {
        let limiter = &self.rates.wrong_keys;
        limiter.count(self.address).is_ok() && limiter.check(self.address).is_ok()
    }

    /// Parses and checks a message, and queues its command for the processor.
    fn handle_text(
        &mut self,
        session: &Session,
        message: Message<'_>,
    ) -> Result<Reply, (ChatError, EchoedFields)> {
        let nothing = EchoedFields::default;
        match self.rate.handle_message(self.since.elapsed()) {
            RateVerdict::Allowed => {}
            RateVerdict::TooFast => {
                // Read only for its id: the page must know which of its messages was refused.
                let text = message.as_text().unwrap_or_default();
                let (Ok((_, echoed)) | Err((_, echoed))) = read(text, self.chat.limits(), |_| true);
                return Err((ChatError::TooFast, echoed));
            }
            RateVerdict::Disconnect => {
                let reason = "too fast for too long";
                return Ok(Reply::Close(CloseCode::POLICY_VIOLATION, reason.into()));
            }
        }
        let text = message.as_text().ok_or((ChatError::Binary, nothing()))?;
        let chat = &self.chat;
        let (command, echoed) = read(text, chat.limits(), |token| chat.tokens().admit(token))?;
        if command == Command::HeartBeat {
            let beat = event("HEARTBEAT", json!({ "time": now_ms() }));
            return Ok(Reply::Message(beat.into()));
        }
        match chat.submit(Job::Command(session.clone(), command, echoed.clone())) {
            Ok(()) => Ok(Reply::None),
            Err(Refusal::Busy) => Err((ChatError::Busy, echoed)),
            Err(Refusal::Stopped) => Err((ChatError::Stopped, echoed)),
        }
    }
}

impl Endpoint for ChatEndpoint {
    fn on_open(&mut self, session: &Session) {
        let response = json!({ "client_id": client_id(session) });
        // The first message of a connection always fits into the outbox.
        let _ = session.try_send(event("CONNECT", response));
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match self.handle_text(session, message) {
            Ok(reply) => reply,
            Err((chat_error, echoed)) => {
                send_error(session, chat_error, &echoed);
                let is_over = chat_error == ChatError::BadToken && !self.may_try_again();
                match is_over || chat_error.is_fatal() {
                    true => Reply::Close(CloseCode::POLICY_VIOLATION, chat_error.code().into()),
                    false => Reply::None,
                }
            }
        }
    }

    fn on_close(&mut self, session: &Session, _closed: &Closed) {
        self.chat.end_session(session);
    }
}
