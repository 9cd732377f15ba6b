//! The login: its pages and POST requests, and the state behind them.

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
use sockeye::{AddressKey, RequestInfo, Session};

use super::{
    browser_cookie::{BROWSER_COOKIE, key_of},
    key::Key,
    page::{confirm_page, login_page},
    tickets::{BrowserInfo, ConfirmedPerson, Consent, Denial, Tickets, TooManyTickets},
};
use crate::{
    address_rates::{AddressRates, too_many},
    event::{event, send_or_close},
    identity::{Cookies, PERSON_COOKIE, People, Person, RECEIPT_COOKIE, display_name},
    page::Page,
};

/// The login. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    people: Arc<dyn People>,
    /// Characters of a name.
    name_chars_max: usize,
    rates: AddressRates,
    /// The address of this server for phones. `None`: that under which the browser reaches it.
    public_origin: Option<Arc<str>>,
    shared: Arc<Mutex<LoginShared>>,
    origin: Instant,
}

#[derive(Debug)]
struct LoginShared {
    tickets: Tickets,
    /// The sessions of browsers that wait, by session id.
    waiting: HashMap<u64, Session>,
}

/// Status and error code of a refused request.
type Refused = (StatusCode, &'static str);

impl Login {
    /// Creates the login. `lifetime` is how long a code can be scanned and confirmed. Codes lead to `public_origin`, if there
    /// is one.
    pub(crate) fn new(
        people: Arc<dyn People>,
        name_chars_max: usize,
        lifetime: Duration,
        rates: AddressRates,
        public_origin: Option<&str>,
    ) -> Self {
        let shared = LoginShared {
            tickets: Tickets::new(lifetime, TICKETS_MAX),
            waiting: HashMap::new(),
        };
        Self {
            people,
            name_chars_max,
            rates,
            public_origin: public_origin.map(Arc::from),
            shared: Arc::new(Mutex::new(shared)),
            origin: Instant::now(),
        }
    }

    /// Returns the router of the pages and POST requests.
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
                        let answered = login.answer_post(&info, &headers, &body, answer).await;
                        answered.unwrap_or_else(refuse)
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
        browser_info: BrowserInfo,
    ) -> Result<(Key, Duration), TooManyTickets> {
        let (ticket, now) = (Key::random(), self.now());
        let mut shared = self.lock();
        shared
            .tickets
            .issue(ticket, session.id(), browser, browser_info, now)?;
        shared.waiting.insert(session.id(), session.clone());
        Ok((ticket, shared.tickets.lifetime()))
    }

    /// Counts a ticket for the client address of its browser. Returns whether it may be issued.
    pub(crate) fn admits_ticket(&self, address: AddressKey) -> bool {
        self.rates.tickets.count(address).is_ok()
    }

    pub(crate) fn end_session(&self, session: &Session) {
        let mut shared = self.lock();
        shared.waiting.remove(&session.id());
        shared.tickets.end_session(session.id());
    }

    async fn answer_post(
        &self,
        info: &RequestInfo,
        headers: &HeaderMap,
        body: &[u8],
        answer: Answer,
    ) -> Result<Response, Refused> {
        if !self.is_from_our_page(info, headers) {
            return Ok(wrong_origin(info));
        }
        let cookies = Cookies::of(info);
        let no_cookie = (StatusCode::FORBIDDEN, "no_cookie");
        let browser = key_of(headers, cookies).ok_or(no_cookie)?;
        let body = serde_json::from_slice(body);
        let body: Value = body.map_err(|_| (StatusCode::BAD_REQUEST, "bad_json"))?;
        let person = self.people.recognise(headers, cookies).await;
        let person = person.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "busy"))?;
        let request = LoginRequest {
            info,
            browser,
            person,
            cookies,
            body,
        };
        answer(self, &request)
    }

    /// Answers a phone that has scanned the ticket with the browser's description.
    fn scan(&self, request: &LoginRequest<'_>) -> Result<Response, Refused> {
        let ticket = request.key("ticket")?;
        let scan = self
            .lock()
            .tickets
            .scan(ticket, request.browser, Key::random(), self.now())
            .map_err(denied)?;
        let expires_in_ms = u64::try_from(scan.left.as_millis()).unwrap_or(u64::MAX);
        let told = json!({ "state": "scanned", "expires_in_ms": expires_in_ms });
        self.tell(scan.session, &told);
        let data = json!({
            "browser": scan.browser_info.browser,
            "ip": scan.browser_info.ip,
            "time": scan.browser_info.time,
            "expires_in_ms": expires_in_ms,
            "csrf": scan.csrf.to_string(),
            "is_known": request.person.is_some(),
        });
        Ok(answer(&data, []))
    }

    /// Confirms the login: the browser gets the phone's identity.
    fn confirm(&self, request: &LoginRequest<'_>) -> Result<Response, Refused> {
        let (ticket, csrf) = (request.key("ticket")?, request.key("csrf")?);
        let name = request.body["name"].as_str();
        let name = name.and_then(|name| display_name(name, self.name_chars_max).ok());
        let name = name.ok_or((StatusCode::BAD_REQUEST, "name"))?.to_owned();
        if request.person.is_none()
            && let Err(error) = self.rates.identities.count(request.info)
        {
            return Ok(too_many(error, |status| refuse((status, "too_many"))));
        }
        let person = request.person.unwrap_or_else(|| self.people.create());
        let confirmed_person = ConfirmedPerson { person, name };
        let code = Key::random();
        let session = self
            .lock()
            .tickets
            .confirm(
                ticket,
                request.browser,
                csrf,
                confirmed_person,
                code,
                self.now(),
            )
            .map_err(denied)?;
        let told = json!({ "state": "confirmed", "code": code.to_string() });
        self.tell(session, &told);
        let is_new = request.person.is_none();
        let cookie = is_new.then(|| request.cookies.set(PERSON_COOKIE, &person.to_string()));
        Ok(answer(&json!({ "state": "confirmed" }), cookie))
    }

    fn deny(&self, request: &LoginRequest<'_>) -> Result<Response, Refused> {
        let (ticket, csrf) = (request.key("ticket")?, request.key("csrf")?);
        let session = self
            .lock()
            .tickets
            .deny(ticket, request.browser, csrf, self.now())
            .map_err(denied)?;
        self.tell(session, &json!({ "state": "denied" }));
        Ok(answer(&json!({ "state": "denied" }), []))
    }

    /// Exchanges the browser's code for the identity cookie. Its WebSocket can't set a cookie.
    fn exchange(&self, request: &LoginRequest<'_>) -> Result<Response, Refused> {
        let code = request.key("code")?;
        let consent = match request.body["replace"] == true {
            true => Consent::Given,
            false => Consent::NotGiven,
        };
        let confirmed_person = self
            .lock()
            .tickets
            .exchange(code, request.browser, request.person, consent, self.now())
            .map_err(denied)?;
        let person = confirmed_person.person.to_string();
        let cookie = request.cookies.set(PERSON_COOKIE, &person);
        Ok(answer(&json!({ "name": confirmed_person.name }), [cookie]))
    }

    /// Answers whether the browser has an identity already.
    fn identity(&self, request: &LoginRequest<'_>) -> Result<Response, Refused> {
        Ok(answer(&json!({ "is_known": request.person.is_some() }), []))
    }

    /// Removes the browser's cookies.
    fn log_out(&self, request: &LoginRequest<'_>) -> Result<Response, Refused> {
        let removed = [PERSON_COOKIE, RECEIPT_COOKIE, BROWSER_COOKIE];
        let removed = removed.map(|cookie| request.cookies.remove(cookie));
        Ok(answer(&json!({ "state": "logged_out" }), removed))
    }

    /// Returns the address to which a code leads that is shown to a browser at `origin`.
    pub(super) fn origin_for_phones<'a>(&'a self, origin: &'a str) -> &'a str {
        self.public_origin.as_deref().unwrap_or(origin)
    }

    /// Returns whether the request is JSON from a page of this site. No form can send JSON, and browsers send a page's origin.
    fn is_from_our_page(&self, info: &RequestInfo, request: &HeaderMap) -> bool {
        let field =
            |name: header::HeaderName| request.get(name).and_then(|value| value.to_str().ok());
        let is_json = field(header::CONTENT_TYPE).is_some_and(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim() == "application/json")
        });
        let is_ours = |origin: &str| {
            info.is_same_origin(origin) || self.public_origin.as_deref() == Some(origin)
        };
        is_json && field(header::ORIGIN).is_some_and(is_ours)
    }

    fn tell(&self, session: u64, response: &Value) {
        let session = self.lock().waiting.get(&session).cloned();
        if let Some(session) = session {
            send_or_close(&session, event("STATE", response));
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, LoginShared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = fn(&Login, &LoginRequest<'_>) -> Result<Response, Refused>;

/// A POST request of a page, with the identity of its sender.
#[derive(Debug)]
struct LoginRequest<'a> {
    info: &'a RequestInfo,
    /// The login cookie of the browser or phone.
    browser: Key,
    /// The identity in the chat.
    person: Option<Person>,
    cookies: Cookies,
    body: Value,
}

impl LoginRequest<'_> {
    fn key(&self, field: &'static str) -> Result<Key, Refused> {
        let key = self.body[field].as_str().and_then(Key::parse);
        key.ok_or((StatusCode::BAD_REQUEST, field))
    }
}

/// Returns a page, and sets the login cookie if the browser has none.
fn show(page: &Page, request: &HeaderMap, cookies: Cookies) -> Response {
    let mut response = page.respond(request);
    if key_of(request, cookies).is_none() {
        let cookie = cookies.set(BROWSER_COOKIE, &Key::random().to_string());
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Refuses a request from another origin. The answer has the expected origin and the client's address, which show a wrong
/// proxy configuration.
fn wrong_origin(info: &RequestInfo) -> Response {
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

/// Most valid tickets, which take some megabytes. As many finished ones are remembered.
const TICKETS_MAX: usize = 10_000;

/// Bytes of a request body: two keys and a name.
pub(crate) const BODY_BYTES_MAX: usize = 4096;
