//! The WebSocket endpoint of a browser that waits for a phone. It sends tickets until one is confirmed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sockeye::{
    AddressKey, CloseCode, Closed, Endpoint, Message, Origins, Refusal, Reply, Request, Route,
    Session,
};

use super::{
    browser_cookie::key_of,
    key::Key,
    service::{BODY_BYTES_MAX, Login},
    tickets::BrowserInfo,
    user_agent,
};
use crate::{
    connection_log::ConnectionLog, event::event, identity::Cookies, qr_code::QrCode,
    unix_time::now_ms,
};

impl Login {
    /// Returns the route of `/login/ws`. It has the server's limits except for the size of a message.
    ///
    /// `origins` are those of the server's own pages: the request carries a cookie, so pages of other sites must not open it.
    pub(crate) fn route(
        &self,
        connections: &ConnectionLog,
        origins: Origins,
        mut limits: sockeye::Limits,
    ) -> Route {
        let login = self.clone();
        limits.message_bytes_max = BODY_BYTES_MAX;
        connections
            .route("/login/ws", move |request| {
                LoginEndpoint::new(login.clone(), request)
            })
            .origins(origins)
            .origin_advice("set public_url to {origin}")
            .limits(limits)
    }
}

/// The endpoint of a browser that waits for a phone.
#[derive(Debug)]
pub(crate) struct LoginEndpoint {
    login: Login,
    browser: Key,
    browser_info: BrowserInfo,
    /// For which its tickets are counted.
    address: AddressKey,
    /// The page's origin, such as `https://example.com`, under which the browser reaches this server.
    origin: String,
    /// Tickets sent so far.
    tickets: u32,
    /// When [`TICKETS_AT_ONCE`] tickets are available again.
    full_at: Instant,
}

impl LoginEndpoint {
    /// Creates the endpoint of a connection.
    ///
    /// # Errors
    ///
    /// The request has no cookie of `/login`, has no Origin, or its origin is too long.
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
            return Err(refusal.body("the origin is too long\n"));
        }
        let browser_info = BrowserInfo {
            browser: user_agent::name_of(&field("user-agent").unwrap_or_default()),
            ip: request
                .client_addr()
                .map_or_else(String::new, |addr| addr.to_string()),
            time: 0,
        };
        Ok(Self {
            login,
            browser,
            browser_info,
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
        let browser_info = BrowserInfo {
            time: now_ms(),
            ..self.browser_info.clone()
        };
        let Ok((ticket, lifetime)) = self.login.issue(session, self.browser, browser_info) else {
            return Reply::Close(CloseCode::TRY_AGAIN_LATER, "too many are waiting".into());
        };
        // After the #, so that the ticket is in no log and no Referer.
        let origin = self.login.origin_for_phones(&self.origin);
        let url = format!("{origin}/login/confirm#{ticket}");
        let Some(qr_code) = QrCode::of(&url) else {
            return Reply::Close(CloseCode::INTERNAL_ERROR, "the address is too long".into());
        };
        let response = json!({ "url": url, "picture": qr_code, "expires_in_ms": u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX) });
        Reply::Message(event("TICKET", response).into())
    }
}

impl Endpoint for LoginEndpoint {
    fn on_open(&mut self, session: &Session) {
        match self.ticket(session) {
            // The first message of a connection always fits into the outbox.
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

/// Tickets of one connection at once. A person doesn't need more.
const TICKETS_AT_ONCE: u32 = 10;

/// Time for each further ticket.
const TICKET_INTERVAL: Duration = Duration::from_secs(5);

/// Bytes: a scheme, a name of 253 (RFC 1035 section 2.3.4), a port, and some spare. A longer origin makes a QR code that no
/// camera reads.
const ORIGIN_BYTES_MAX: usize = 280;

/// Tickets of one connection: enough for two hours. Then the page must be reloaded.
const TICKETS_MAX: u32 = 60;
