//! One request over HTTP/2, up to the end of its response.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, header};
use hyper::body::Body as _;
use tokio::time::{Duration, timeout};

use crate::{
    connection::{Http2Stream, poll_room},
    handshake::check as check_authority,
    server::http::{
        ServiceBody,
        http_service::HttpService,
        http2::{request_body::RequestBody, streams::OpenStream},
    },
};

/// Answers one request. Returns when the response is sent or the stream is reset. A WebSocket continues in a task of
/// its own.
pub(super) async fn answer(
    http_service: Arc<HttpService>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    stream: OpenStream,
) {
    let send_timeout = http_service.shared().http.send_timeout;
    let is_head = *request.method() == Method::HEAD;
    let response = if let Err(refusal) = check_authority(&request) {
        refusal.into_http()
    } else if *request.method() == Method::CONNECT {
        let decision = until_reset(&mut respond, http_service.admit_http(&request)).await;
        match decision {
            None => return,
            Some(Err(refusal)) => refusal.into_http(),
            Some(Ok((admitted, registration))) => {
                let (status, headers) = admitted.response_parts(Version::HTTP_2);
                let mut response = Response::new(());
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                date(response.headers_mut());
                match respond.send_response(response, false) {
                    Ok(send) => {
                        let stream = Http2Stream::new(send, request.into_body(), stream);
                        admitted.open(Box::new(stream), Vec::new(), registration);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the peer closed the stream before its upgrade");
                    }
                }
                return;
            }
        }
    } else {
        match until_reset(&mut respond, http_service.plain(request.map(RequestBody))).await {
            Some(response) => response,
            None => return,
        }
    };
    let _stream = stream;
    if let Err(error) = send(respond, response, is_head, send_timeout).await {
        tracing::debug!(%error, "cannot send a response over HTTP/2");
    }
}

/// Returns `None` if the peer resets the stream before `future` completes.
async fn until_reset<F: Future>(respond: &mut SendResponse<Bytes>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    tokio::select! {
        biased;
        output = &mut future => Some(output),
        _ = poll_fn(|cx| respond.poll_reset(cx)) => None,
    }
}

async fn send(
    mut respond: SendResponse<Bytes>,
    response: Response<ServiceBody>,
    is_head: bool,
    send_timeout: Duration,
) -> io::Result<()> {
    let (mut parts, body) = response.into_parts();
    // RFC 9113 section 8.2.2: these fields belong to HTTP/1.1.
    for name in CONNECTION_FIELDS {
        parts.headers.remove(name);
    }
    date(&mut parts.headers);
    let is_empty = body.is_end_stream();
    if let Some(bytes) = body.size_hint().exact()
        && !is_empty
    {
        let length = parts.headers.entry(header::CONTENT_LENGTH);
        length.or_insert_with(|| HeaderValue::from(bytes));
    }
    let head = Response::from_parts(parts, ());
    let is_whole = is_empty || is_head;
    let mut stream = respond
        .send_response(head, is_whole)
        .map_err(io::Error::other)?;
    if is_whole {
        return Ok(());
    }
    let sent = send_body(&mut stream, body, send_timeout).await;
    if sent.is_err() {
        stream.send_reset(match &sent {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Reason::CANCEL,
            _ => Reason::INTERNAL_ERROR,
        });
    }
    sent
}

async fn send_body(
    stream: &mut SendStream<Bytes>,
    mut body: ServiceBody,
    send_timeout: Duration,
) -> io::Result<()> {
    loop {
        // The handler has no time limit for a piece, as long as the peer waits for it.
        let frame = tokio::select! {
            biased;
            frame = poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)) => frame,
            _ = poll_fn(|cx| stream.poll_reset(cx)) => {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        };
        let Some(frame) = frame else {
            return stream
                .send_data(Bytes::new(), true)
                .map_err(io::Error::other);
        };
        match frame.map_err(io::Error::other)?.into_data() {
            Ok(data) => {
                let is_last = body.is_end_stream();
                send_data(stream, data, is_last, send_timeout).await?;
                if is_last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return stream.send_trailers(trailers).map_err(io::Error::other);
                }
            }
        }
    }
}

/// Sends `data` in pieces, each as large as the peer's window allows.
async fn send_data(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    is_last: bool,
    send_timeout: Duration,
) -> io::Result<()> {
    if data.is_empty() && is_last {
        return stream.send_data(data, true).map_err(io::Error::other);
    }
    while !data.is_empty() {
        let room = poll_fn(|cx| poll_room(stream, data.len(), cx));
        let Ok(room) = timeout(send_timeout, room).await else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        let piece = data.split_to(room?);
        let is_end = is_last && data.is_empty();
        stream.send_data(piece, is_end).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Adds the field Date. RFC 9110 section 6.6.1: a server with a clock sends it.
fn date(headers: &mut HeaderMap) {
    if let header::Entry::Vacant(vacant) = headers.entry(header::DATE)
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))
    {
        vacant.insert(now);
    }
}

const CONNECTION_FIELDS: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
