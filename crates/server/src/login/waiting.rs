//! The browser's socket: it shows tickets, one after the other, until one is confirmed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sockeye::{AddressKey, CloseCode, Closed, Endpoint, Message, Refusal, Reply, Request, Session};

use super::{
    agent,
    key::Key,
    picture::Picture,
    service::{Login, key_of},
    tickets::Asker,
};
use crate::chat::{Cookies, event, now_ms};

/// A browser that waits for a phone.
#[derive(Debug)]
pub(crate) struct Waiting {
    login: Login,
    browser: Key,
    asker: Asker,
    /// For which its tickets are counted.
    address: AddressKey,
    /// `https://example.com`: what the browser's own address line shows, which is this server.
    origin: String,
    /// How many it has shown.
    tickets: u32,
    /// When all of [`TICKETS_AT_ONCE`] are there again.
    full_at: Instant,
}

impl Waiting {
    /// # Errors
    ///
    /// The request has no cookie of `/login`, doesn't say where its page is, or has come to a host whose name no host
    /// can have.
    pub(crate) fn new(login: Login, request: &Request) -> Result<Self, Refusal> {
        let field = |name: &str| {
            let value = request.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let browser = key_of(request.headers(), Cookies::of(request.info()));
        let (Some(browser), Some(origin)) = (browser, field("origin")) else {
            let refusal = Refusal::new(axum::http::StatusCode::FORBIDDEN);
            return Err(refusal.body("open /login in a browser\n"));
        };
        if origin.len() > ORIGIN_BYTES_MAX {
            let refusal = Refusal::new(axum::http::StatusCode::BAD_REQUEST);
            return Err(refusal.body("no host has a name that long\n"));
        }
        let asker = Asker {
            browser: agent::name_of(&field("user-agent").unwrap_or_default()),
            ip: request
                .client_addr()
                .map_or_else(String::new, |addr| addr.to_string()),
            time: 0,
        };
        Ok(Self {
            login,
            browser,
            asker,
            address: request.info().into(),
            origin,
            tickets: 0,
            full_at: Instant::now(),
        })
    }

    fn ticket(&mut self, session: &Session) -> Reply {
        self.tickets += 1;
        if self.tickets > TICKETS_MAX {
            return Reply::Close(CloseCode::POLICY_VIOLATION, "load the page again".into());
        }
        let now = Instant::now();
        self.full_at = self.full_at.max(now) + TICKET_INTERVAL;
        if self.full_at > now + TICKET_INTERVAL * TICKETS_AT_ONCE {
            return Reply::Close(CloseCode::POLICY_VIOLATION, "too many codes".into());
        }
        if !self.login.admits_ticket(self.address) {
            return Reply::Close(CloseCode::TRY_AGAIN_LATER, "too many codes".into());
        }
        let asker = Asker {
            time: now_ms(),
            ..self.asker.clone()
        };
        let Ok((ticket, lifetime)) = self.login.issue(session, self.browser, asker) else {
            return Reply::Close(CloseCode::TRY_AGAIN_LATER, "too many are waiting".into());
        };
        // Behind the #, so that it stands in no log and in no Referer.
        let url = format!("{}/login/confirm#{ticket}", self.origin);
        let Some(picture) = Picture::of(&url) else {
            return Reply::Close(CloseCode::INTERNAL_ERROR, "the address is too long".into());
        };
        let response = json!({ "url": url, "picture": picture, "expires_in_ms": u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX) });
        Reply::Message(event("TICKET", response).into())
    }
}

impl Endpoint for Waiting {
    fn on_open(&mut self, session: &Session) {
        match self.ticket(session) {
            // The first message of a connection always fits.
            Reply::Message(ticket) => drop(session.try_send(ticket)),
            Reply::Close(code, reason) => session.close(code, &reason),
            _ => {}
        }
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        let said: Option<Value> = message
            .as_text()
            .and_then(|text| serde_json::from_str(text).ok());
        match said.as_ref().and_then(|said| said["url"].as_str()) {
            Some("/login/renew") => self.ticket(session),
            Some("/login/heart-beat") => Reply::None,
            _ => {
                let response = json!({ "code": "unknown_url", "message": "say /login/renew" });
                Reply::Message(event("ERROR", response).into())
            }
        }
    }

    fn on_close(&mut self, session: &Session, _closed: &Closed) {
        self.login.end_session(session);
    }
}

/// Tickets of one connection one after the other: more than anybody clicks for.
const TICKETS_AT_ONCE: u32 = 10;

/// And then one for each of these, so that codes aren't drawn for nobody.
const TICKET_INTERVAL: Duration = Duration::from_secs(5);

/// Bytes: a scheme, a name of 253 (RFC 1035 section 2.3.4), a port, and some. A longer one makes a code that takes long to
/// draw and that no camera reads.
const ORIGIN_BYTES_MAX: usize = 280;

/// Tickets of one connection: two hours of them, and then somebody should look whether the page is still wanted.
const TICKETS_MAX: u32 = 60;
