//! Answers the plain requests on Engine.IO's paths.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::{
    lifecycle::{Carrier, End},
    mount::{EngineIoMount, new_id, session_cookie},
    packet::{BrokenPacket, ClientPacket, payload},
    query::{EngineError, EngineQuery, Transport},
    session::{CLOSE, EngineSession, PostTurn, Receiver},
};
use crate::{
    handshake::{Refusal, Request},
    server::polling::{
        Access, Found, FoundMount, OpenError, Opener, Readable, RelayHolder as _, SessionHost,
        TableSession as _, allow_caching, forbid_caching, push_binary, push_text, with_path,
    },
};

/// A plain request on one of Engine.IO's paths.
pub(crate) struct EngineIoRequest {
    mount: Arc<EngineIoMount>,
    /// As the endpoint may see it: with the route's path.
    request: Request,
}

/// What a request is found to be before its body is read.
pub(crate) struct BegunRequest {
    order: Order,
    /// Fields of every answer.
    fields: HeaderMap,
}

enum Order {
    /// It is answered without its body.
    Answer(Refusal),
    Preflight,
    Open,
    Receive(Arc<EngineSession>),
    /// The session has closed itself, and the client doesn't know it yet.
    TellClosed,
    Send(Arc<EngineSession>),
}

impl EngineIoRequest {
    /// Takes `request`, whose path `found` matches.
    pub(crate) fn new(found: FoundMount<EngineIoMount>, mut request: Request) -> Self {
        request.uri = with_path(&request.uri, found.base_bytes);
        request.params = found.params;
        Self {
            mount: found.mount,
            request,
        }
    }

    /// Returns the largest body that the request may have, in bytes.
    pub(crate) fn body_bytes_max(&self) -> u64 {
        self.mount.settings.payload_bytes_max as u64
    }

    /// Finds out what the request is for, and whether it may.
    pub(crate) async fn begin(&self, host: &impl SessionHost) -> BegunRequest {
        let mut fields = HeaderMap::new();
        let origins = &self.mount.route.origins;
        let access = Access::of(&self.request, origins, Readable::No);
        access.set_fields(&self.request, origins, &mut fields);
        let is_preflight = *self.request.method() == Method::OPTIONS;
        let order = if is_preflight && access == Access::CrossOrigin {
            Order::Preflight
        } else {
            forbid_caching(&mut fields);
            let order = self.order(access, host).await;
            order.unwrap_or_else(Order::Answer)
        };
        BegunRequest { order, fields }
    }

    /// Checks the request in the protocol's order.
    async fn order(&self, access: Access, host: &impl SessionHost) -> Result<Order, Refusal> {
        let query = EngineQuery::parse(&self.request).map_err(EngineError::refusal)?;
        let method = self.request.method();
        let Some(id) = &query.session else {
            if *method != Method::GET {
                return Err(EngineError::BadMethod.refusal());
            }
            self.check_origin(access, host)?;
            return match (query.transport, query.is_supported) {
                // It doesn't ask for a WebSocket.
                (Transport::WebSocket, _) => Err(EngineError::BadRequest.refusal()),
                (_, false) => Err(EngineError::UnsupportedVersion.refusal()),
                (Transport::Polling, true) => Ok(Order::Open),
            };
        };
        let (opener, found) = match self.mount.sessions.find(id) {
            Found::Live(session) if session.is_live() => (session.opener(), Ok(session)),
            Found::Tombstone(tombstone) if *method == Method::GET => {
                (tombstone.opener, Err(tombstone.ending))
            }
            _ => return Err(EngineError::UnknownSession.refusal()),
        };
        let by_websocket =
            (found.as_ref()).is_ok_and(|found| found.carrier() == Carrier::WebSocket);
        if query.transport != Transport::Polling || by_websocket || !query.is_supported {
            return Err(EngineError::BadRequest.refusal());
        }
        if ![Method::GET, Method::POST].contains(method) {
            return Err(EngineError::BadMethod.refusal());
        }
        self.check_origin(access, host)?;
        let credentials = self.check_opener(&opener).await?;
        let session = match found {
            Ok(session) => session,
            Err(is_told) if is_told.swap(true, Ordering::Relaxed) => {
                return Err(EngineError::UnknownSession.refusal());
            }
            Err(_) => return Ok(Order::TellClosed),
        };
        session.note_credentials(credentials);
        Ok(match *method == Method::GET {
            true => Order::Receive(session),
            false => Order::Send(session),
        })
    }

