//! Plain HTTP on the same port, and WebSockets on connections that begin with it.

use axum::{
    Router,
    body::Bytes,
    extract::ConnectInfo,
    routing::{get, post},
};
use http::{Method, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::{client::conn::http2, ext::Protocol};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sockeye::{CloseCode, Role, ServerHandle, Settings, WebSocket};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    assert_echoes, connect, echo_server, exchange, impatient, open_on, read_head, read_to_end,
    request, soon, status_of,
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

/// One request on a connection that stays open, and the body of its answer.
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
    // A plain GET of a WebSocket's path is no WebSocket.
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
async fn first_request_with_a_body_in_pieces_loses_nothing() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    let head = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(ask(&mut stream, "world", 2).await, "10");
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
async fn idle_connection_is_closed() {
    let server = echo_server().settings(impatient()).start().await.unwrap();
    let mut stream = connect(server.local_addrs()[0]).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(status_of(&read_to_end(&mut stream).await), 404);
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

/// HTTP/2 without TLS, by prior knowledge.
async fn http2(server: &ServerHandle) -> http2::SendRequest<Empty<Bytes>> {
    let stream = connect(server.local_addrs()[0]).await;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    // The server's settings, which allow an extended CONNECT, come before its first answer.
    let request = Request::get("http://a.example/")
        .body(Empty::new())
        .unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "welcome");
    sender
}

fn extended_connect(path: &str) -> http::request::Builder {
    Request::builder()
        .method(Method::CONNECT)
        .version(Version::HTTP_2)
        .uri(format!("http://a.example{path}"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
}

#[tokio::test]
async fn extended_connect_opens_a_websocket_on_the_same_routes() {
    let server = start().await;
    let mut sender = http2(&server).await;
    let mut websockets = Vec::new();
    for text in ["one", "two"] {
        let request = extended_connect("/echo")
            .header("origin", "http://a.example")
            .body(Empty::new())
            .unwrap();
        let response = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let stream = soon(hyper::upgrade::on(response)).await.unwrap();
        let stream = TokioIo::new(stream);
        let mut websocket =
            WebSocket::from_stream(stream, Role::Client, Settings::default()).unwrap();
        assert_echoes(&mut websocket, text).await;
        websockets.push(websocket);
    }
    assert_eq!((server.connections(), server.sessions()), (1, 2));
    for mut websocket in websockets {
        let closed = soon(websocket.close(CloseCode::NORMAL, "bye")).await;
        assert!(closed.is_clean(), "{closed}");
    }
}

#[tokio::test]
async fn extended_connect_is_checked() {
    let server = start().await;
    let mut sender = http2(&server).await;
    let good = || extended_connect("/echo");
    let websocket = Protocol::from_static("websocket");
    for (builder, expected) in [
        (extended_connect("/nowhere"), StatusCode::NOT_FOUND),
        (
            good().header("origin", "http://b.example"),
            StatusCode::FORBIDDEN,
        ),
        (
            good().header("sec-websocket-version", "8"),
            StatusCode::UPGRADE_REQUIRED,
        ),
        (
            good().header("sec-websocket-protocol", "a b"),
            StatusCode::BAD_REQUEST,
        ),
        (
            Request::builder()
                .method(Method::CONNECT)
                .version(Version::HTTP_2)
                .uri("http://a.example/echo")
                .extension(websocket),
            StatusCode::UPGRADE_REQUIRED,
        ),
    ] {
        let request = builder.body(Empty::new()).unwrap();
        let response = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), expected);
        response.into_body().collect().await.unwrap();
    }
}

#[tokio::test]
async fn drain_closes_websockets_over_http2() {
    let server = start().await;
    let mut sender = http2(&server).await;
    let request = extended_connect("/echo").body(Empty::new()).unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    let stream = TokioIo::new(soon(hyper::upgrade::on(response)).await.unwrap());
    let mut websocket = WebSocket::from_stream(stream, Role::Client, Settings::default()).unwrap();
    assert_echoes(&mut websocket, "hi").await;
    let report = soon(server.drain(sockeye::Drain::default())).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (1, 0, 0));
    assert_eq!(soon(websocket.recv()).await.unwrap(), None);
    assert_eq!(websocket.closed().unwrap().code, CloseCode::GOING_AWAY);
}
