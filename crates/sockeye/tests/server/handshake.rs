//! RFC 6455 section 4.2 over a socket: a malformed request gets its status, then the connection closes.

use sockeye::{Server, ServerHandle};
use tokio::io::AsyncWriteExt as _;

use crate::support::{
    Echo, assert_echoes, attend, connect, echo_server, exchange, impatient, open, open_on,
    read_head, read_to_end, recv_text, request, soon, status, status_of,
};

async fn start() -> ServerHandle {
    echo_server().start().await.unwrap()
}

#[tokio::test]
async fn right_handshake_is_answered_with_101() {
    let server = start().await;
    let (_websocket, head) = open(server.local_addrs()[0], "/echo", &[]).await;
    assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: Upgrade\r\n"), "{head}");
    assert!(!head.contains("Sec-WebSocket-Extensions"), "{head}");
}

#[tokio::test]
async fn wrong_handshakes_get_their_status() {
    let server = start().await;
    let addr = server.local_addrs()[0];
    let good = request("/echo", &[]);
    for (old, new, expected) in [
        ("GET ", "POST ", 405),
        ("HTTP/1.1", "HTTP/1.0", 505),
        ("HTTP/1.1", "HTTP/2.0", 505),
        ("Version: 13", "Version: 8", 426),
        ("Upgrade: websocket\r\n", "", 426),
        ("Connection: Upgrade", "Connection: close", 400),
        ("Key: dGhl", "Key: GhlI", 101),
        ("Key: dGhl", "Key: dGh", 400),
        ("Host: a.example\r\n", "", 400),
        ("Host: a.example\r\n", "Host: a\r\nHost: b\r\n", 400),
        ("Host: a.example", "Host : a.example", 400),
        ("Host: a.example", "Host: a b", 400),
        ("Host: a.example\r\n", "Host: a.example\n", 400),
        ("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc", 400),
        (
            "\r\n\r\n",
            "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("\r\n\r\n", "\r\n folded\r\n\r\n", 400),
        ("/echo", "/echo#x", 400),
        ("/echo", "echo", 400),
        ("/echo", "/nowhere", 404),
    ] {
        let bytes = good.replacen(old, new, 1);
        if expected == 101 {
            continue;
        }
        let answer = exchange(addr, bytes.as_bytes()).await;
        assert_eq!(status_of(&answer), expected, "{bytes}\n{answer}");
        assert!(answer.contains("close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn other_version_is_answered_with_the_supported_one() {
    let server = start().await;
    let bytes = request("/echo", &[]).replace("Version: 13", "Version: 7");
    let answer = exchange(server.local_addrs()[0], bytes.as_bytes())
        .await
        .to_lowercase();
    for line in [
        "sec-websocket-version: 13\r\n",
        "upgrade: websocket\r\n",
        "connection: upgrade, close\r\n",
    ] {
        assert!(answer.contains(line), "{answer}");
    }
}

#[tokio::test]
async fn heads_over_a_limit_are_refused() {
    let server = start().await;
    let addr = server.local_addrs()[0];
    let fields: Vec<String> = (0..101).map(|index| format!("X-{index}: 1")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    assert_eq!(
        status(addr, request("/echo", &fields).as_bytes()).await,
        431
    );
    let long = format!("X: {}", "a".repeat(20 << 10));
    assert_eq!(
        status(addr, request("/echo", &[&long]).as_bytes()).await,
        431
    );
    let target = format!("/{}", "a".repeat(20 << 10));
    assert_eq!(status(addr, request(&target, &[]).as_bytes()).await, 414);
}

#[tokio::test]
async fn other_protocol_is_refused_at_once() {
    let server = start().await;
    let addr = server.local_addrs()[0];
    // A TLS ClientHello on the plain port: the server doesn't wait for the end of a head.
    assert_eq!(status(addr, b"\x16\x03\x01\x02\x00\x01\x00").await, 400);
}

#[tokio::test]
async fn absolute_target_is_taken_and_its_authority_is_the_host() {
    let server = start().await;
    let addr = server.local_addrs()[0];
    let good = request("/echo", &["Origin: http://b.example"]);
    assert_eq!(status(addr, good.as_bytes()).await, 403);
    let (mut stream, bytes) = (
        connect(addr).await,
        good.replace("/echo", "http://b.example/echo"),
    );
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[tokio::test]
async fn frames_behind_the_head_in_one_segment_are_kept() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    let mut bytes = request("/echo", &[]).into_bytes();
    // "Hello", masked with zeros, and one more byte at a time.
    bytes.extend_from_slice(b"\x81\x85\0\0\0\0Hello");
    stream.write_all(&bytes).await.unwrap();
    read_head(&mut stream).await;
    let settings = sockeye::Settings::default();
    let mut websocket =
        sockeye::WebSocket::from_stream(stream, sockeye::Role::Client, settings).unwrap();
    assert_eq!(recv_text(&mut websocket).await, "Hello");
}

#[tokio::test]
async fn head_may_come_byte_by_byte() {
    let server = start().await;
    let mut stream = connect(server.local_addrs()[0]).await;
    stream.set_nodelay(true).unwrap();
    for byte in request("/echo", &[]).bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[tokio::test]
async fn silent_and_slow_peers_are_closed_with_408() {
    let server = echo_server().settings(impatient()).start().await.unwrap();
    let addr = server.local_addrs()[0];
    let mut silent = connect(addr).await;
    assert_eq!(status_of(&read_to_end(&mut silent).await), 408);
    let mut slow = connect(addr).await;
    slow.write_all(b"GET /echo HTTP/1.1\r\nHost: a")
        .await
        .unwrap();
    assert_eq!(status_of(&read_to_end(&mut slow).await), 408);
    let mut half_http2 = connect(addr).await;
    half_http2.write_all(b"PRI * HT").await.unwrap();
    assert_eq!(status_of(&read_to_end(&mut half_http2).await), 408);
}

#[tokio::test]
async fn any_stream_is_served_as_if_it_came_by_a_listener() {
    let server = Server::unbound()
        .route("/echo", |_request| Ok(Echo))
        .start()
        .await
        .unwrap();
    let (client, stream) = tokio::io::duplex(64);
    server.accept(stream, None);
    let (mut websocket, _) = open_on(client, "/echo", &[]).await;
    assert_echoes(&mut websocket, &"long ".repeat(100)).await;
    assert_eq!((server.connections(), server.sessions()), (1, 1));
    let attending = attend(websocket);
    let report = soon(server.drain(sockeye::Drain::default())).await;
    assert_eq!(report.closed, 1);
    assert!(soon(attending).await.unwrap().is_clean());
}
