//! Plain HTTP on the same port, and WebSockets on connections that begin with it.

use std::{
    future::ready,
    io,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    routing::{get, post},
};
use http::StatusCode;
use sockeye::{CloseCode, Deflate, Route, Server, ServerHandle};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tower_service::Service;

use crate::support::{
    Echo, assert_echoes, attend, connect, echo_server, exchange, http2_client, http2_connect,
    http2_websocket, open, open_on, read_head, read_to_end, request, soon, status_of,
};

async fn start() -> ServerHandle {
    let router =
        Router::new()
            .route("/", get(|| async { "welcome" }))
            .route("/echo", get(|| async { "plain" }))
            .route(
                "/length",
                post(|body: Bytes| async move { body.len().to_string() }),
            )
            .route(
                "/peer",
                get(
                    |ConnectInfo(addr): ConnectInfo<std::net::SocketAddr>| async move {
                        addr.to_string()
                    },
                ),
            );
    echo_server().fallback(router).start().await.unwrap()
}

/// Sends one request on a connection that stays open, and returns the body of the answer.
async fn ask(stream: &mut TcpStream, bytes: &str, body_bytes: usize) -> String {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let head = read_head(stream).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut body = vec![0; body_bytes];
    soon(stream.read_exact(&mut body)).await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn plain_requests_go_to_the_fallback() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    assert_eq!(
        ask(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 7).await,
        "welcome"
    );
    // A plain GET of a route's path goes to the fallback.
    assert_eq!(
        ask(&mut stream, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 5).await,
        "plain"
    );
    let post = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(ask(&mut stream, post, 1).await, "5");
    let peer = stream.local_addr().unwrap().to_string();
    assert_eq!(
        ask(
            &mut stream,
            "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n",
            peer.len()
        )
        .await,
        peer
    );
}

#[tokio::test]
async fn plain_request_names_its_host_once() {
    let server = start().await;
    for (hosts, status) in [
        ("", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a\r\n", 200),
    ] {
        let request = format!("GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        let answer = exchange(server.local_addrs()[0], request.as_bytes()).await;
        assert_eq!(status_of(&answer), status, "{hosts:?}");
    }
}

#[tokio::test]
async fn first_request_with_a_body_in_pieces_loses_nothing() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    let head = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(ask(&mut stream, "world", 2).await, "10");
}

/// Answers with the path, and fails on `/broken`.
#[derive(Clone)]
struct Paths;

impl Service<http::Request<Body>> for Paths {
    type Response = http::Response<String>;
    type Error = io::Error;
    type Future = std::future::Ready<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        ready(match request.uri().path() {
            "/broken" => Err(io::Error::other("of no use")),
            path => Ok(http::Response::new(path.to_owned())),
        })
    }
}

#[tokio::test]
async fn a_fallback_is_any_tower_service_and_its_failure_is_500() {
    let server = echo_server().fallback(Paths).start().await.unwrap();
    let addr = server.local_addrs()[0];
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = exchange(addr, get("/a/b").as_bytes()).await;
    assert_eq!(status_of(&answer), 200);
    assert!(answer.ends_with("\r\n\r\n/a/b"), "{answer}");
    let answer = exchange(addr, get("/broken").as_bytes()).await;
    assert_eq!(status_of(&answer), 500);
    assert!(!answer.contains("of no use"), "{answer}");
}

#[tokio::test]
async fn without_a_fallback_plain_requests_get_404() {
    let server = echo_server().start().await.unwrap();
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(
        status_of(&exchange(server.local_addrs()[0], bytes).await),
        404
    );
}

#[tokio::test]
async fn connection_that_was_kept_alive_becomes_a_websocket() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    assert_eq!(
        ask(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 7).await,
        "welcome"
    );
    let (mut websocket, _) = open_on(stream, "/echo", &[]).await;
    assert_echoes(&mut websocket, "hi").await;
    assert_eq!((server.connections(), server.sessions()), (1, 1));
    assert!(
        soon(websocket.close(CloseCode::NORMAL, ""))
            .await
            .is_clean()
    );
}