    fn check_origin(&self, access: Access, host: &impl SessionHost) -> Result<(), Refusal> {
        if access == Access::Refused {
            // Its log line is the only place that says why.
            drop(host.refuse_origin(&self.request, self.mount.route.origin_advice));
            return Err(EngineError::Forbidden.refusal());
        }
        Ok(())
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
                return Err(EngineError::UnknownSession.refusal());
            }
        }
        Ok(credentials)
    }

    /// Opens a session. It counts for the server and its address before the route is asked who its client is.
    async fn open(&self, host: &impl SessionHost) -> Result<Response<Bytes>, Refusal> {
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
            EngineSession::new(
                id,
                opener,
                (mount.heartbeat(), Carrier::Polling),
                mount.settings.response_bytes_max,
                Some(Arc::downgrade(&mount.sessions)),
            )
        };
        let failed = |error: crate::error::Error| {
            tracing::error!(error = %error.report(), "a session could not begin");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR)
        };
        let id = new_id().map_err(failed)?;
        let session = match mount.sessions.open(Arc::clone(&id), opener, make) {
            Ok(session) => session,
            Err(OpenError::TooManyOfClient) => {
                let text = "you have too many sessions\n";
                return Err(Refusal::text(StatusCode::TOO_MANY_REQUESTS, text));
            }
            Err(OpenError::TooMany | OpenError::Taken) => return Err(too_many_sessions()),
        };
        let receiver = Receiver::attached(Arc::clone(&session));
        mount
            .begin(&session, handler, request, registration)
            .map_err(failed)?;
        if let Some(due) = session.next_timeout() {
            mount.sessions.check_at(&id, due);
        }
        receiver.leave();
        let mut answer = text(mount.open_packet(&id, Carrier::Polling));
        if let Some(name) = &mount.settings.cookie_name
            && let Some(cookie) = session_cookie(name, &id)
        {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(answer)
    }

    /// Answers a request that sends, whose body is `body`.
    async fn send(
        &self,
        session: &EngineSession,
        turn: PostTurn<'_>,
        body: Bytes,
    ) -> Result<Response<Bytes>, Refusal> {
        let content_type = self.request.headers().get(header::CONTENT_TYPE);
        let is_binary = content_type.is_some_and(|kind| kind == "application/octet-stream");
        let mut posted = Posted::default();
        // Clients of revision 3 alone send such a body.
        let read = match is_binary {
            true => Err(BrokenPacket),
            false => posted.read(&body),
        };
        if read.is_err() {
            session.end(End::Broken);
            turn.finish();
            return Err(EngineError::BadRequest.refusal());
        }
        drop(body);
        if posted.has_pong {
            session.handle_pong();
        }
        let budget = &self.mount.route.negotiated.settings.memory_budget;
        let mut account = budget.account();
        account.set(posted.frames.capacity());
        let handed_over = session.relay().hand_over(posted.frames).await;
        handed_over.map_err(|_| EngineError::UnknownSession.refusal())?;
        turn.finish();
        if posted.has_close {
            session.end(End::ByClient);
        }
        let mut answer = Response::new(Bytes::from_static(b"ok"));
        // The type that the reference server has.
        let html = HeaderValue::from_static("text/html");
        answer.headers_mut().insert(header::CONTENT_TYPE, html);
        Ok(answer)
    }
}

/// What the packets of a POST are for.
#[derive(Default)]
struct Posted {
    /// The frames for the session.
    frames: Vec<u8>,
    has_pong: bool,
    has_close: bool,
}

impl Posted {
    fn read(&mut self, body: &[u8]) -> Result<(), BrokenPacket> {
        for packet in payload(body)? {
            match packet? {
                ClientPacket::Text(text) => push_text(text, &mut self.frames),
                ClientPacket::Binary(data) => push_binary(&data, &mut self.frames),
                ClientPacket::Pong => self.has_pong = true,
                ClientPacket::Noop => {}
                ClientPacket::Close => {
                    self.has_close = true;
                    return Ok(());
                }
                // The server pings, and a WebSocket upgrades.
                ClientPacket::Ping(_) | ClientPacket::Upgrade => return Err(BrokenPacket),
            }
        }
        Ok(())
    }
}

impl BegunRequest {
    /// Answers the request. `read` reads its body.
    pub(crate) async fn respond<R>(
        self,
        asked: &EngineIoRequest,
        host: &impl SessionHost,
        read: impl FnOnce() -> R,
    ) -> Response<Bytes>
    where
        R: Future<Output = Result<Bytes, Refusal>>,
    {
        let answer = match self.order {
            Order::Answer(refusal) => Err(refusal),
            Order::Preflight => Ok(preflight()),
            Order::Open => asked.open(host).await,
            Order::TellClosed => Ok(text(CLOSE)),
            Order::Receive(session) => receive(session).await,
            Order::Send(session) => match session.begin_post() {
                Ok(turn) => match read().await {
                    Ok(body) => asked.send(&session, turn, body).await,
                    Err(refusal) => Err(refusal),
                },
                Err(_) => Err(EngineError::BadRequest.refusal()),
            },
        };
        let mut answer =
            answer.unwrap_or_else(|refusal| refusal.into_http::<Vec<u8>>().map(Bytes::from));
        answer.headers_mut().extend(self.fields);
        answer
    }
}

async fn receive(session: Arc<EngineSession>) -> Result<Response<Bytes>, Refusal> {
    match Receiver::attach(Arc::clone(&session)) {
        Ok(receiver) => Ok(text(receiver.poll_once().await)),
        Err(_) => {
            session.end(End::Broken);
            Err(EngineError::BadRequest.refusal())
        }
    }
}

fn text(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    let plain = HeaderValue::from_static("text/plain; charset=UTF-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

/// Returns the answer to a browser that asks whether a page of another origin may send a request. It carries no cookie, so any
/// server of several answers alike.
fn preflight() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let fields = answer.headers_mut();
    allow_caching(fields);
    let methods = HeaderValue::from_static("OPTIONS, GET, POST");
    fields.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    answer
}

fn too_many_sessions() -> Refusal {
    Refusal::unavailable("too many sessions\n")
}
