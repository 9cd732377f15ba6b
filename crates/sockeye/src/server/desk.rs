//! HTTP that is no WebSocket's first request: hyper's part, and the way back from it.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    response::{IntoResponse as _, Response},
};
use http::{Request, StatusCode, Version, header};
use hyper::{
    body::Incoming as IncomingBody,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Duration, Instant, sleep_until};
use tower_service::Service as _;

use super::{
    Permit, Phase, Refusal, RequestInfo, Shared, Shown,
    intake::{Accepted, Standing},
    origin::Tls,
    request_info::host_of,
};
use crate::{Stream, upgrade};

/// Serves HTTP/1.1 until the peer or a drain ends it. A later request may still become a WebSocket.
pub(crate) async fn serve_http1<S: Stream>(stream: S, tls: Tls, accepted: Accepted) {
    let shared = Arc::clone(&accepted.shared);
    let limits = &shared.settings.limits;
    let desk = Arc::new(Desk::new(tls, accepted));
    let service = service_fn(move |request| Arc::clone(&desk).answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also how long a connection may be idle between two requests.
        .header_read_timeout(limits.handshake_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max.max(HYPER_BUFFER_BYTES_MIN))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shared.reached(Phase::Draining) => connection.as_mut().graceful_shutdown(),
    }
    until_ended(&shared, connection).await;
}

/// Serves HTTP/2, with WebSockets on streams of it (RFC 8441).
pub(crate) async fn serve_http2<S: Stream>(
    stream: S,
    tls: Tls,
    deadline: Instant,
    accepted: Accepted,
) {
    let shared = Arc::clone(&accepted.shared);
    let limits = &shared.settings.limits;
    let desk = Arc::new(Desk::new(tls, accepted));
    let front = Arc::clone(&desk);
    let service = service_fn(move |request| Arc::clone(&front).answer(request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = given_up(&desk, deadline) => return,
        () = shared.reached(Phase::Draining) => connection.as_mut().graceful_shutdown(),
    }
    until_ended(&shared, connection).await;
}

/// Goes on until the connection ends or is cut.
async fn until_ended<F: Future>(shared: &Shared, connection: Pin<&mut F>) {
    tokio::select! {
        _ = connection => {}
        () = shared.reached(Phase::Ended) => {}
    }
}

/// Ends at the deadline if no request came until then, or if there is no room for the connection.
/// Never otherwise.
async fn given_up(desk: &Desk, deadline: Instant) {
    sleep_until(deadline).await;
    if desk.is_welcome && desk.is_asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Who answers the requests of one connection.
struct Desk {
    peer_addr: Option<SocketAddr>,
    tls: Tls,
    /// Shared with the WebSockets that begin here.
    permit: Arc<Permit>,
    /// Whether the permit is one to be served.
    is_welcome: bool,
    shared: Arc<Shared>,
    /// Whether any request came.
    is_asked: AtomicBool,
}

impl Desk {
    fn new(tls: Tls, accepted: Accepted) -> Self {
        let (permit, is_welcome) = match accepted.standing {
            Standing::Welcome(permit) => (permit, true),
            Standing::Overflow(permit) => (permit, false),
        };
        Self {
            peer_addr: accepted.peer_addr,
            tls,
            permit: Arc::new(permit),
            is_welcome,
            shared: accepted.shared,
            is_asked: AtomicBool::new(false),
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<IncomingBody>,
    ) -> Result<Response, Infallible> {
        self.is_asked.store(true, Ordering::Relaxed);
        Ok(match self.websocket_or_plain(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        })
    }

    async fn websocket_or_plain(
        &self,
        mut request: Request<IncomingBody>,
    ) -> Result<Response, Refusal> {
        if !self.is_welcome {
            return Err(Refusal::too_many());
        }
        if !upgrade::wants_websocket(&request) {
            check_host(&request)?;
            return Ok(self.plain(request).await);
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let incoming = upgrade::Incoming::from_http(&request, self.peer_addr, self.tls)?;
        let admitted = self.shared.admit(incoming).settled().await?;
        let (status, headers) = admitted.response_parts(request.version());
        let stay = self.shared.stay(Arc::clone(&self.permit));
        tokio::spawn(async move {
            match upgrade.await {
                Ok(stream) => admitted.open(Box::new(TokioIo::new(stream)), Vec::new(), stay),
                Err(error) => tracing::debug!(%error, "the peer was gone before its upgrade"),
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    async fn plain(&self, request: Request<IncomingBody>) -> Response {
        let Some(fallback) = &self.shared.fallback else {
            return Refusal::text(StatusCode::NOT_FOUND, "not found\n").into_response();
        };
        let mut request = request.map(Body::new);
        if let Some(peer_addr) = self.peer_addr {
            request.extensions_mut().insert(ConnectInfo(peer_addr));
        }
        let info = self.info_of(&request);
        request.extensions_mut().insert(info);
        match fallback.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl Desk {
    fn info_of<B>(&self, request: &Request<B>) -> RequestInfo {
        let shown = Shown {
            peer_addr: self.peer_addr,
            tls: self.tls,
            host: host_of(request.uri(), request.headers()),
        };
        RequestInfo::derive(shown, &self.shared.trusted_proxies, || request.headers())
    }
}

/// RFC 9112 section 3.2: a request of HTTP/1.1 names its host, once. hyper leaves that to us; a
/// WebSocket's request is checked as a whole elsewhere.
fn check_host(request: &Request<IncomingBody>) -> Result<(), Refusal> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        return Err(Refusal::text(
            StatusCode::BAD_REQUEST,
            "Host must be there once\n",
        ));
    }
    Ok(())
}

/// Bytes. hyper's own minimum.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;

/// Streams of one connection, WebSockets and requests together. 100 is the least that RFC 9113
/// section 6.5.2 recommends; a browser opens all its tabs' WebSockets on one connection.
const HTTP2_STREAMS_MAX: u32 = 256;

/// Bytes that one stream may send ahead of its reader.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// Bytes that all streams together may send ahead: 16 slow readers don't stop the others.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A peer without a sign of life for this long is asked for one.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// And has this long to give it.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
