//! One connection of HTTP/2.

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
            http_service::{HttpService, Place},
            http2::{
                answer::answer,
                streams::Streams,
                unread::{Unread, Verdict},
                watch::{Act, Watch},
                watched::{Input, SignsOfLife, Watched},
            },
        },
        shared::{Phase, ServerShared},
    },
};

/// Serves HTTP/2, with WebSockets on streams of it, until the peer or a drain ends it, or nobody uses it.
pub(crate) async fn serve<S: Stream>(stream: S, tls: Tls, deadline: Instant, accepted: Accepted) {
    let shared = Arc::clone(&accepted.shared);
    let http_service = Arc::new(HttpService::new(tls, accepted));
    let signs = SignsOfLife::new();
    let input = Arc::new(Input::new());
    let stream = Watched::new(stream, signs.clone(), Arc::clone(&input));
    let handshake = builder(&shared).handshake::<_, Bytes>(stream);
    let mut connection = match timeout_at(deadline, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, "no HTTP/2"),
        Err(_) => return tracing::debug!("HTTP/2 took too long"),
    };
    let mut pings = connection.ping_pong();
    let streams = Streams::default();
    let mut unread = Unread::new(&shared.settings.memory_budget, streams.clone(), input);
    let mut watch = match http_service.place() {
        Place::Regular => Watch::new(deadline, shared.http.keepalive_timeout),
        Place::Reserve => Watch::of_guest(deadline),
    };
    let mut timer = pin!(sleep_until(deadline));
    let mut draining = pin!(shared.reached(Phase::Draining));
    let mut is_draining = false;
    let mut ended = pin!(shared.reached(Phase::Ended));
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((mut request, respond))) => {
                    watch.handle_request();
                    let stream = streams.open(request.body_mut());
                    tokio::spawn(answer(Arc::clone(&http_service), request, respond, stream));
                }
                Some(Err(error)) => return tracing::debug!(%error, "HTTP/2 connection failed"),
                None => return,
            },
            () = streams.emptied() => if !streams.are_open() {
                watch.handle_idle(Instant::now());
            },
            () = &mut timer => match watch.handle_timer(Instant::now(), signs.last()) {
                Act::Nothing => {}
                Act::Ping => ping(pings.as_mut()).await,
                // One whose last answer is out is told in one frame; what it asks meanwhile it may ask again.
                Act::SayGoodbye if !connection.has_streams() => {
                    connection.abrupt_shutdown(Reason::NO_ERROR);
                }
                Act::SayGoodbye => connection.graceful_shutdown(),
                Act::End => return,
            },
            () = unread.is_due() => if unread.look() == Verdict::Condemned {
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let gone = poll_fn(|cx| connection.poll_closed(cx));
                let _ = timeout(GOODBYE_TIMEOUT, gone).await;
                return;
            },
            () = &mut draining, if !is_draining => {
                is_draining = true;
                connection.graceful_shutdown();
            }
            () = &mut ended => return,
        }
        let due = watch.due(signs.last());
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

/// Asks for a sign of life. The answer is seen as what it is, bytes that come.
async fn ping(pings: Option<&mut PingPong>) {
    let Some(pings) = pings else {
        return;
    };
    // The answer to the last one makes room for the next.
    poll_fn(|cx| {
        let _ = pings.poll_pong(cx);
        Poll::Ready(())
    })
    .await;
    if let Err(error) = pings.send_ping(Ping::opaque()) {
        tracing::debug!(%error, "cannot ask for a sign of life");
    }
}

/// Streams of one connection, WebSockets and requests together. 100 is the least that RFC 9113
/// section 6.5.2 recommends; a browser opens all its tabs' WebSockets on one connection.
const STREAMS_MAX: u32 = 256;

/// Bytes that one stream may send ahead of its reader, and so what it can make us hold. All streams together
/// may send as much ahead, 16 MiB: however many of them aren't read, the others are not held up. The price of
/// so small a window is that one stream is sent to us no faster than 64 KiB each round trip.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;

/// How long a connection that must go waits until its GOAWAY is out: the peer may read nothing.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of one stream that h2 may hold, which have left an outbox and are not in the socket yet.
const SEND_BUFFER_BYTES_MAX: usize = 64 << 10;
