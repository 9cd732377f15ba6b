//! Answers the plain requests on SockJS's paths.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tokio::time::{Instant, sleep};

use super::{
    body::{SockJsBody, StreamingBody},
    cookie::set_cookie,
    form::{Callback, Form, OPEN, close_frame},
    json::{BareString, parse_messages},
    mount::SockJsMount,
    pages::{GREETING, info},
    receiver::Receiver,
    session::SockJsSession,
    settings::SockJsWebSocket,
    target::{Target, Transport},
};
use crate::{
    handshake::{Refusal, Request},
    server::polling::{
        Access, Found, FoundMount, OpenError, Opener, Readable, RelayHolder as _, SessionHost,
        TableSession as _, YEAR, allow_caching, forbid_caching, push_text, with_path,
    },
};

/// A plain request on one of SockJS's paths.
pub(crate) struct SockJsRequest {
    mount: Arc<SockJsMount>,
    /// As the endpoint may see it: with the route's path.
    request: Request,
    /// What follows the route's path.
    rest: String,
}

/// The answer to a request, without the fields that depend on the path alone.
struct Answer {
    status: StatusCode,
    fields: HeaderMap,
    body: SockJsBody,
}

/// How the messages of a POST are encoded, and what answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendForm {
    /// JSON of any content type.
    Xhr,
    /// A form with the field `d`, or plain text.
    Jsonp,
}

impl SockJsRequest {
    /// Takes `request`, whose path `found` matches.
    pub(crate) fn new(found: FoundMount<SockJsMount>, mut request: Request) -> Self {
        let rest = request.path()[found.base_bytes..].to_owned();
        request.uri = with_path(&request.uri, found.base_bytes);
        request.params = found.params;
        Self {
            mount: found.mount,
            request,
            rest,
        }
    }

    /// Returns the largest body that the request may have, in bytes.
    pub(crate) fn body_bytes_max(&self) -> u64 {
        self.mount.settings.body_bytes_max
    }

    /// Answers the request, whose body is `body`.
    pub(crate) async fn respond(
        &self,
        host: &impl SessionHost,
        body: Bytes,
    ) -> Response<SockJsBody> {
        let Some(target) = Target::parse(&self.rest) else {
            return Answer::text(StatusCode::NOT_FOUND, "not found\n").into_response();
        };
        if !target.has_method(self.request.method().as_str()) {
            let mut answer = Answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            let methods = HeaderValue::from_static(target.methods());
            answer.fields.insert(header::ALLOW, methods);
            return answer.into_response();
        }
        match target {
            Target::Greeting => Answer::text(StatusCode::OK, GREETING).into_response(),
            Target::IframePage => self.iframe_page().into_response(),
            Target::RawWebSocket | Target::Session(_, Transport::WebSocket) => {
                self.not_a_websocket().into_response()
            }
            Target::Info | Target::Session(..) => self.respond_to_page(target, host, body).await,
        }
    }

    fn iframe_page(&self) -> Answer {
        let Some(page) = &self.mount.iframe_page else {
            return Answer::text(StatusCode::NOT_FOUND, "not found\n");
        };
        let (status, fields, body) = page.respond(self.request.headers());
        Answer {
            status,
            fields,
            body: body.into(),
        }
    }

