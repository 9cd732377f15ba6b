//! Every request has to obey the same rules: the first of a connection and later ones, a WebSocket's and others, over
//! HTTP/1.1 and HTTP/2.

use axum::{
    Router,
    body::Bytes,
    routing::{get, post},
};
use http::{HeaderMap, Request};
use sockeye::{Server, ServerHandle};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    support::{Echo, connect, http2_client, read_head, read_to_end, request, soon, status_of},
    tls::{dial, identity},
};

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn server() -> Server {
    let pages = Router::new()
        .route("/", get(|| async { "welcome" }))
        .route(
            "/length",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route(
            "/host",
            get(|headers: HeaderMap| async move {
                let hosts = headers.get_all("host").iter();
                hosts.map(|host| host.to_str().unwrap()).collect::<String>()
            }),
        );
    Server::bind("127.0.0.1:0")
        .route("/echo", |_request| Ok(Echo))
        .fallback(pages)
}

async fn start() -> ServerHandle {
    server().start().await.unwrap()
}

/// Opens a connection and receives one answer on it.
async fn second_turn(server: &ServerHandle) -> TcpStream {
    let mut stream = connect(server.local_addrs()[0]).await;
    stream.write_all(PLAIN.as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    let mut body = [0; 7];
    soon(stream.read_exact(&mut body)).await.unwrap();
    stream
}

#[tokio::test]
async fn bad_requests_are_refused_at_every_turn_and_end_the_connection() {
    let server = start().await;
    let websocket = request("/echo", &[]);
    let cases = [
        (PLAIN.replace("Host: a", "Host: a b"), 400),
        (PLAIN.replace("Host: a", "Host: a@b"), 400),
        (PLAIN.replace("Host: a", "Host: http://x"), 400),
        (PLAIN.replace("Host: a", "Host: a/../b"), 400),
        (PLAIN.replace("Host: a", "Host: a:b"), 400),
        (PLAIN.replace("Host: a", "Host:"), 400),
        (PLAIN.replace("Host: a", "X: a"), 400),
        (PLAIN.replace("Host: a", "Host: a\r\nHost: a"), 400),
        (PLAIN.replace("\r\n", "\n"), 400),
        (PLAIN.replace("1.1\r\n", "1.1\n"), 400),
        (PLAIN.replace("Host: a", "Host: a\r\nX: a\r\n b"), 400),
        (PLAIN.replace("Host: a", "Host : a"), 400),
        (PLAIN.replace("Host: a", "Host: a\r\nX: \u{1}"), 400),
        (PLAIN.replace("GET /", "GET /#x"), 400),
        (PLAIN.replace("GET /", "GET http://u@a/"), 400),
        (PLAIN.replace("GET /", "GET /\u{e9}"), 400),
        (PLAIN.replace("HTTP/1.1", "HTTP/1.2"), 505),
        (
            PLAIN.replace(
                "Host: a",
                "Host: a\r\nContent-Length: 1\r\nContent-Length: 1",
            ),
            400,
        ),
        (
            PLAIN.replace("Host: a", "Host: a\r\nContent-Length: 1, 1"),
            400,
        ),
        (
            PLAIN.replace("Host: a", "Host: a\r\nContent-Length: +1"),
            400,
        ),
        (
            PLAIN.replace(
                "Host: a",
                "Host: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
            ),
            400,
        ),
        (
            PLAIN.replace("Host: a", "Host: a\r\nTransfer-Encoding: gzip"),
            501,
        ),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_owned(), 505),
        (websocket.replace("\r\n", "\n"), 400),
        (websocket.replace("a.example", "a b"), 400),
        (websocket.replace("GET", "POST"), 405),
    ];
    for (bytes, expected) in cases {
        // A request follows it that must not be answered.
        let bytes = bytes + PLAIN;
        let mut first = connect(server.local_addrs()[0]).await;
        let mut second = second_turn(&server).await;
        for stream in [&mut first, &mut second] {
            stream.write_all(bytes.as_bytes()).await.unwrap();
            let answer = read_to_end(stream).await;
            assert_eq!(status_of(&answer), expected, "{bytes:?}");
            assert_eq!(answer.matches("\r\n\r\n").count(), 1, "{bytes:?} {answer}");
        }
    }
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_judged_one_by_one() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    let chunked = "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";
    let counted = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\n\n\n";
    let bad = PLAIN.replace("Host: a", "Host: a b");
    let bytes = [PLAIN, chunked, counted, PLAIN, &bad, PLAIN].concat();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let answers = read_to_end(&mut stream).await;
    let bodies: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|answer| Some(answer.split_once("\r\n\r\n")?.1))
        .collect();
    assert_eq!(bodies[..4], ["welcome", "11", "3", "welcome"], "{answers}");
    assert_eq!(bodies.len(), 5, "{answers}");
    assert!(answers.contains("HTTP/1.1 400 "), "{answers}");
}

#[tokio::test]
async fn a_body_whose_chunks_are_malformed_is_not_read_on() {
    let server = start().await;
    for body in ["5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "x\r\n"] {
        let head = "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut stream = second_turn(&server).await;
        let bytes = [head, body, PLAIN].concat();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(!answer.contains(" 200 "), "{body:?} {answer}");
    }
}

#[tokio::test]
async fn host_of_an_absolute_target_replaces_the_field() {
    let server = start().await;
    let mut stream = second_turn(&server).await;
    let bytes =
        "GET http://b.example:81/host HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.ends_with("\r\n\r\nb.example:81"), "{answer}");
}

#[tokio::test]
async fn what_browsers_leave_unencoded_is_taken_in_plain_requests() {
    let server = start().await;
    for target in ["/?50%", "/?q=%zz", "/?q=%u4e2d", "/?a|b{}", "/?'`\\"] {
        let mut stream = second_turn(&server).await;
        let bytes = PLAIN.replace("GET /", &format!("GET {target}"));
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert_eq!(status_of(&head), 200, "{target} {head}");
    }
}

#[tokio::test]
async fn bad_requests_over_http2_are_refused() {
    let server = start().await;
    let mut sender = http2_client(server.local_addrs()[0]).await;
    for (uri, host, expected) in [
        ("http://a.example/?50%", None, 200),
        ("http://a.example/", Some("a.example"), 200),
        ("http://a.example/", Some("b.example"), 400),
        ("http://u@a.example/", None, 400),
    ] {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(http_body_util::Empty::new()).unwrap();
        let response = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), expected, "{uri} {host:?}");
    }
}

#[tokio::test]
async fn a_request_without_tls_on_a_tls_port_is_answered_with_400() {
    let (tls, roots) = identity();
    let server = Server::unbound()
        .listen_tls("127.0.0.1:0", tls)
        .route("/echo", |_request| Ok(Echo))
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    for bytes in [PLAIN.to_owned(), request("/echo", &[])] {
        let mut stream = connect(addr).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert_eq!(status_of(&answer), 400, "{answer}");
        assert!(answer.contains("https://"), "{answer}");
    }
    // The port still accepts TLS.
    let mut stream = dial(roots, addr, &[]).await;
    let bytes = PLAIN.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert_eq!(status_of(&head), 404);
}
