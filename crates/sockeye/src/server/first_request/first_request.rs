//! The first request of a connection on tokio: reads it and passes the connection to what serves it.

use std::{
    future::{Future, pending},
    net::SocketAddr,
    sync::Arc,
    time::SystemTime,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Duration, Instant, timeout, timeout_at},
};

#[cfg(feature = "http2")]
use crate::server::http::{Rewind, http2};
use crate::{
    connection::Stream,
    handshake::{Incoming, Refusal, Tls},
    server::{
        admit::{Accepted, Admission, Capacity, RequestKind},
        handoff::socket_of,
        http::http1,
        shared::{Phase, ServerShared},
    },
    settings::Settings,
    time::later,
};

/// Serves a stream that the program has accepted.
pub(crate) async fn handle_stream<S: Stream>(stream: S, accepted: Accepted) {
    let deadline = deadline(&accepted);
    read_and_serve(stream, Tls::No, deadline, accepted).await;
}

pub(super) fn deadline(accepted: &Accepted) -> Instant {
    later(
        Instant::now(),
        accepted.shared.settings.limits.handshake_timeout,
    )
}

pub(super) async fn read_and_serve<S: Stream>(
    mut stream: S,
    tls: Tls,
    deadline: Instant,
    accepted: Accepted,
) {
    let mut buffer = Vec::new();
    let settings = accepted.shared.settings.clone();
    let first = {
        let read = read_first(&mut stream, &mut buffer, &settings, accepted.peer_addr, tls);
        match until_drain(&accepted.shared, timeout_at(deadline, read)).await {
            Some(Ok(Some(first))) => first,
            Some(Ok(None)) => return,
            Some(Err(_)) => RequestKind::Refused(Refusal::too_late()),
            None => RequestKind::Refused(Refusal::going_away()),
        }
    };
    serve(stream, buffer, first, tls, deadline, accepted).await;
}

/// Passes a connection to what its first request asks for. `buffer` holds all bytes that were read.
#[cfg_attr(
    not(feature = "http2"),
    expect(unused_variables, reason = "HTTP/2 alone needs `deadline`")
)]
pub(crate) async fn serve<S: Stream>(
    stream: S,
    mut buffer: Vec<u8>,
    first: RequestKind,
    tls: Tls,
    deadline: Instant,
    accepted: Accepted,
) {
    match first {
        #[cfg(feature = "http2")]
        RequestKind::Http2 => {
            let stream = Rewind::new(buffer, stream);
            http2::serve(stream, tls, deadline, accepted).await;
        }
        RequestKind::WebSocket(incoming, head_bytes) => {
            let leftover = buffer.split_off(head_bytes);
            drop(buffer);
            open(stream, *incoming, leftover, accepted).await;
        }
        RequestKind::Refused(refusal) => {
            let refusal = accepted.capacity.refusal().unwrap_or(refusal);
            send_refusal(stream, &refusal).await;
        }
        RequestKind::Http1(..) => match accepted.capacity.refusal() {
            Some(refusal) => send_refusal(stream, &refusal).await,
            None => http1::serve(stream, buffer, tls, accepted).await,
        },
    }
}

/// Reads until the kind of the first request is known. `buffer` holds all bytes that were read. `None` if the peer
/// closes without a request.
async fn read_first<S: Stream>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    settings: &Settings,
    peer_addr: Option<SocketAddr>,
    tls: Tls,
) -> Option<RequestKind> {
    let mut account = settings.memory_budget.account();
    loop {
        buffer.reserve(READ_BYTES);
        account.set(buffer.capacity());
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        let first = RequestKind::classify(buffer, &settings.limits, peer_addr, tls);
        if first.is_some() {
            return first;
        }
    }
}

/// Asks the routes whether a WebSocket begins.
async fn open<S: Stream>(
    stream: S,
    mut incoming: Incoming,
    leftover: Vec<u8>,
    mut accepted: Accepted,
) {
    if let Some(certificates) = accepted.peer_certificates.take() {
        incoming.request.extensions.insert(certificates);
    }
    if let Some(refusal) = accepted.capacity.refusal_of_websocket(&accepted.shared) {
        return send_refusal(stream, &refusal).await;
    }
    let counted = accepted.capacity.key();
    let admission = accepted.shared.admit(incoming, counted);
    finish_admission(stream, admission, leftover, accepted).await;
}

/// Waits until a WebSocket is admitted or refused, and begins it or sends the refusal.
pub(crate) async fn finish_admission<S: Stream>(
    mut stream: S,
    admission: Admission,
    mut leftover: Vec<u8>,
    accepted: Accepted,
) {
    let Capacity::Regular(permit) = accepted.capacity else {
        return;
    };
    let shared = &accepted.shared;
    let admitted = tokio::select! {
        biased;
        admitted = admission.decided() => admitted,
        // `authorize` may take its time, but no longer than a drain lasts.
        () = shared.reached(Phase::Ended) => return,
        // Nobody waits for the answer any more.
        () = peer_end(&mut stream, &mut leftover) => return,
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return send_refusal(stream, &refusal).await,
    };
    let mut stream = match admitted.is_for_worker() {
        true => match socket_of(stream) {
            Ok(Some(io)) => {
                if let Some(handoff) = admitted.handoff(io, leftover, permit) {
                    shared.workers.assign(handoff);
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
    // A response is smaller than any socket's buffer; only a dead peer makes the server wait here.
    if let Ok(Ok(())) = timeout(shared.settings.limits.handshake_timeout, write).await {
        admitted.open(
            Box::new(stream),
            leftover,
            shared.registration(Arc::new(permit)),
        );
    }
}

/// Waits until the peer closes the connection, and appends what it sends meanwhile to `leftover`. A peer that sends more
/// than [`READ_BYTES`] ahead of the answer is not read any more, so its end isn't noticed.
///
/// # Cancel safety
///
/// This is cancel safe: no byte is lost.
async fn peer_end<S: Stream>(stream: &mut S, leftover: &mut Vec<u8>) {
    while leftover.len() < READ_BYTES {
        leftover.reserve(READ_BYTES - leftover.len());
        match stream.read_buf(leftover).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    pending::<()>().await;
}

/// Sends a refusal and closes the connection in such a way that the peer can read the refusal.
pub(crate) async fn send_refusal<S: Stream>(mut stream: S, refusal: &Refusal) {
    tracing::debug!(status = refusal.status().as_u16(), "refused");
    let bytes = refusal.to_bytes(SystemTime::now());
    let write_and_linger = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        // RFC 9112 section 9.6: closing a socket with unread bytes resets the connection, and the peer loses the
        // answer. So the rest of what the peer sends is read, within limits.
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
    let _ = timeout(LINGER_TIME_MAX, write_and_linger).await;
}

/// Returns `None` if the server begins to drain before `future` completes.
pub(super) async fn until_drain<F: Future>(shared: &ServerShared, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = shared.reached(Phase::Draining) => None,
    }
}

/// Bytes. Most heads fit one read; cookies and tokens make some longer.
const READ_BYTES: usize = 2048;

/// Bytes of a refused request that are read and discarded.
const LINGER_BYTES_MAX: usize = 64 << 10;

/// How long the peer has to read a refusal and close.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