    fn not_a_websocket(&self) -> Answer {
        match self.mount.settings.websocket {
            SockJsWebSocket::Served => {
                Answer::text(StatusCode::BAD_REQUEST, "Not a valid websocket request\n")
            }
            SockJsWebSocket::Absent => Answer::text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    /// Answers a request of a page, if its origin is let through.
    async fn respond_to_page(
        &self,
        target: Target<'_>,
        host: &impl SessionHost,
        body: Bytes,
    ) -> Response<SockJsBody> {
        let origins = &self.mount.route.origins;
        let readable = match target {
            Target::Session(_, Transport::Jsonp | Transport::HtmlFile) => Readable::AsScript,
            _ => Readable::No,
        };
        let access = Access::of(&self.request, origins, readable);
        if access == Access::Refused {
            let advice = self.mount.route.origin_advice;
            return host.refuse_origin(&self.request, advice).into_http();
        }
        let mut fields = HeaderMap::new();
        access.set_fields(&self.request, origins, &mut fields);
        if *self.request.method() == Method::OPTIONS {
            let mut answer = preflight(target.methods());
            answer.fields.extend(fields);
            return answer.into_response();
        }
        forbid_caching(&mut fields);
        let mut answer = match target {
            Target::Session(id, transport) => {
                let cookie = self.mount.settings.session_cookie;
                set_cookie(cookie, &self.request, &mut fields);
                self.respond_to_session(id, transport, host, body).await
            }
            _ => self.info(),
        };
        answer.fields.extend(fields);
        answer.into_response()
    }

    fn info(&self) -> Answer {
        let mut entropy = [0; 4];
        if getrandom::fill(&mut entropy).is_err() {
            return Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "no random numbers\n");
        }
        let json = info(&self.mount.settings, u32::from_ne_bytes(entropy));
        Answer::new(StatusCode::OK, "application/json; charset=UTF-8", json)
    }

    async fn respond_to_session(
        &self,
        id: &str,
        transport: Transport,
        host: &impl SessionHost,
        body: Bytes,
    ) -> Answer {
        let form = match transport {
            Transport::XhrSend => return self.send(id, SendForm::Xhr, body).await,
            Transport::JsonpSend => return self.send(id, SendForm::Jsonp, body).await,
            Transport::Xhr => Form::XhrPolling,
            Transport::XhrStreaming => Form::XhrStreaming,
            Transport::EventSource => Form::EventSource,
            Transport::HtmlFile | Transport::Jsonp | Transport::WebSocket => {
                let callback = match self.callback() {
                    Ok(callback) => callback,
                    Err(text) => return Answer::text(StatusCode::INTERNAL_SERVER_ERROR, text),
                };
                match transport {
                    Transport::HtmlFile => Form::HtmlFile(callback),
                    _ => Form::Jsonp(callback),
                }
            }
        };
        self.receive(id, form, host)
            .await
            .unwrap_or_else(Answer::refusal)
    }

    fn callback(&self) -> Result<Callback, &'static str> {
        let names = ["c", "callback"].map(|name| self.request.query_param(name));
        let name = names.into_iter().flatten().find(|name| !name.is_empty());
        let name = name.ok_or("\"callback\" parameter required")?;
        Callback::new(&name).ok_or("invalid \"callback\" parameter")
    }

    /// Answers a request that receives.
    async fn receive(
        &self,
        id: &str,
        form: Form,
        host: &impl SessionHost,
    ) -> Result<Answer, Refusal> {
        if let Found::Nothing = self.mount.sessions.find(id)
            && let Some(session) = self.open(id, host).await?
        {
            let receiver = Receiver::attached(session);
            return Ok(Answer::opened(&self.mount, form, receiver));
        }
        let (opener, session) = match self.mount.sessions.find(id) {
            Found::Live(session) => (session.opener(), Ok(session)),
            Found::Tombstone(tombstone) => (tombstone.opener, Err(tombstone.ending)),
            // It has been forgotten just now. The client tries again.
            Found::Nothing => return Err(not_found()),
        };
        let credentials = self.check_opener(&opener).await?;
        let session = match session {
            Ok(session) => session,
            Err(close_frame) => return Ok(Answer::frame(&self.mount, form, &close_frame)),
        };
        session.note_credentials(credentials);
        let Ok(receiver) = Receiver::attach(session).await else {
            let frame = close_frame(2010, "Another connection still open");
            return Ok(Answer::frame(&self.mount, form, &frame));
        };
        if form.is_streaming() {
            return Ok(Answer::stream(&self.mount, form, None, receiver));
        }
        let frame = receiver
            .poll_once(self.mount.settings.heartbeat_interval)
            .await;
        Ok(Answer::frame(&self.mount, form, &frame))
    }

