//! WebSockets on servers of axum and hyper.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse as _, Response},
    routing::any,
};
use http::Request;
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sockeye::{Origins, Settings, upgrade::WebSocketUpgrade};
use tokio::{
    io::duplex,
    net::TcpListener,
    sync::oneshot,
    time::{Duration, timeout},
};

use crate::http2::{http2_on, websocket};
use crate::support::{
    Echo, assert_echoes, exchange, http2_client, http2_connect, http2_websocket, open, recv_text,
    request, soon, status, status_of,
};

async fn axum_server(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    addr
}

async fn conversation(upgrade: WebSocketUpgrade) -> Response {
    let peer = upgrade.request().peer_addr();
    upgrade
        .subprotocols(["v1"])
        .on_upgrade(move |mut websocket| async move {
            websocket.send(format!("{}", peer.is_some())).await.unwrap();
            while let Ok(Some(message)) = websocket.recv().await {
                websocket.send(message).await.unwrap();
            }
        })
}

#[tokio::test]
async fn axum_handler_opens_a_conversation() {
    let addr = axum_server(Router::new().route("/ws", any(conversation))).await;
    let (mut websocket, head) = open(addr, "/ws", &["Sec-WebSocket-Protocol: v0, v1"]).await;
    assert!(head.contains("sec-websocket-protocol: v1\r\n"), "{head}");
    assert_eq!(recv_text(&mut websocket).await, "true");
    assert_echoes(&mut websocket, "hi").await;
}

#[tokio::test]
async fn axum_handler_runs_an_endpoint() {
    let echo = |upgrade: WebSocketUpgrade| async { upgrade.origins(Origins::Any).endpoint(Echo) };
    let addr = axum_server(Router::new().route("/ws", any(echo))).await;
    let (mut websocket, _) = open(addr, "/ws", &["Origin: http://b.example"]).await;
    assert_echoes(&mut websocket, "hi").await;
}

#[tokio::test]
async fn axum_extractor_refuses_what_is_wrong() {
    let addr = axum_server(Router::new().route("/ws", any(conversation))).await;
    let close = "Connection: close";
    let plain = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(status(addr, plain.as_bytes()).await, 426);
    for (old, new, expected) in [
        ("Version: 13", "Version: 8", 426),
        ("Key: dGhl", "Key: dGh", 400),
        ("GET ", "POST ", 405),
        (
            "Host: a.example",
            "Host: a.example\r\nOrigin: http://b.example",
            403,
        ),
    ] {
        let bytes = request("/ws", &[close]).replacen(old, new, 1);
        let answer = exchange(addr, bytes.as_bytes()).await;
        assert_eq!(status_of(&answer), expected, "{answer}");
    }
}

#[tokio::test]
async fn axum_handler_opens_a_websocket_over_http2() {
    let addr = axum_server(Router::new().route("/ws", any(conversation))).await;
    let mut sender = http2_client(addr).await;
    let response = http2_connect(&mut sender, "/ws", &[("sec-websocket-protocol", "v1")]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "v1");
    let mut websocket = http2_websocket(response).await;
    assert_eq!(recv_text(&mut websocket).await, "true");
    assert_echoes(&mut websocket, "hi").await;
    // Without the protocol it is no request for a WebSocket.
    let request = Request::get("http://a.example/ws")
        .body(Empty::new())
        .unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "CONNECT");
}

/// hyper accepts a slice of any size at once, and some more of them.
#[tokio::test(start_paused = true)]
async fn what_the_peer_does_not_read_over_http2_waits_in_the_outbox() {
    let (told, mut sent) = oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let serve = move |mut request: Request<Incoming>| {
        let upgrade = match sockeye::upgrade::upgrade(&mut request) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return std::future::ready(Ok(refusal.into_response())),
        };
        let mut settings = Settings::default();
        settings.heartbeat = None;
        settings.outbox_bytes_max = 256 << 10;
        settings.progress_timeout = Some(Duration::from_secs(10));
        let told = told.lock().unwrap().take();
        let response = upgrade
            .settings(settings)
            .on_upgrade(|websocket| async move {
                let mut sent = 0;
                while websocket.send(vec![7; 300 << 10]).await.is_ok() {
                    sent += 1;
                }
                let _ = told.unwrap().send(sent);
            });
        std::future::ready(Ok::<_, Infallible>(response))
    };
    let (client, server) = duplex(16 << 10);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    tokio::spawn(builder.serve_connection(TokioIo::new(server), service_fn(serve)));
    let mut send = http2_on(client, 64 << 10).await;
    let _unread = websocket(&mut send, "/ws").await;
    let sent: usize = timeout(Duration::from_secs(100), &mut sent)
        .await
        .expect("it is cut")
        .unwrap();
    // The first message was accepted although it is larger than the outbox.
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn hyper_service_opens_a_websocket() {
    async fn serve(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        Ok(match sockeye::upgrade::upgrade(&mut request) {
            Ok(upgrade) => upgrade.endpoint(Echo),
            Err(refusal) => refusal.into_response(),
        })
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(serve))
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    let (mut websocket, _) = open(addr, "/anywhere", &[]).await;
    assert_echoes(&mut websocket, "hi").await;
    let plain = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(status(addr, plain).await, 426);
}

#[tokio::test]
async fn a_connection_that_hyper_does_not_give_away_is_an_error_to_the_program() {
    use std::sync::Mutex;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    async fn serve(
        mut request: Request<Incoming>,
        errors: UnboundedSender<sockeye::ErrorKind>,
    ) -> Result<Response<Body>, Infallible> {
        let upgrade = sockeye::upgrade::upgrade(&mut request).expect("a right handshake");
        let upgrade = upgrade.on_failed_upgrade(move |error| {
            let _ = errors.send(error.kind());
        });
        Ok(upgrade.endpoint(Echo))
    }
    let (errors, mut told) = unbounded_channel();
    let errors = Mutex::new(errors);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let errors = errors.lock().unwrap().clone();
            let service = service_fn(move |request| serve(request, errors.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // The program has forgotten `.with_upgrades()`.
            tokio::spawn(connection);
        }
    });
    let (mut websocket, _) = open(addr, "/anywhere", &[]).await;
    assert_eq!(soon(told.recv()).await, Some(sockeye::ErrorKind::Config));
    // The peer's connection is closed.
    assert!(soon(websocket.recv()).await.is_err());
}
