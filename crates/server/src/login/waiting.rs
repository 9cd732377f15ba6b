//! The browser's socket: it shows tickets, one after the other, until one is confirmed.

use serde_json::{Value, json};
use sockeye::{CloseCode, Closed, Endpoint, Message, Refusal, Reply, Request, Session};

use super::{
    agent,
    key::Key,
    picture::Picture,
    service::{BROWSER_COOKIE, Login},
    tickets::Asker,
};
use crate::chat::{event, now_ms};

/// A browser that waits for a phone.
#[derive(Debug)]
pub(crate) struct Waiting {
    login: Login,
    browser: Key,
    asker: Asker,
    /// `https://example.com`: what the browser's own address line shows, checked against `Host` before.
    origin: String,
    /// How many it has shown.
    tickets: u32,
}

impl Waiting {
    /// # Errors
    ///
    /// The request has no cookie of `/login`, or doesn't say where its page is.
    pub(crate) fn new(login: Login, request: &Request) -> Result<Self, Refusal> {
        let field = |name: &str| {
            let value = request.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let browser = request.cookie(BROWSER_COOKIE);
        let browser = browser.and_then(|key| Key::parse(&key));
        let (Some(browser), Some(origin)) = (browser, field("origin")) else {
            let refusal = Refusal::new(axum::http::StatusCode::FORBIDDEN);
            return Err(refusal.body("open /login in a browser\n"));
        };
        let asker = Asker {
            browser: agent::name_of(&field("user-agent").unwrap_or_default()),
            ip: request
                .peer_addr()
                .map_or_else(String::new, |addr| addr.ip().to_canonical().to_string()),
            time: 0,
        };
        Ok(Self {
            login,
            browser,
            asker,
            origin,
            tickets: 0,
        })
    }

    fn ticket(&mut self, session: &Session) -> Reply {
        self.tickets += 1;
        if self.tickets > TICKETS_MAX {
            return Reply::Close(CloseCode::POLICY_VIOLATION, "load the page again".into());
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
        if let Reply::Message(ticket) = self.ticket(session) {
            // The first message of a connection always fits.
            let _ = session.try_send(ticket);
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

/// Tickets of one connection: two hours of them, and then somebody should look whether the page is still wanted.
const TICKETS_MAX: u32 = 60;
