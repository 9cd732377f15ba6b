//! One HTTP/1.1 connection, from its first plain request on.

use std::{convert::Infallible, pin::pin, sync::Arc};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming as RequestBody, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::{
    connection::Stream,
    handshake::{Incoming, Refusal, Tls},
    server::{
        admit::Accepted,
        http::{
            ServiceBody,
            http_service::HttpService,
            http1::{
                checked_heads::{CheckedHeads, HeadContext},
                request_cycle::{CheckedHead, RequestCycle, ResponseBody},
            },
        },
        shared::Phase,
    },
};

/// Serves HTTP/1.1 until the peer or a drain ends the connection. `bytes` were read from `stream` before. A later
/// request may still become a WebSocket.
pub(crate) async fn serve<S: Stream>(stream: S, bytes: Vec<u8>, tls: Tls, accepted: Accepted) {
    let shared = Arc::clone(&accepted.shared);
    let limits = &shared.settings.limits;
    let request_cycle = RequestCycle::new();
    let context = HeadContext {
        shared: Arc::clone(&shared),
        peer_addr: accepted.peer_addr,
        tls,
    };
    let stream = CheckedHeads::new(stream, bytes, request_cycle.clone(), context);
    let http_service = Arc::new(HttpService::new(tls, accepted));
    let service = service_fn(move |request| {
        answer(Arc::clone(&http_service), request_cycle.clone(), request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // `CheckedHeads`, below hyper, limits all times.
        .header_read_timeout(None)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max.max(HYPER_BUFFER_BYTES_MIN))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shared.reached(Phase::Draining) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = shared.reached(Phase::Ended) => {}
    }
}

async fn answer(
    http_service: Arc<HttpService>,
    request_cycle: RequestCycle,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, Infallible> {
    let is_connect = *request.method() == Method::CONNECT;
    let decided = match request_cycle.take_head() {
        Some(CheckedHead::Plain) => Ok(http_service.plain(request).await),
        Some(CheckedHead::WebSocket(incoming)) => {
            websocket(&http_service, *incoming, request).await
        }
        Some(CheckedHead::Refused(refusal)) => Err(refusal),
        None => Err(Refusal::new(StatusCode::BAD_REQUEST)),
    };
    let is_refused = decided.is_err();
    let mut response = decided.unwrap_or_else(Refusal::into_http);
    let is_upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS
        || is_connect && response.status().is_success();
    if is_upgraded {
        request_cycle.become_opaque();
    } else if is_refused || http_service.is_last_answer(&response) {
        close_after(&mut response);
    }
    Ok(response.map(|body| ResponseBody::new(body, request_cycle)))
}

/// Opens a WebSocket on a connection that began with a plain request.
async fn websocket(
    http_service: &HttpService,
    incoming: Incoming,
    mut request: Request<RequestBody>,
) -> Result<Response<ServiceBody>, Refusal> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (admitted, registration) = http_service.admit(incoming).await?;
    let (status, headers) = admitted.response_parts(request.version());
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => admitted.open(Box::new(TokioIo::new(stream)), Vec::new(), registration),
            Err(error) => {
                tracing::debug!(%error, "the peer closed the connection before its upgrade");
            }
        }
    });
    let mut response = Response::new(ServiceBody::from(Vec::new()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Makes this the last response of the connection. RFC 9110 section 7.8: a response with Upgrade names it in
/// Connection.
fn close_after<B>(response: &mut Response<B>) {
    let connection = match response.headers().contains_key(header::UPGRADE) {
        true => "upgrade, close",
        false => "close",
    };
    let connection = HeaderValue::from_static(connection);
    response
        .headers_mut()
        .insert(header::CONNECTION, connection);
}

/// Bytes. hyper panics below this.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;
