//! From the first byte of a connection to what it wants.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::SystemTime};

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, Instant, timeout, timeout_at},
};

use crate::{
    connection::Stream,
    handshake::{Incoming, Refusal, Tls},
    server::{
        admit::{Accepted, Admission, Capacity, First},
        first_request::preface::{self, Preface, Ways},
        handoff::socket_of,
        http::{Rewind, http1, http2},
        shared::{Phase, ServerShared},
    },
    settings::Settings,
    time::later,
};

/// Finds out what a TCP connection wants, and gives it that. Ends when a WebSocket has begun or the
/// connection has ended.
pub(crate) async fn take_tcp(mut stream: TcpStream, ways: Ways, mut accepted: Accepted) {
    let deadline = deadline(&accepted);
    if ways.preface == Preface::ProxyHead {
        let read = timeout_at(deadline, preface::read_proxy_head(&mut stream));
        let proxy_addr = accepted.peer_addr;
        match until_drain(&accepted.shared, read).await {
            // Whom the proxy names is the peer; of itself it keeps silent.
            Some(Ok(Ok(source))) => {
                accepted.peer_addr = source.or(proxy_addr);
                accepted.capacity = match accepted.capacity.of(&accepted.shared, source) {
                    Some(capacity) => capacity,
                    None => return,
                };
            }
            Some(Ok(Err(error))) => {
                return tracing::debug!(proxy_addr = proxy_addr.map(display), %error, "no PROXY head");
            }
            Some(Err(_)) => {
                return tracing::debug!(
                    proxy_addr = proxy_addr.map(display),
                    "a PROXY head took too long"
                );
            }
            None => return,
        }
    }
    let Some(tls) = ways.tls else {
        return read_and_serve(stream, Tls::No, deadline, accepted).await;
    };
    let peer_addr = accepted.peer_addr;
    let spoken = timeout_at(deadline, speaks_plain_http(&stream));
    match until_drain(&accepted.shared, spoken).await {
        Some(Ok(Ok(false))) => {}
        Some(Ok(Ok(true))) => return refuse(stream, &plain_http_on_tls()).await,
        Some(Ok(Err(error))) => {
            return tracing::debug!(peer_addr = peer_addr.map(display), %error, "no TLS");
        }
        Some(Err(_)) => {
            return tracing::debug!(peer_addr = peer_addr.map(display), "TLS took too long");
        }
        None => return,
    }
    match until_drain(&accepted.shared, timeout_at(deadline, tls.accept(stream))).await {
        Some(Ok(Ok(stream))) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            match is_http2 {
                true => http2::serve(stream, Tls::Yes, deadline, accepted).await,
                false => read_and_serve(stream, Tls::Yes, deadline, accepted).await,
            }
        }
        Some(Ok(Err(error))) => {
            tracing::debug!(peer_addr = peer_addr.map(display), %error, "no TLS");
        }
        Some(Err(_)) => tracing::debug!(peer_addr = peer_addr.map(display), "TLS took too long"),
        None => {}
    }
}

/// The same for a stream that somebody else has accepted.
pub(crate) async fn take_stream<S: Stream>(stream: S, accepted: Accepted) {
    let deadline = deadline(&accepted);
    read_and_serve(stream, Tls::No, deadline, accepted).await;
}

fn deadline(accepted: &Accepted) -> Instant {
    later(
        Instant::now(),
        accepted.shared.settings.limits.handshake_timeout,
    )
}

async fn read_and_serve<S: Stream>(mut stream: S, tls: Tls, deadline: Instant, accepted: Accepted) {
    let mut buffer = Vec::new();
    let settings = accepted.shared.settings.clone();
    let first = {
        let read = read_first(&mut stream, &mut buffer, &settings, accepted.peer_addr, tls);
        match until_drain(&accepted.shared, timeout_at(deadline, read)).await {
            Some(Ok(Some(first))) => first,
            Some(Ok(None)) => return,
            Some(Err(_)) => First::OutboxError(Refusal::too_late()),
            None => First::OutboxError(Refusal::going_away()),
        }
    };
    serve(stream, buffer, first, tls, deadline, accepted).await;
}

/// Gives a connection what its first request asks for. `buffer` holds all that was read.
pub(crate) async fn serve<S: Stream>(
    stream: S,
    mut buffer: Vec<u8>,
    first: First,
    tls: Tls,
    deadline: Instant,
    accepted: Accepted,
) {
    match first {
        First::Http2 => {
            http2::serve(Rewind::new(buffer, stream), tls, deadline, accepted).await;
        }
        First::WebSocket(incoming, head_bytes) => {
            let leftover = buffer.split_off(head_bytes);
            drop(buffer);
            open(stream, *incoming, leftover, accepted).await;
        }
        First::OutboxError(refusal) => {
            let refusal = accepted.capacity.refusal().unwrap_or(refusal);
            refuse(stream, &refusal).await;
        }
        First::Http1(..) => match accepted.capacity.refusal() {
            Some(refusal) => refuse(stream, &refusal).await,
            None => http1::serve(stream, buffer, tls, accepted).await,
        },
    }
}

