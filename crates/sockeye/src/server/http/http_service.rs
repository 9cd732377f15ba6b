//! The service that answers the requests of one connection, whatever version of HTTP it speaks.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header, uri::Authority};
use parking_lot::Mutex;

#[cfg(any(feature = "sockjs", feature = "engineio"))]
use crate::handshake;
#[cfg(feature = "engineio")]
use crate::server::engineio::EngineIoRequest;
#[cfg(feature = "sockjs")]
use crate::server::sockjs::SockJsRequest;
use crate::{
    address::RetryAfter,
    connection::Permit,
    handshake::{Incoming, PeerCertificates, Refusal, RequestInfo, Shown, Tls, host_of},
    server::{
        admit::{Accepted, Admitted, Capacity},
        http::{ServiceBody, body::LimitedBody},
        registry::Registration,
        shared::ServerShared,
    },
};

/// The service that answers the requests of one connection.
pub(crate) struct HttpService {
    peer_addr: Option<SocketAddr>,
    peer_certificates: Option<PeerCertificates>,
    tls: Tls,
    /// The count of the connection. Its first WebSocket shares it, so that a WebSocket on a connection of its own
    /// counts once; the number of references says whether one does.
    permit: Mutex<Arc<Permit>>,
    capacity_class: CapacityClass,
    /// Why every request is refused, if the connection's address has reached its limits.
    address_limited: Option<RetryAfter>,
    shared: Arc<ServerShared>,
}

/// The limit that a connection counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapacityClass {
    /// `connections_max`: any request is served.
    Regular,
    /// `connections_reserve`: the server was full, and a few plain requests are answered.
    Reserve,
}