    /// Opens a session. It counts for the server and its address before the route is asked who its client is. Returns `None` if
    /// another request has opened one by this id meanwhile.
    async fn open(
        &self,
        id: &str,
        host: &impl SessionHost,
    ) -> Result<Option<Arc<SockJsSession>>, Refusal> {
        let mount = &self.mount;
        if !mount.sessions.has_room() {
            return Err(too_many_sessions());
        }
        let registration = host.count_session(self.request.info())?;
        let request = mount.authorize(self.request.clone()).await?;
        let handler = mount.route.open(&request)?;
        let opener = Opener {
            credentials: mount.credentials(&self.request),
            client: request.client_id().cloned(),
        };
        let make = |id, opener| {
            let settings = &mount.settings;
            let owner = Arc::downgrade(&mount.sessions);
            let session = SockJsSession::new(
                id,
                opener,
                settings.response_bytes_max,
                settings.disconnect_delay,
                Some(owner),
            );
            // Nobody else knows of the session yet.
            let _ = session.relay().attach();
            session
        };
        let session = match mount.sessions.open(id.into(), opener, make) {
            Ok(session) => session,
            Err(OpenError::Taken) => return Ok(None),
            Err(OpenError::TooMany) => return Err(too_many_sessions()),
            Err(OpenError::TooManyOfClient) => {
                let text = "you have too many sessions\n";
                return Err(Refusal::text(StatusCode::TOO_MANY_REQUESTS, text));
            }
        };
        if let Err(error) = mount.begin(&session, handler, request, registration) {
            tracing::error!(error = %error.report(), "a session could not begin");
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Ok(Some(session))
    }

    /// Checks that the request comes from the client that has opened the session. Returns its credentials.
    ///
    /// # Errors
    ///
    /// It comes from another, for whom there is no such session.
    async fn check_opener(&self, opener: &Opener) -> Result<u64, Refusal> {
        let credentials = self.mount.credentials(&self.request);
        if credentials != opener.credentials {
            let request = self.mount.authorize(self.request.clone()).await?;
            if !opener.has_sent(&request, &self.mount.route) {
                return Err(not_found());
            }
        }
        Ok(credentials)
    }

    /// Answers a request that sends.
    async fn send(&self, id: &str, form: SendForm, body: Bytes) -> Answer {
        let Found::Live(session) = self.mount.sessions.find(id) else {
            return Answer::refusal(not_found());
        };
        let is_form = form == SendForm::Jsonp && is_urlencoded(self.request.headers());
        match self.check_opener(&session.opener()).await {
            Ok(credentials) => session.note_credentials(credentials),
            Err(refusal) => return Answer::refusal(refusal),
        }
        let json = match is_form {
            true => form_field(&body, "d"),
            false => body.to_vec(),
        };
        drop(body);
        if json.is_empty() {
            return Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "Payload expected.");
        }
        let mut frames = Vec::new();
        let parsed = parse_messages(&json, BareString::Refused, |text| {
            push_text(text, &mut frames);
        });
        drop(json);
        if let Err(broken) = parsed {
            return Answer::text(StatusCode::INTERNAL_SERVER_ERROR, &broken.to_string());
        }
        if let Err(refusal) = deliver(&self.mount, &session, frames).await {
            return Answer::refusal(refusal);
        }
        let (status, text) = match form {
            SendForm::Xhr => (StatusCode::NO_CONTENT, ""),
            SendForm::Jsonp => (StatusCode::OK, "ok"),
        };
        Answer::text(status, text)
    }
}

/// Hands frames to a session, in its turn and at its pace. Returns when the session has them.
async fn deliver(
    mount: &SockJsMount,
    session: &SockJsSession,
    frames: Vec<u8>,
) -> Result<(), Refusal> {
    let mut account = mount.route.negotiated.settings.memory_budget.account();
    account.set(frames.capacity());
    let turn = session.send_turn(mount.settings.waiting_sends_max).await;
    let Ok(mut turn) = turn else {
        let text = "too many requests send at the same time\n";
        return Err(Refusal::text(StatusCode::TOO_MANY_REQUESTS, text));
    };
    loop {
        let now = Instant::now().duration_since(mount.origin);
        match mount.settings.send_rate.count(*turn.full_at, now) {
            Ok(full_at) => {
                *turn.full_at = full_at;
                break;
            }
            Err(retry_after) => sleep(retry_after.duration()).await,
        }
    }
    let handed_over = session.relay().hand_over(frames).await;
    handed_over.map_err(|_| not_found())
}

