//! WebSockets over HTTP/2: each has back-pressure of its own, and none holds up another.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest, ext::Protocol};
use http::{Request, StatusCode};
use sockeye::{CloseCode, Route, Server, ServerHandle, Settings};
use tokio::{
    io::{DuplexStream, duplex},
    time::{Instant, sleep, timeout},
};

use crate::support::{
    Echo, assert_echoes, attend, echo_server, http2_client, http2_connect, http2_websocket, open,
    soon,
};

const SECOND: Duration = Duration::from_secs(1);

/// Bytes of one message.
const MESSAGE: usize = 300 << 10;

/// Settings under which the server sends only what a test sends.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = None;
    settings.outbox_bytes_max = 256 << 10;
    settings.inbox_bytes_max = 64 << 10;
    settings.progress_timeout = Some(10 * SECOND);
    settings
}

/// Starts a server that sends `messages` on `/flood` and counts what was taken of them, reads nothing on `/deaf`, and
/// echoes on `/echo`.
async fn start(messages: usize) -> (ServerHandle, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let flood = Route::conversation("/flood", move |_, websocket| {
        let counter = Arc::clone(&counter);
        async move {
            for _ in 0..messages {
                if websocket.send(vec![7; MESSAGE]).await.is_err() {
                    return;
                }
                counter.fetch_add(1, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        }
    });
    let deaf = Route::conversation("/deaf", |_, websocket| async move {
        let _held = websocket;
        std::future::pending::<()>().await;
    });
    let server = Server::unbound()
        .mount(flood)
        .mount(deaf)
        .route("/echo", |_request| Ok(Echo))
        .settings(settings())
        .start()
        .await
        .unwrap();
    (server, sent)
}

/// Connects a client that lets the server send `window` bytes ahead on each stream.
async fn http2(server: &ServerHandle, window: u32) -> SendRequest<Bytes> {
    let (client, theirs) = duplex(64 << 10);
    server.accept(theirs, None);
    http2_on(client, window).await
}

pub(crate) async fn http2_on(client: DuplexStream, window: u32) -> SendRequest<Bytes> {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(window)
        .initial_connection_window_size(16 << 20);
    let (mut send, connection) = builder.handshake(client).await.unwrap();
    tokio::spawn(connection);
    // The server's settings come before its first answer.
    let request = Request::get("http://a.example/").body(()).unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    assert!(response.await.unwrap().status().is_client_error());
    send
}

pub(crate) async fn websocket(
    send: &mut SendRequest<Bytes>,
    path: &str,
) -> (SendStream<Bytes>, RecvStream) {
    let request = Request::connect(format!("http://a.example{path}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    poll_fn(|cx| send.poll_ready(cx)).await.unwrap();
    let (response, stream) = send.send_request(request, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    (stream, response.into_body())
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_does_not_read_waits_in_the_outbox_alone() {
    let (server, sent) = start(usize::MAX).await;
    let mut send = http2(&server, 64 << 10).await;
    let _stream = websocket(&mut send, "/flood").await;
    let began = Instant::now();
    while server.endings().stalled == 0 {
        assert!(began.elapsed() < 100 * SECOND, "{:?}", server.endings());
        sleep(SECOND / 10).await;
    }
    // The first message was accepted although it is larger than the outbox, and 64 KiB of it have left.
    assert_eq!(sent.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_stays() {
    let (server, sent) = start(6).await;
    let mut send = http2(&server, 16 << 10).await;
    let (_stream, mut body) = websocket(&mut send, "/flood").await;
    let mut read = 0;
    while read < 6 * MESSAGE {
        let data = body.data().await.expect("all of it").unwrap();
        read += data.len();
        sleep(SECOND * u32::try_from(data.len()).unwrap() / (8 << 10)).await;
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(sent.load(Ordering::Relaxed), 6);
    assert_eq!(server.endings().stalled, 0);
}

#[tokio::test(start_paused = true)]
async fn unread_streams_hold_up_no_other() {
    let (server, _) = start(0).await;
    let mut send = http2(&server, 64 << 10).await;
    let mut frame = vec![0x82, 0xfe];
    frame.extend_from_slice(&60_000_u16.to_be_bytes());
    frame.resize(2 + 2 + 4 + 60_000, 0);
    let frame = Bytes::from(frame);
    let mut held = Vec::new();
    for _ in 0..100 {
        let (mut stream, body) = websocket(&mut send, "/deaf").await;
        // The client sends as much as it may: until the window stays closed although time passes.
        loop {
            stream.reserve_capacity(frame.len());
            let room = timeout(SECOND, async {
                while stream.capacity() < frame.len() {
                    poll_fn(|cx| stream.poll_capacity(cx))
                        .await
                        .unwrap()
                        .unwrap();
                }
            });
            if room.await.is_err() {
                break;
            }
            stream.send_data(frame.clone(), false).unwrap();
        }
        stream.reserve_capacity(0);
        held.push((stream, body));
    }
    let (mut stream, mut body) = websocket(&mut send, "/echo").await;
    let hello = Bytes::from_static(b"\x81\x85\0\0\0\0hello");
    stream.send_data(hello, false).unwrap();
    let answer = timeout(30 * SECOND, body.data()).await.expect("an echo");
    assert_eq!(answer.unwrap().unwrap().as_ref(), b"\x81\x05hello");
}

#[tokio::test]
async fn each_websocket_counts_as_a_connection() {
    let server = echo_server().connections_max(2).start().await.unwrap();
    let addr = server.local_addrs()[0];
    let mut sender = http2_client(addr).await;
    let mut websockets = Vec::new();
    for _ in 0..2 {
        let response = http2_connect(&mut sender, "/echo", &[]).await;
        assert_eq!(response.status(), 200);
        websockets.push(http2_websocket(response).await);
    }
    let response = http2_connect(&mut sender, "/echo", &[]).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!((server.connections(), server.sessions()), (2, 2));
    // When one of them ends, another can open, whichever of them it was.
    for _ in 0..3 {
        let websocket = websockets.remove(0);
        let session = websocket.session().clone();
        let ending = attend(websocket);
        session.close(CloseCode::NORMAL, "");
        soon(ending).await.unwrap();
        soon(async {
            while server.sessions() > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let response = soon(async {
            loop {
                let response = http2_connect(&mut sender, "/echo", &[]).await;
                if response.status() == 200 {
                    break response;
                }
            }
        })
        .await;
        let mut websocket = http2_websocket(response).await;
        assert_echoes(&mut websocket, "hi").await;
        websockets.push(websocket);
    }
    let response = http2_connect(&mut sender, "/echo", &[]).await;
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn websocket_of_a_connection_in_the_reserve_opens_once_there_is_room() {
    let server = echo_server().connections_max(1).start().await.unwrap();
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/echo", &[]).await;
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(crate::support::status(addr, bytes).await, 404);
    soon(websocket.close(CloseCode::NORMAL, "")).await;
    drop(websocket);
    soon(async {
        while server.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut websocket, _) = open(addr, "/echo", &[]).await;
    assert_echoes(&mut websocket, "next").await;
}
