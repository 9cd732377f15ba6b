//! The login as the rest of the server sees it: a WebSocket, two pages, four questions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing,
};
use serde_json::{Value, json};
use sockeye::{AddressKey, Origins, RequestInfo, Route, Session};

use super::{
    key::Key,
    page::{confirm_page, login_page},
    tickets::{Asker, Consent, Denial, Full, Guest, Tickets},
    waiting::Waiting,
};
use crate::{
    address_rates::{AddressRates, too_many},
    chat::{
        Chat, Cookie, Cookies, Lifetime, PERSON_COOKIE, Person, RECEIPT_COOKIE, SameSite, event,
        label, tell,
    },
    connection_log::ConnectionLog,
    page::Page,
};

/// The login. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    chat: Chat,
    rates: AddressRates,
    shared: Arc<Mutex<Shared>>,
    origin: Instant,
}

#[derive(Debug)]
struct Shared {
    tickets: Tickets,
    /// Browsers that wait, by their session's id.
    waiting: HashMap<u64, Session>,
}

/// What a request comes to, if not to what it asked for.
type Refused = (StatusCode, &'static str);

impl Login {
    /// `lifetime` is how long a code can be scanned and confirmed.
    pub(crate) fn new(chat: Chat, lifetime: Duration, rates: AddressRates) -> Self {
        let shared = Shared {
            tickets: Tickets::new(lifetime, TICKETS_MAX),
            waiting: HashMap::new(),
        };
        Self {
            chat,
            rates,
            shared: Arc::new(Mutex::new(shared)),
            origin: Instant::now(),
        }
    }

    /// Where the browser waits, with the server's limits but for the size of a message.
    pub(crate) fn route(&self, connections: ConnectionLog, mut limits: sockeye::Limits) -> Route {
        let login = self.clone();
        limits.message_bytes_max = BODY_BYTES_MAX;
        connections.route("/login/ws", move |request| {
            Waiting::new(login.clone(), request)
        })
        // Here a cookie counts, so no other site's page may open it.
        .origins(Origins::Same)
        .limits(limits)
    }

    /// The pages and the questions.
    pub(crate) fn router(&self) -> Router {
        let posts: [(&str, Answer); 6] = [
            ("/login/scan", Self::scan),
            ("/login/confirm", Self::confirm),
            ("/login/deny", Self::deny),
            ("/login/exchange", Self::exchange),
            ("/login/identity", Self::identity),
            ("/login/logout", Self::log_out),
        ];
        let mut router = Router::new();
        for (path, page) in [("/login", login_page()), ("/login/confirm", confirm_page())] {
            router = router.route(
                path,
                routing::get(move |info: RequestInfo, headers: HeaderMap| async move {
                    show(&page, &headers, Cookies::of(&info))
                }),
            );
        }
        for (path, answer) in posts {
            let login = self.clone();
            router = router.route(
                path,
                routing::post(
                    move |info: RequestInfo, headers: HeaderMap, body: Bytes| async move {
                        let asked = login.asked(&info, &headers, &body, answer).await;
                        asked.unwrap_or_else(refuse)
                    },
                ),
            );
        }
        router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
    }

    pub(crate) fn issue(
        &self,
        session: &Session,
        browser: Key,
        asker: Asker,
    ) -> Result<(Key, Duration), Full> {
        let (ticket, now) = (Key::random(), self.now());
        let mut shared = self.lock();
        shared
            .tickets
            .issue(ticket, session.id(), browser, asker, now)?;
        shared.waiting.insert(session.id(), session.clone());
        Ok((ticket, shared.tickets.lifetime()))
    }

    /// Counts a ticket for the address of its browser. Whether it may be issued.
    pub(crate) fn admits_ticket(&self, address: AddressKey) -> bool {
        self.rates.tickets.count(address).is_ok()
    }

    pub(crate) fn end_session(&self, session: &Session) {
        let mut shared = self.lock();
        shared.waiting.remove(&session.id());
        shared.tickets.end_session(session.id());
    }

    async fn asked(
        &self,
        info: &RequestInfo,
        headers: &HeaderMap,
        body: &[u8],
        answer: Answer,
    ) -> Result<Response, Refused> {
        if !is_from_our_page(info, headers) {
            return Ok(elsewhere(info));
        }
        let cookies = Cookies::of(info);
        let no_cookie = (StatusCode::FORBIDDEN, "no_cookie");
        let browser = key_of(headers, cookies).ok_or(no_cookie)?;
        let said = serde_json::from_slice(body);
        let said: Value = said.map_err(|_| (StatusCode::BAD_REQUEST, "bad_json"))?;
        let person = self.chat.recognise(headers, cookies).await;
        let person = person.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "busy"))?;
        let question = Question {
            info,
            browser,
            person,
            cookies,
            said,
        };
        answer(self, &question)
    }

    /// The phone has the ticket and wants to know who is asking.
    fn scan(&self, asked: &Question<'_>) -> Result<Response, Refused> {
        let ticket = asked.key("ticket")?;
        let scan = self
            .lock()
            .tickets
            .scan(ticket, asked.browser, Key::random(), self.now())
            .map_err(denied)?;
        self.tell(scan.session, &json!({ "state": "scanned" }));
        let data = json!({
            "browser": scan.asker.browser,
            "ip": scan.asker.ip,
            "time": scan.asker.time,
            "expires_in_ms": u64::try_from(scan.left.as_millis()).unwrap_or(u64::MAX),
            "csrf": scan.csrf.to_string(),
            "is_known": asked.person.is_some(),
        });
        Ok(answer(&data, []))
    }

    /// The phone says yes: whoever it is, the browser is too.
    fn confirm(&self, asked: &Question<'_>) -> Result<Response, Refused> {
        let (ticket, csrf) = (asked.key("ticket")?, asked.key("csrf")?);
        let name = label(&asked.said["name"], "name", self.chat.limits());
        let name = name.map_err(|_| (StatusCode::BAD_REQUEST, "name"))?;
        if asked.person.is_none()
            && let Err(error) = self.rates.identities.count(asked.info)
        {
            return Ok(too_many(error, |status| refuse((status, "too_many"))));
        }
        let made = || self.chat.identities().make();
        let person = asked.person.unwrap_or_else(made);
        let guest = Guest { person, name };
        let code = Key::random();
        let session = self
            .lock()
            .tickets
            .confirm(ticket, asked.browser, csrf, guest, code, self.now())
            .map_err(denied)?;
        let told = json!({ "state": "confirmed", "code": code.to_string() });
        self.tell(session, &told);
        let is_new = asked.person.is_none();
        let cookie = is_new.then(|| asked.cookies.set(PERSON_COOKIE, &person.to_string()));
        Ok(answer(&json!({ "state": "confirmed" }), cookie))
    }

    fn deny(&self, asked: &Question<'_>) -> Result<Response, Refused> {
        let (ticket, csrf) = (asked.key("ticket")?, asked.key("csrf")?);
        let session = self
            .lock()
            .tickets
            .deny(ticket, asked.browser, csrf, self.now())
            .map_err(denied)?;
        self.tell(session, &json!({ "state": "denied" }));
        Ok(answer(&json!({ "state": "denied" }), []))
    }

    /// The browser takes what it was promised over its socket, which can't set a cookie.
    fn exchange(&self, asked: &Question<'_>) -> Result<Response, Refused> {
        let code = asked.key("code")?;
        let consent = match asked.said["replace"] == true {
            true => Consent::Given,
            false => Consent::NotGiven,
        };
        let guest = self
            .lock()
            .tickets
            .exchange(code, asked.browser, asked.person, consent, self.now())
            .map_err(denied)?;
        let person = guest.person.to_string();
        let cookie = asked.cookies.set(PERSON_COOKIE, &person);
        Ok(answer(&json!({ "name": guest.name }), [cookie]))
    }

    /// Whether the browser is somebody already.
    fn identity(&self, asked: &Question<'_>) -> Result<Response, Refused> {
        Ok(answer(&json!({ "is_known": asked.person.is_some() }), []))
    }

    /// From now on the browser is nobody.
    fn log_out(&self, asked: &Question<'_>) -> Result<Response, Refused> {
        let removed = [PERSON_COOKIE, RECEIPT_COOKIE, BROWSER_COOKIE];
        let removed = removed.map(|cookie| asked.cookies.remove(cookie));
        Ok(answer(&json!({ "state": "logged_out" }), removed))
    }

    fn tell(&self, session: u64, response: &Value) {
        let session = self.lock().waiting.get(&session).cloned();
        if let Some(session) = session {
            tell(&session, event("STATE", response));
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = fn(&Login, &Question<'_>) -> Result<Response, Refused>;

/// What a page asks, and who it is.
#[derive(Debug)]
struct Question<'a> {
    info: &'a RequestInfo,
    /// The browser's own cookie, or the phone's.
    browser: Key,
    /// Who it is in the chat.
    person: Option<Person>,
    cookies: Cookies,
    said: Value,
}

impl Question<'_> {
    fn key(&self, field: &'static str) -> Result<Key, Refused> {
        let key = self.said[field].as_str().and_then(Key::parse);
        key.ok_or((StatusCode::BAD_REQUEST, field))
    }
}

/// A page, and the cookie by which this browser is known again.
fn show(page: &Page, request: &HeaderMap, cookies: Cookies) -> Response {
    let mut response = page.respond(request);
    if key_of(request, cookies).is_none() {
        let cookie = cookies.set(BROWSER_COOKIE, &Key::random().to_string());
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(crate) fn key_of(request: &HeaderMap, cookies: Cookies) -> Option<Key> {
    cookies.find(request, BROWSER_COOKIE).and_then(Key::parse)
}

/// JSON from a page of this site, and nothing else: no form can send it, and browsers say where a page is from.
fn is_from_our_page(info: &RequestInfo, request: &HeaderMap) -> bool {
    let field = |name: header::HeaderName| request.get(name).and_then(|value| value.to_str().ok());
    let is_json = field(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/json")
    });
    is_json && field(header::ORIGIN).is_some_and(|origin| info.is_same_origin(origin))
}

/// What the server takes its page's origin and the client's address for is what a proxy has told wrongly, if one has.
fn elsewhere(info: &RequestInfo) -> Response {
    let ip = info.client_addr().map(|addr| addr.to_string());
    let data = json!({ "error": "elsewhere", "expected": info.origin(), "ip": ip });
    let mut response = answer(&data, []);
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

fn denied(denial: Denial) -> Refused {
    let status = match denial {
        Denial::Unknown | Denial::Expired | Denial::Used => StatusCode::GONE,
        Denial::Taken | Denial::Replaces => StatusCode::CONFLICT,
        Denial::NotScanned | Denial::WrongBrowser => StatusCode::FORBIDDEN,
    };
    (status, denial.code())
}

fn refuse((status, code): Refused) -> Response {
    let mut response = answer(&json!({ "error": code }), []);
    *response.status_mut() = status;
    response
}

fn answer(data: &Value, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let mut response = Response::new(Body::from(data.to_string()));
    let headers = response.headers_mut();
    let fields = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

/// By which a browser, or a phone, is known again. The phone's camera opens its page, which counts as a link from
/// elsewhere: a page that didn't see the cookie then would set another one.
const BROWSER_COOKIE: Cookie = Cookie {
    name: "login_key",
    same_site: SameSite::Lax,
    lifetime: Lifetime::Session,
};

/// Tickets that are good for something, some megabytes of them, and as many that were.
const TICKETS_MAX: usize = 10_000;

/// Bytes. Two keys and a name.
const BODY_BYTES_MAX: usize = 4096;