impl HttpService {
    pub(crate) fn new(tls: Tls, accepted: Accepted) -> Self {
        let (permit, capacity_class, address_limited) = match accepted.capacity {
            Capacity::Regular(permit) => (permit, CapacityClass::Regular, None),
            Capacity::Reserve(permit) => (permit, CapacityClass::Reserve, None),
            Capacity::AddressLimited(permit, error) => {
                (permit, CapacityClass::Reserve, Some(error))
            }
        };
        Self {
            peer_addr: accepted.peer_addr,
            peer_certificates: accepted.peer_certificates,
            tls,
            permit: Mutex::new(Arc::new(permit)),
            capacity_class,
            address_limited,
            shared: accepted.shared,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<ServerShared> {
        &self.shared
    }

    pub(crate) fn capacity_class(&self) -> CapacityClass {
        self.capacity_class
    }

    /// Returns whether the connection closes after this answer. One in the reserve makes room for the next, and after
    /// a body that was not read to its end no next request can be found.
    pub(crate) fn is_last_answer<B>(&self, response: &Response<B>) -> bool {
        self.capacity_class == CapacityClass::Reserve
            || response.extensions().get::<BodyUnread>().is_some()
    }

    /// Decides whether `incoming` becomes a WebSocket, and counts it if so.
    pub(crate) async fn admit(
        &self,
        mut incoming: Incoming,
    ) -> Result<(Admitted, Registration), Refusal> {
        self.check_address()?;
        if let Some(certificates) = &self.peer_certificates {
            incoming.request.extensions.insert(certificates.clone());
        }
        let permit = self.permit_for_websocket()?;
        let admitted = self.shared.admit(incoming, None).decided().await?;
        Ok((admitted, self.shared.registration(permit)))
    }

    /// Decides whether a request that hyper or h2 has read becomes a WebSocket, and counts it if so.
    pub(crate) async fn admit_http<B>(
        &self,
        request: &Request<B>,
    ) -> Result<(Admitted, Registration), Refusal> {
        let incoming = Incoming::from_http(request, self.peer_addr, self.tls)?;
        self.admit(incoming).await
    }

    fn check_address(&self) -> Result<(), Refusal> {
        match self.address_limited {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn permit_for_websocket(&self) -> Result<Arc<Permit>, Refusal> {
        let own = self.permit.lock();
        if self.capacity_class == CapacityClass::Regular && Arc::strong_count(&own) == 1 {
            return Ok(Arc::clone(&own));
        }
        let one_more = self.shared.connections.admit(self.shared.connections_max);
        one_more.map(Arc::new).ok_or_else(Refusal::too_many)
    }

    /// Answers a request that doesn't ask for a WebSocket.
    pub(crate) async fn plain<B>(&self, request: Request<B>) -> Response<ServiceBody>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Err(refusal) = self.check_address() {
            return refusal.into_http();
        }
        #[cfg(feature = "sockjs")]
        if let Some(found) = self.shared.sockjs.find(request.uri().path()) {
            let (asked, request) = self.as_handshake(request);
            let asked = SockJsRequest::new(found, asked);
            return match self.whole_body(request, asked.body_bytes_max()).await {
                Ok(body) => asked
                    .respond(self.host(), body)
                    .await
                    .map(ServiceBody::SockJs),
                Err(refusal) => unread(refusal),
            };
        }
        #[cfg(feature = "engineio")]
        if let Some(found) = self.shared.engineio.find(request.uri().path()) {
            let (asked, request) = self.as_handshake(request);
            return self
                .ask_engineio(EngineIoRequest::new(found, asked), request)
                .await;
        }
        #[cfg(feature = "axum")]
        if let Some(fallback) = &self.shared.fallback {
            return self.ask(fallback, request).await;
        }
        drop(request);
        Refusal::text(StatusCode::NOT_FOUND, "not found\n").into_http()
    }

    /// Returns what the program's fallback answers.
    #[cfg(feature = "axum")]
    async fn ask<B>(
        &self,
        fallback: &crate::server::fallback::Fallback,
        mut request: Request<B>,
    ) -> Response<ServiceBody>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        use axum::{body::Body, extract::ConnectInfo};

        replace_host(&mut request);
        let budget = &self.shared.settings.memory_budget;
        let (request, outcome) =
            match LimitedBody::limit(request, &self.shared.http, budget, &self.shared.bodies) {
                Ok(limited) => limited,
                Err(refusal) => return unread(refusal),
            };
        let mut request = request.map(Body::new);
        if let Some(peer_addr) = self.peer_addr {
            request.extensions_mut().insert(ConnectInfo(peer_addr));
        }
        if let Some(certificates) = &self.peer_certificates {
            request.extensions_mut().insert(certificates.clone());
        }
        let info = self.info_of(&request);
        request.extensions_mut().insert(info);
        let response = fallback.respond(request).await.map(ServiceBody::Axum);
        // The peer learns why its body failed, whatever the handler answers.
        match outcome.and_then(|outcome| outcome.refusal()) {
            Some(refusal) => unread(refusal),
            None => response,
        }
    }

    /// Returns the answer of Engine.IO. It claims the session's place before it reads the body.
    #[cfg(feature = "engineio")]
    async fn ask_engineio<B>(
        &self,
        asked: EngineIoRequest,
        request: Request<B>,
    ) -> Response<ServiceBody>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body_bytes_max = asked.body_bytes_max();
        let mut is_unread = false;
        let unread = &mut is_unread;
        let read = || async move {
            let body = self.whole_body(request, body_bytes_max).await;
            *unread = body.is_err();
            body
        };
        let begun = asked.begin(self.host()).await;
        let mut response = begun
            .respond(&asked, self.host(), read)
            .await
            .map(ServiceBody::Bytes);
        if is_unread {
            response.extensions_mut().insert(BodyUnread);
        }
        response
    }

    /// Returns the request as the program sees those of WebSockets, and the request itself.
    #[cfg(any(feature = "sockjs", feature = "engineio"))]
    #[cfg_attr(
        not(feature = "rustls"),
        allow(unreachable_code, reason = "without TLS no peer shows a certificate")
    )]
    fn as_handshake<B>(&self, mut request: Request<B>) -> (handshake::Request, Request<B>) {
        replace_host(&mut request);
        let info = self.info_of(&request);
        let (mut parts, body) = request.into_parts();
        if let Some(certificates) = &self.peer_certificates {
            parts.extensions.insert(certificates.clone());
        }
        let connection = (self.peer_addr, self.tls);
        let asked = handshake::Request::from_plain(parts.clone(), connection, info);
        (asked, Request::from_parts(parts, body))
    }

    /// Returns the server in which sessions over HTTP count.
    #[cfg(any(feature = "sockjs", feature = "engineio"))]
    fn host(&self) -> &ServerShared {
        &self.shared
    }

    /// Reads the body of `request`, of at most `bytes_max`.
    #[cfg(any(feature = "sockjs", feature = "engineio"))]
    async fn whole_body<B>(&self, request: Request<B>, bytes_max: u64) -> Result<Bytes, Refusal>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut limits = self.shared.http.clone();
        limits.body_bytes_max = limits.body_bytes_max.min(bytes_max);
        let budget = &self.shared.settings.memory_budget;
        let (request, outcome) = LimitedBody::limit(request, &limits, budget, &self.shared.bodies)?;
        let body = http_body_util::BodyExt::collect(request.into_body()).await;
        body.map(http_body_util::Collected::to_bytes).map_err(|_| {
            let refusal = outcome.and_then(|outcome| outcome.refusal());
            refusal.unwrap_or_else(|| Refusal::new(StatusCode::BAD_REQUEST))
        })
    }

    fn info_of<B>(&self, request: &Request<B>) -> RequestInfo {
        let shown = Shown {
            peer_addr: self.peer_addr,
            tls: self.tls,
            host: host_of(request.uri(), request.headers()),
        };
        self.shared.info(shown, || request.headers())
    }
}

/// Marks the answer to a request whose body wasn't read to its end.
#[derive(Clone, Copy, Debug)]
struct BodyUnread;

fn unread(refusal: Refusal) -> Response<ServiceBody> {
    let mut response = refusal.into_http();
    response.extensions_mut().insert(BodyUnread);
    response
}

/// Replaces `Host` by the authority of an absolute target (RFC 9112 section 3.2.2), which may differ from it. Over
/// HTTP/2 the authority is `:authority`, and often there is no `Host` at all.
fn replace_host<B>(request: &mut Request<B>) {
    if request.version() == Version::HTTP_2 && !request.headers().contains_key(header::HOST) {
        return;
    }
    let authority = request.uri().authority().map(Authority::as_str);
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        request.headers_mut().insert(header::HOST, host);
    }
}