#[tokio::test]
async fn later_handshake_is_checked_as_strictly() {
    let server = start().await;
    let addr = server.local_addrs()[0];
    for (old, new, expected) in [
        ("Version: 13", "Version: 8", 426),
        ("Key: dGhl", "Key: dGh", 400),
        ("/echo", "/nowhere", 404),
        (
            "Host: a.example",
            "Host: a.example\r\nOrigin: http://b.example",
            403,
        ),
    ] {
        let mut stream = connect(addr).await;
        ask(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 7).await;
        let bytes = request("/echo", &[]).replacen(old, new, 1);
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert_eq!(status_of(&head), expected, "{head}");
    }
}

#[tokio::test]
async fn drain_ends_idle_connections() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    ask(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 7).await;
    soon(server.drain(sockeye::Drain::default())).await;
    assert_eq!(read_to_end(&mut stream).await, "");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn extended_connect_opens_websockets_on_the_same_routes() {
    let server = start().await;
    let mut sender = http2_client(server.local_addrs()[0]).await;
    let mut websockets = Vec::new();
    for text in ["one", "two"] {
        let origin = ("origin", "http://a.example");
        let response = http2_connect(&mut sender, "/echo", &[origin]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let mut websocket = http2_websocket(response).await;
        assert_echoes(&mut websocket, text).await;
        websockets.push(websocket);
    }
    assert_eq!((server.connections(), server.sessions()), (2, 2));
    for mut websocket in websockets {
        let closed = soon(websocket.close(CloseCode::NORMAL, "bye")).await;
        assert!(closed.is_clean(), "{closed}");
    }
}

#[tokio::test]
async fn extended_connect_is_checked() {
    let server = start().await;
    let mut sender = http2_client(server.local_addrs()[0]).await;
    for (path, fields, expected) in [
        ("/nowhere", &[][..], 404),
        ("/echo", &[("origin", "http://b.example")], 403),
        ("/echo", &[("sec-websocket-version", "8")], 426),
        ("/echo", &[("sec-websocket-protocol", "a b")], 400),
        ("/echo", &[("sec-websocket-extensions", ";")], 400),
    ] {
        let response = http2_connect(&mut sender, path, fields).await;
        assert_eq!(response.status(), expected, "{path} {fields:?}");
    }
}

#[tokio::test]
async fn extended_connect_agrees_on_subprotocol_and_deflate() {
    let route = Route::new("/", |_request| Ok(Echo))
        .subprotocols(["v1"])
        .deflate(Deflate::default());
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let mut sender = http2_client(server.local_addrs()[0]).await;
    let fields = [
        ("sec-websocket-protocol", "v0, v1"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    let response = http2_connect(&mut sender, "/", &fields).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "v1");
    let extensions = response.headers()["sec-websocket-extensions"]
        .to_str()
        .unwrap();
    assert!(extensions.starts_with("permessage-deflate"), "{extensions}");
}

#[tokio::test]
async fn connection_over_the_limit_gets_503_over_http2() {
    let server = echo_server().connections_max(1).start().await.unwrap();
    let addr = server.local_addrs()[0];
    let (_websocket, _) = open(addr, "/echo", &[]).await;
    let mut sender = http2_client(addr).await;
    let response = http2_connect(&mut sender, "/echo", &[]).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    // Its connection is closed soon, whatever it does.
    soon(async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn drain_closes_websockets_over_http2() {
    let server = start().await;
    let mut sender = http2_client(server.local_addrs()[0]).await;
    let response = http2_connect(&mut sender, "/echo", &[]).await;
    let mut websocket = http2_websocket(response).await;
    assert_echoes(&mut websocket, "hi").await;
    let attending = attend(websocket);
    let report = soon(server.drain(sockeye::Drain::default())).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (1, 0, 0));
    let closed = soon(attending).await.unwrap();
    assert_eq!(closed.code, CloseCode::GOING_AWAY);
}
