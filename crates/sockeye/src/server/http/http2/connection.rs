//! One HTTP/2 connection.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use h2::{Ping, PingPong, Reason, server::Builder};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::{
    connection::Stream,
    handshake::Tls,
    server::{
        admit::Accepted,
        http::{
            http_service::{CapacityClass, HttpService},
            http2::{
                answer::answer,
                http2_keepalive::{Http2Keepalive, KeepaliveAction},
                peer_activity::{ActivityStream, InputLimit, PeerActivity},
                streams::OpenStreams,
                unread::{UnreadBytes, UnreadCheck},
            },
        },
        shared::{Phase, ServerShared},
    },
};

/// Serves HTTP/2, with WebSockets on its streams, until the peer, a drain or a timeout ends the connection.
pub(crate) async fn serve<S: Stream>(stream: S, tls: Tls, deadline: Instant, accepted: Accepted) {
    let shared = Arc::clone(&accepted.shared);
    let http_service = Arc::new(HttpService::new(tls, accepted));
    let activity = PeerActivity::new();
    let input = Arc::new(InputLimit::new());
    let stream = ActivityStream::new(stream, activity.clone(), Arc::clone(&input));
    let handshake = builder(&shared).handshake::<_, Bytes>(stream);
    let mut connection = match timeout_at(deadline, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, "no HTTP/2"),
        Err(_) => return tracing::debug!("HTTP/2 took too long"),
    };
    let mut pings = connection.ping_pong();
    let streams = OpenStreams::default();
    let mut unread = UnreadBytes::new(&shared.settings.memory_budget, streams.clone(), input);
    let mut http2_keepalive = match http_service.capacity_class() {
        CapacityClass::Regular => Http2Keepalive::new(deadline, shared.http.keepalive_timeout),
        CapacityClass::Reserve => Http2Keepalive::for_reserve(deadline),
    };
    let mut timer = pin!(sleep_until(deadline));
    let mut draining = pin!(shared.reached(Phase::Draining));
    let mut is_draining = false;
    let mut ended = pin!(shared.reached(Phase::Ended));
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((mut request, respond))) => {
                    http2_keepalive.handle_request();
                    let stream = streams.open(request.body_mut());
                    tokio::spawn(answer(Arc::clone(&http_service), request, respond, stream));
                }
                Some(Err(error)) => return tracing::debug!(%error, "HTTP/2 connection failed"),
                None => return,
            },
            () = streams.emptied() => if !streams.are_open() {
                http2_keepalive.handle_idle(Instant::now());
            },
            () = &mut timer => match http2_keepalive.handle_timer(Instant::now(), activity.last()) {
                KeepaliveAction::Nothing => {}
                KeepaliveAction::Ping => ping(pings.as_mut()).await,
                // After the last response one frame is enough: a peer that sends a request meanwhile may repeat
                // it.
                KeepaliveAction::GoAway if !connection.has_streams() => {
                    connection.abrupt_shutdown(Reason::NO_ERROR);
                }
                KeepaliveAction::GoAway => connection.graceful_shutdown(),
                KeepaliveAction::End => return,
            },
            () = unread.is_due() => if unread.count() == UnreadCheck::MustClose {
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let gone = poll_fn(|cx| connection.poll_closed(cx));
                let _ = timeout(GOAWAY_TIMEOUT, gone).await;
                return;
            },
            () = &mut draining, if !is_draining => {
                is_draining = true;
                connection.graceful_shutdown();
            }
            () = &mut ended => return,
        }
        let due = http2_keepalive.due(activity.last());
        if timer.deadline() != due || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
    }
}

fn builder(shared: &ServerShared) -> Builder {
    let limits = &shared.settings.limits;
    let mut builder = Builder::new();
    builder
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAMS_MAX * STREAM_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX);
    builder
}

/// Sends a ping. The answer is noticed as bytes that come.
async fn ping(pings: Option<&mut PingPong>) {
    let Some(pings) = pings else {
        return;
    };
    // h2 sends no ping before the answer to the last one was polled.
    poll_fn(|cx| {
        let _ = pings.poll_pong(cx);
        Poll::Ready(())
    })
    .await;
    if let Err(error) = pings.send_ping(Ping::opaque()) {
        tracing::debug!(%error, "cannot send a ping over HTTP/2");
    }
}

/// Streams of one connection, WebSockets and requests together. 100 is the least that RFC 9113 section 6.5.2
/// recommends; a browser opens the WebSockets of all its tabs on one connection.
const STREAMS_MAX: u32 = 256;

/// Bytes that one stream may send ahead of its reader, and so how much the server may have to hold for it. All
/// streams together may send 256 times as much ahead, 16 MiB, so unread streams don't hold up the others. The price
/// of a small window is that a stream receives no more than 64 KiB per round trip.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;

/// How long a connection that must close waits until its GOAWAY is sent: the peer may read nothing.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of one stream that have left an outbox and that h2 may hold before they are in the socket.
const SEND_BUFFER_BYTES_MAX: usize = 64 << 10;
