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
use sockeye::{Origins, Route, Session};

use super::{
    key::Key,
    page::{confirm_page, login_page},
    tickets::{Asker, Denial, Full, Guest, Tickets},
    waiting::Waiting,
};
use crate::{
    chat::{Chat, Cookies, PERSON_COOKIE, Person, event, label, person_of, tell},
    page::Page,
};

/// The login. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    chat: Chat,
    cookies: Cookies,
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
    pub(crate) fn new(chat: Chat, cookies: Cookies, lifetime: Duration) -> Self {
        let shared = Shared {
            tickets: Tickets::new(lifetime, TICKETS_MAX),
            waiting: HashMap::new(),
        };
        Self {
            chat,
            cookies,
            shared: Arc::new(Mutex::new(shared)),
            origin: Instant::now(),
        }
    }

    /// Where the browser waits, with the server's limits but for the size of a message.
    pub(crate) fn route(&self, mut limits: sockeye::Limits) -> Route {
        let login = self.clone();
        limits.message_bytes_max = BODY_BYTES_MAX;
        Route::new("/login/ws", move |request| {
            Waiting::new(login.clone(), request)
        })
        // Here a cookie counts, so no other site's page may open it.
        .origins(Origins::Same)
        .limits(limits)
    }

    /// The pages and the questions.
    pub(crate) fn router(&self) -> Router {
        let posts: [(&str, Answer); 4] = [
            ("/login/scan", Self::scan),
            ("/login/confirm", Self::confirm),
            ("/login/deny", Self::deny),
            ("/login/exchange", Self::exchange),
        ];
        let mut router = Router::new();
        for (path, page) in [("/login", login_page()), ("/login/confirm", confirm_page())] {
            let login = self.clone();
            router = router.route(
                path,
                routing::get(move |headers: HeaderMap| async move { login.show(&page, &headers) }),
            );
        }
        for (path, answer) in posts {
            let login = self.clone();
            router = router.route(
                path,
                routing::post(move |headers: HeaderMap, body: Bytes| async move {
                    login.asked(&headers, &body, answer)
                }),
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

    pub(crate) fn end_session(&self, session: &Session) {
        let now = self.now();
        let mut shared = self.lock();
        shared.waiting.remove(&session.id());
        shared.tickets.end_session(session.id(), now);
    }

    /// A page, and the cookie by which this browser is known again.
    fn show(&self, page: &Page, request: &HeaderMap) -> Response {
        let mut response = page.respond(request);
        if key_of(request).is_none() {
            let cookie = self
                .cookies
                .passing(BROWSER_COOKIE, &Key::random().to_string());
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    fn asked(&self, request: &HeaderMap, body: &[u8], answer: Answer) -> Response {
        if !is_from_our_page(request) {
            return refuse((StatusCode::FORBIDDEN, "elsewhere"));
        }
        let Some(key) = key_of(request) else {
            return refuse((StatusCode::FORBIDDEN, "no_cookie"));
        };
        let Ok(said) = serde_json::from_slice::<Value>(body) else {
            return refuse((StatusCode::BAD_REQUEST, "bad_json"));
        };
        answer(self, request, key, &said).unwrap_or_else(refuse)
    }

    /// The phone has the ticket and wants to know who is asking.
    fn scan(&self, request: &HeaderMap, phone: Key, said: &Value) -> Result<Response, Refused> {
        let ticket = key_in(said, "ticket")?;
        let scan = self
            .lock()
            .tickets
            .scan(ticket, phone, Key::random(), self.now())
            .map_err(denied)?;
        self.tell(scan.session, &json!({ "state": "scanned" }));
        Ok(answer(
            &json!({
                "browser": scan.asker.browser,
                "ip": scan.asker.ip,
                "time": scan.asker.time,
                "expires_in_ms": u64::try_from(scan.left.as_millis()).unwrap_or(u64::MAX),
                "csrf": scan.csrf.to_string(),
                "is_known": person_of(request).is_some(),
            }),
            None,
        ))
    }

    /// The phone says yes: whoever it is, the browser is too.
    fn confirm(&self, request: &HeaderMap, phone: Key, said: &Value) -> Result<Response, Refused> {
        let (ticket, csrf) = (key_in(said, "ticket")?, key_in(said, "csrf")?);
        let name = label(&said["name"], "name", self.chat.limits());
        let name = name.map_err(|_| (StatusCode::BAD_REQUEST, "name"))?;
        let known = person_of(request);
        let person = known.unwrap_or_else(Person::new);
        let guest = Guest { person, name };
        let code = Key::random();
        let session = self
            .lock()
            .tickets
            .confirm(ticket, phone, csrf, guest, code, self.now())
            .map_err(denied)?;
        let told = json!({ "state": "confirmed", "code": code.to_string() });
        self.tell(session, &told);
        let cookie = self.cookies.lasting(PERSON_COOKIE, &person.to_string());
        Ok(answer(
            &json!({ "state": "confirmed" }),
            known.is_none().then_some(cookie),
        ))
    }

    fn deny(&self, _: &HeaderMap, phone: Key, said: &Value) -> Result<Response, Refused> {
        let (ticket, csrf) = (key_in(said, "ticket")?, key_in(said, "csrf")?);
        let session = self
            .lock()
            .tickets
            .deny(ticket, phone, csrf, self.now())
            .map_err(denied)?;
        self.tell(session, &json!({ "state": "denied" }));
        Ok(answer(&json!({ "state": "denied" }), None))
    }

    /// The browser takes what it was promised over its socket, which can't set a cookie.
    fn exchange(&self, _: &HeaderMap, browser: Key, said: &Value) -> Result<Response, Refused> {
        let code = key_in(said, "code")?;
        let guest = self
            .lock()
            .tickets
            .exchange(code, browser, self.now())
            .map_err(denied)?;
        let cookie = self
            .cookies
            .lasting(PERSON_COOKIE, &guest.person.to_string());
        Ok(answer(&json!({ "name": guest.name }), Some(cookie)))
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

type Answer = fn(&Login, &HeaderMap, Key, &Value) -> Result<Response, Refused>;

fn key_of(request: &HeaderMap) -> Option<Key> {
    Cookies::find(request, BROWSER_COOKIE).and_then(Key::parse)
}

fn key_in(said: &Value, field: &'static str) -> Result<Key, Refused> {
    let key = said[field].as_str().and_then(Key::parse);
    key.ok_or((StatusCode::BAD_REQUEST, field))
}

/// JSON from a page of this site, and nothing else: no form can send it, and browsers say where a page is from.
fn is_from_our_page(request: &HeaderMap) -> bool {
    let field = |name: header::HeaderName| request.get(name).and_then(|value| value.to_str().ok());
    let is_json = field(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/json")
    });
    let (Some(origin), Some(host)) = (field(header::ORIGIN), field(header::HOST)) else {
        return false;
    };
    let origin = origin.split_once("://").map(|(_, authority)| authority);
    is_json && origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
}

fn denied(denial: Denial) -> Refused {
    let status = match denial {
        Denial::Unknown | Denial::Expired | Denial::Used => StatusCode::GONE,
        Denial::Taken => StatusCode::CONFLICT,
        Denial::NotScanned | Denial::WrongBrowser => StatusCode::FORBIDDEN,
    };
    (status, denial.code())
}

fn refuse((status, code): Refused) -> Response {
    let mut response = answer(&json!({ "error": code }), None);
    *response.status_mut() = status;
    response
}

fn answer(data: &Value, cookie: Option<HeaderValue>) -> Response {
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
    if let Some(cookie) = cookie {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

/// By which a browser, or a phone, is known again.
pub(crate) const BROWSER_COOKIE: &str = "login_key";

/// Tickets at the same time, some megabytes of them.
const TICKETS_MAX: usize = 10_000;

/// Bytes. Two keys and a name.
const BODY_BYTES_MAX: usize = 4096;