/// Reads until it is known what the first request is. `buffer` holds all that was read. `None` if the
/// peer has closed without a request.
async fn read_first<S: Stream>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    settings: &Settings,
    peer_addr: Option<SocketAddr>,
    tls: Tls,
) -> Option<First> {
    let mut account = settings.memory_budget.account();
    loop {
        buffer.reserve(READ_BYTES);
        account.set(buffer.capacity());
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        let first = First::judge(buffer, &settings.limits, peer_addr, tls);
        if first.is_some() {
            return first;
        }
    }
}

/// The seam: above it there are routes and endpoints, below it sockets.
async fn open<S: Stream>(stream: S, incoming: Incoming, leftover: Vec<u8>, mut accepted: Accepted) {
    if let Some(refusal) = accepted.capacity.refusal_of_websocket(&accepted.shared) {
        return refuse(stream, &refusal).await;
    }
    let counted = accepted.capacity.key();
    let admission = accepted.shared.admit(incoming, counted);
    settle(stream, admission, leftover, accepted).await;
}

/// Waits until it is decided whether a WebSocket begins, and begins it.
pub(crate) async fn settle<S: Stream>(
    stream: S,
    admission: Admission,
    leftover: Vec<u8>,
    accepted: Accepted,
) {
    let Capacity::Welcome(permit) = accepted.capacity else {
        return;
    };
    let shared = &accepted.shared;
    let admitted = tokio::select! {
        biased;
        admitted = admission.settled() => admitted,
        // Credentials may take their time, but not longer than a drain has.
        () = shared.reached(Phase::Ended) => return,
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(stream, &refusal).await,
    };
    let mut stream = match admitted.is_for_worker() {
        true => match socket_of(stream) {
            Ok(Some(io)) => {
                if let Some(handoff) = admitted.handoff(io, leftover, permit) {
                    shared.workers.take_over(handoff);
                }
                return;
            }
            Ok(None) => return,
            Err(stream) => stream,
        },
        false => stream,
    };
    let response = admitted.response_bytes();
    let write = async {
        stream.write_all(&response).await?;
        stream.flush().await
    };
    // A response is smaller than any socket's buffer; a peer that makes us wait here is gone.
    if let Ok(Ok(())) = timeout(shared.settings.limits.handshake_timeout, write).await {
        admitted.open(
            Box::new(stream),
            leftover,
            shared.registration(Arc::new(permit)),
        );
    }
}

/// Answers and closes, so that the peer can read the answer.
pub(crate) async fn refuse<S: Stream>(mut stream: S, refusal: &Refusal) {
    tracing::debug!(status = refusal.status().as_u16(), "refused");
    let bytes = refusal.to_bytes(SystemTime::now());
    let farewell = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        // RFC 9112 section 9.6: a socket that is closed with bytes unread resets the connection, and
        // the answer is lost. So the rest of what the peer sends is read, within bounds.
        let mut rest = [0; 1024];
        let mut left = LINGER_BYTES_MAX;
        loop {
            match stream.read(&mut rest).await? {
                0 => return Ok(()),
                read => left = left.saturating_sub(read),
            }
            if left == 0 {
                return std::io::Result::Ok(());
            }
        }
    };
    let _ = timeout(LINGER_TIME_MAX, farewell).await;
}

/// Whether a peer sends a request where TLS is expected. Its first byte tells: a TLS handshake begins with
/// 22 (RFC 8446 section 5.1), a request with a letter of its method.
async fn speaks_plain_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let read = stream.peek(&mut first).await?;
    Ok(read > 0 && first[0].is_ascii_alphabetic())
}

fn plain_http_on_tls() -> Refusal {
    let text = "this port speaks TLS: use https:// or wss://\n";
    Refusal::text(StatusCode::BAD_REQUEST, text)
}

/// `None` if the server begins to drain first.
async fn until_drain<F: Future>(shared: &ServerShared, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = shared.reached(Phase::Draining) => None,
    }
}

/// Bytes. Most heads fit one read; cookies and tokens make some longer.
const READ_BYTES: usize = 2048;

/// Bytes of a refused request that are read and thrown away.
const LINGER_BYTES_MAX: usize = 64 << 10;

/// How long a refused peer has to read its answer and close.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
