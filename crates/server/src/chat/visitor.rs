//! One page's connection: it says who it is, and then what it likes.

use std::time::Instant;

use serde_json::json;
use sockeye::{AddressKey, CloseCode, Closed, Endpoint, Message, Reply, Request, Session};

use super::{
    Chat,
    desk::{client_id, now_ms, tell_error},
    dialect::{Echoed, Order, Trouble, event, read},
    job::Job,
    rate::{Allowance, Pace},
    service::Refusal,
};
use crate::address_rates::AddressRates;

/// One page's connection.
#[derive(Debug)]
pub(crate) struct Visitor {
    chat: Chat,
    allowance: Allowance,
    since: Instant,
    /// Whose wrong tokens are counted.
    address: AddressKey,
    rates: AddressRates,
}

impl Visitor {
    /// # Errors
    ///
    /// The address has tried too many keys and tokens: none of it is looked at.
    pub(crate) fn new(
        chat: Chat,
        request: &Request,
        rates: AddressRates,
    ) -> Result<Self, sockeye::Refusal> {
        let address = AddressKey::from(request.info());
        rates.wrong_keys.check(address)?;
        let since = Instant::now();
        Ok(Self {
            allowance: Allowance::new(chat.limits(), since.elapsed()),
            chat,
            since,
            address,
            rates,
        })
    }

    /// Counts a wrong token. Whether the address may try more.
    fn may_try_again(&self) -> bool {
        let limiter = &self.rates.wrong_keys;
        limiter.count(self.address).is_ok() && limiter.check(self.address).is_ok()
    }

    /// Takes what the page says as far as it can be taken without the desk.
    fn heard(
        &mut self,
        session: &Session,
        message: Message<'_>,
    ) -> Result<Reply, (Trouble, Echoed)> {
        let nothing = Echoed::default;
        match self.allowance.handle_message(self.since.elapsed()) {
            Pace::Fine => {}
            Pace::TooFast => return Err((Trouble::TooFast, nothing())),
            Pace::Relentless => {
                let reason = "too fast for too long";
                return Ok(Reply::Close(CloseCode::POLICY_VIOLATION, reason.into()));
            }
        }
        let text = message.as_text().ok_or((Trouble::Binary, nothing()))?;
        let chat = &self.chat;
        let (order, echoed) = read(text, chat.limits(), |token| chat.tokens().admit(token))?;
        if order == Order::HeartBeat {
            let beat = event("HEARTBEAT", json!({ "time": now_ms() }));
            return Ok(Reply::Message(beat.into()));
        }
        match chat.hand_over(Job::Order(session.clone(), order, echoed.clone())) {
            Ok(()) => Ok(Reply::None),
            Err(Refusal::Busy) => Err((Trouble::Busy, echoed)),
            Err(Refusal::Stopped) => Err((Trouble::Stopped, echoed)),
        }
    }
}

impl Endpoint for Visitor {
    fn on_open(&mut self, session: &Session) {
        let response = json!({ "client_id": client_id(session) });
        // The first message of a connection always fits.
        let _ = session.try_send(event("CONNECT", response));
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match self.heard(session, message) {
            Ok(reply) => reply,
            Err((trouble, echoed)) => {
                tell_error(session, trouble, &echoed);
                let is_over = trouble == Trouble::BadToken && !self.may_try_again();
                match is_over || trouble.is_fatal() {
                    true => Reply::Close(CloseCode::POLICY_VIOLATION, trouble.code().into()),
                    false => Reply::None,
                }
            }
        }
    }

    fn on_close(&mut self, session: &Session, _closed: &Closed) {
        self.chat.farewell(session);
    }
}
