//! From the first byte of a connection to what it wants.

use std::{future::Future, net::SocketAddr, sync::Arc, time::SystemTime};

use http::StatusCode;
use sockeye_proto::{Limits, handshake::RequestHead};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, Instant, timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;

use super::{Phase, Refusal, Shared, connections::Permit, desk, origin::Tls, replay::Replay};
use crate::{Stream, drain::later, upgrade::Incoming};

/// What is known of a connection before its first byte.
pub(crate) struct Accepted {
    /// None if the transport has no such address.
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) standing: Standing,
    pub(crate) shared: Arc<Shared>,
}

/// Whether there is room for a connection.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// There is, while the permit lives.
    Welcome(Permit),
    /// There is none: whatever it asks, the answer is 503.
    Overflow(#[expect(dead_code, reason = "held for its drop")] Permit),
}

impl Standing {
    /// Counts one more connection. `None` if there is no room even for telling it so.
    pub(crate) fn new(shared: &Shared) -> Option<Self> {
        let welcome = shared.connections.admit(shared.connections_max);
        welcome.map(Self::Welcome).or_else(|| {
            let overflow = shared.overflow.admit(OVERFLOW_MAX)?;
            Some(Self::Overflow(overflow))
        })
    }
}

/// Finds out what a TCP connection wants, and gives it that. Ends when a WebSocket has begun or the
/// connection has ended.
pub(crate) async fn take_tcp(stream: TcpStream, tls: Option<TlsAcceptor>, accepted: Accepted) {
    let deadline = deadline(&accepted);
    let Some(tls) = tls else {
        return read_and_serve(stream, Tls::No, deadline, accepted).await;
    };
    let peer_addr = accepted.peer_addr;
    match until_drain(&accepted.shared, timeout_at(deadline, tls.accept(stream))).await {
        Some(Ok(Ok(stream))) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            match is_http2 {
                true => desk::serve_http2(stream, Tls::Yes, deadline, accepted).await,
                false => read_and_serve(stream, Tls::Yes, deadline, accepted).await,
            }
        }
        Some(Ok(Err(error))) => tracing::debug!(?peer_addr, %error, "no TLS"),
        Some(Err(_)) => tracing::debug!(?peer_addr, "TLS took too long"),
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
    let limits = accepted.shared.settings.limits.clone();
    let first = {
        let read = read_first(&mut stream, &mut buffer, &limits, accepted.peer_addr, tls);
        match until_drain(&accepted.shared, timeout_at(deadline, read)).await {
            Some(Ok(first)) => first,
            Some(Err(_)) => First::Refused(Refusal::text(
                StatusCode::REQUEST_TIMEOUT,
                "the request took too long\n",
            )),
            None => First::Refused(Refusal::unavailable("the server is going away\n")),
        }
    };
    match (first, &accepted.standing) {
        (First::Gone, _) => {}
        // Refuses by itself if there is no room, in HTTP/2.
        (First::Http2, _) => {
            desk::serve_http2(Replay::new(buffer, stream), tls, deadline, accepted).await;
        }
        (_, Standing::Overflow(_)) => {
            refuse(stream, &Refusal::unavailable("too many connections\n")).await;
        }
        (First::Refused(refusal), _) => refuse(stream, &refusal).await,
        (First::Http1, _) => {
            desk::serve_http1(Replay::new(buffer, stream), tls, accepted).await;
        }
        (First::WebSocket(incoming, head_bytes), Standing::Welcome(permit)) => {
            let leftover = buffer.split_off(head_bytes);
            drop(buffer);
            let permit = permit.clone();
            open(stream, *incoming, leftover, &accepted.shared, permit).await;
        }
    }
}

/// What the first request is.
enum First {
    /// A WebSocket's, and the bytes of its head.
    WebSocket(Box<Incoming>, usize),
    Http1,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3).
    Http2,
    Refused(Refusal),
    /// The peer has closed without a request.
    Gone,
}

/// Reads until it is known what the first request is. `buffer` holds all that was read.
async fn read_first<S: Stream>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    limits: &Limits,
    peer_addr: Option<SocketAddr>,
    tls: Tls,
) -> First {
    loop {
        buffer.reserve(READ_BYTES);
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return First::Gone,
            Ok(_) => {}
        }
        let preface_bytes = buffer.len().min(HTTP2_PREFACE.len());
        if buffer[..preface_bytes] == HTTP2_PREFACE[..preface_bytes] {
            if preface_bytes == HTTP2_PREFACE.len() {
                return First::Http2;
            }
            continue;
        }
        match RequestHead::parse(buffer, limits) {
            Ok(None) => {}
            Ok(Some((head, _))) if !head.wants_websocket() => return First::Http1,
            Ok(Some((head, head_bytes))) => {
                return match Incoming::from_head(&head, peer_addr, tls) {
                    Ok(incoming) => First::WebSocket(Box::new(incoming), head_bytes),
                    Err(refusal) => First::Refused(refusal),
                };
            }
            Err(error) => {
                let refusal = sockeye_proto::handshake::Refusal::from(error);
                return First::Refused(refusal.into());
            }
        }
    }
}

/// The seam: above it there are routes and endpoints, below it sockets.
async fn open<S: Stream>(
    mut stream: S,
    incoming: Incoming,
    leftover: Vec<u8>,
    shared: &Shared,
    permit: Permit,
) {
    let admitted = tokio::select! {
        admitted = shared.admit(incoming) => admitted,
        // Credentials may take their time, but not longer than a drain has.
        () = shared.reached(Phase::Ended) => return,
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(stream, &refusal).await,
    };
    let response = admitted.response_bytes();
    let write = async {
        stream.write_all(&response).await?;
        stream.flush().await
    };
    // A response is smaller than any socket's buffer; a peer that makes us wait here is gone.
    if let Ok(Ok(())) = timeout(shared.settings.limits.handshake_timeout, write).await {
        admitted.open(Box::new(stream), leftover, shared.stay(permit));
    }
}

/// Answers and closes, so that the peer can read the answer.
async fn refuse<S: Stream>(mut stream: S, refusal: &Refusal) {
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

/// `None` if the server begins to drain first.
async fn until_drain<F: Future>(shared: &Shared, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = shared.reached(Phase::Draining) => None,
    }
}

/// Connections over the limit that are told so at the same time. Beyond that they are just closed,
/// because who is told costs a task and a descriptor as well.
const OVERFLOW_MAX: usize = 64;

/// Bytes. Most heads fit one read; cookies and tokens make some longer.
const READ_BYTES: usize = 2048;

/// RFC 9113 section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a refused request that are read and thrown away.
const LINGER_BYTES_MAX: usize = 64 << 10;

/// How long a refused peer has to read its answer and close.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