fn not_found() -> Refusal {
    Refusal::text(StatusCode::NOT_FOUND, "there is no such session\n")
}

fn too_many_sessions() -> Refusal {
    Refusal::unavailable("too many sessions\n")
}

/// Returns whether the body is an HTML form.
fn is_urlencoded(fields: &HeaderMap) -> bool {
    let content_type = fields.get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Returns the field of a form; empty if there is none.
fn form_field(form: &[u8], name: &str) -> Vec<u8> {
    let mut pairs = form.split(|byte| *byte == b'&');
    let prefix = [name.as_bytes(), b"="].concat();
    let value = pairs
        .find_map(|pair| pair.strip_prefix(&prefix[..]))
        .unwrap_or_default();
    let spaced: Vec<u8> = value
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_encoding::percent_decode(&spaced).collect()
}

/// Returns the answer to a browser that asks whether a page of another origin may send a request.
fn preflight(methods: &'static str) -> Answer {
    let mut answer = Answer::empty(StatusCode::NO_CONTENT);
    allow_caching(&mut answer.fields);
    let methods = HeaderValue::from_static(methods);
    answer
        .fields
        .insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    answer
        .fields
        .insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(YEAR));
    answer
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Self {
        let mut answer = Self {
            body: body.into(),
            ..Self::empty(status)
        };
        let content_type = HeaderValue::from_static(content_type);
        answer.fields.insert(header::CONTENT_TYPE, content_type);
        answer
    }

    fn empty(status: StatusCode) -> Self {
        Self {
            status,
            fields: HeaderMap::new(),
            body: Vec::new().into(),
        }
    }

    fn text(status: StatusCode, text: &str) -> Self {
        Self::new(
            status,
            "text/plain; charset=UTF-8",
            text.as_bytes().to_vec(),
        )
    }

    fn refusal(refusal: Refusal) -> Self {
        let (parts, body) = refusal.into_http().into_parts();
        Self {
            status: parts.status,
            fields: parts.headers,
            body,
        }
    }

    /// Returns a response that has one frame.
    fn frame(mount: &SockJsMount, form: Form, frame: &str) -> Self {
        if form.is_streaming() {
            let settings = &mount.settings;
            let body = StreamingBody::new(
                form.clone(),
                Some(frame),
                None,
                settings.response_bytes_max,
                settings.heartbeat_interval,
            );
            return Self::streaming(&form, body);
        }
        let mut answer = Self::new(StatusCode::OK, form.content_type(), form.write(frame));
        if let Form::Jsonp(_) = form {
            forbid_sniffing(&mut answer.fields);
        }
        answer
    }

    /// Returns the first response of a session.
    fn opened(mount: &SockJsMount, form: Form, receiver: Receiver) -> Self {
        if form.is_streaming() {
            return Self::stream(mount, form, Some(OPEN), receiver);
        }
        receiver.leave();
        Self::frame(mount, form, OPEN)
    }

    /// Returns a response that brings frames as they come.
    fn stream(mount: &SockJsMount, form: Form, first: Option<&str>, receiver: Receiver) -> Self {
        let settings = &mount.settings;
        let body = StreamingBody::new(
            form.clone(),
            first,
            Some(receiver),
            settings.response_bytes_max,
            settings.heartbeat_interval,
        );
        Self::streaming(&form, body)
    }

    fn streaming(form: &Form, body: StreamingBody) -> Self {
        let mut answer = Self::new(StatusCode::OK, form.content_type(), Vec::new());
        answer.body = SockJsBody::Frames(Box::new(body));
        // nginx gathers a response otherwise until it ends.
        let no = HeaderValue::from_static("no");
        answer.fields.insert("x-accel-buffering", no);
        if let Form::HtmlFile(_) = form {
            forbid_sniffing(&mut answer.fields);
        }
        answer
    }

    fn into_response(self) -> Response<SockJsBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields;
        response
    }
}

fn forbid_sniffing(fields: &mut HeaderMap) {
    let nosniff = HeaderValue::from_static("nosniff");
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
}
