//! The client's opening handshake over HTTP/1.1: RFC 6455 section 4.1.

mod scripted;

use std::{
    future::{Future as _, poll_fn},
    task::Poll,
    time::Duration,
};

use scripted::{Head, accept, answer, assert_greeted, greet, listen, until_closed};
use sockeye::{CloseCode, Deflate, Error, ErrorKind, Limits, connect};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    join,
    time::Instant,
};

/// Returns the client's error for an answer that the closure writes.
async fn refused_with(answer: impl FnOnce(&Head) -> String) -> Error {
    let (ours, mut theirs) = duplex(1 << 16);
    let server = async {
        let head = Head::read(&mut theirs).await;
        let _ = theirs.write_all(answer(&head).as_bytes()).await;
        until_closed(&mut theirs).await
    };
    let client = connect("ws://example.com/")
        .subprotocols(["a", "b"])
        .over(ours);
    let (result, rest) = join!(client, server);
    assert!(rest.is_empty(), "nothing is sent after a bad answer");
    result.err().unwrap()
}

#[tokio::test]
async fn request_says_what_the_rfc_demands() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://u:p@{address}/a%20b?c=d"))
        .subprotocols(["chat", "superchat"])
        .deflate(Deflate::default())
        .header("X-Mine", "1")
        .header("Cookie", "a=b");
    let (websocket, head) = join!(client, async { greet(&mut accept(&listener).await).await });
    assert_eq!(head.line(), "GET /a%20b?c=d HTTP/1.1");
    let host = address.to_string();
    for (name, value) in [
        ("Host", host.as_str()),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Authorization", "Basic dTpw"),
        ("X-Mine", "1"),
        ("Cookie", "a=b"),
    ] {
        assert_eq!(head.field(name), Some(value), "{name}");
    }
    assert!(head.field("User-Agent").unwrap().starts_with("sockeye/"));
    let extensions = head.field("Sec-WebSocket-Extensions").unwrap();
    assert!(extensions.starts_with("permessage-deflate"));
    assert_eq!(head.field("Sec-WebSocket-Key").unwrap().len(), 24);
    let websocket = websocket.unwrap();
    assert_eq!(websocket.subprotocol(), None);
    let request = websocket.request().unwrap();
    assert_eq!(request.uri(), "/a%20b?c=d");
    assert_eq!(request.headers()["x-mine"], "1");
    assert_eq!(request.headers()["host"], host.as_str());
    assert_eq!(request.peer_addr(), Some(address));
    assert_eq!(request.subprotocols(), ["chat", "superchat"]);
}

#[tokio::test]
async fn own_authorization_and_user_agent_replace_ours() {
    let (ours, mut theirs) = duplex(1 << 16);
    let client = connect("ws://u:p@a/")
        .header("authorization", "Bearer x")
        .header("user-agent", "mine")
        .over(ours);
    let (websocket, head) = join!(client, greet(&mut theirs));
    assert_greeted(websocket).await;
    assert_eq!(head.field("Authorization"), Some("Bearer x"));
    assert_eq!(head.field("User-Agent"), Some("mine"));
}

#[tokio::test]
async fn a_request_of_crate_http_gives_its_uri_its_fields_and_its_subprotocols() {
    let (ours, mut theirs) = duplex(1 << 16);
    let request = http::Request::post("ws://a.example:81/b?c")
        .header("authorization", "Bearer x")
        .header("cookie", "d=e")
        .header("cookie", "f=g")
        // What the handshake writes itself.
        .header("host", "other.example")
        .header("connection", "close")
        .header("sec-websocket-key", "AAAA")
        .header("sec-websocket-version", "8")
        .header("sec-websocket-protocol", "v2, v1")
        .body(())
        .unwrap();
    let client = sockeye::connect_request(request).over(ours);
    let (websocket, head) = join!(client, greet(&mut theirs));
    assert_greeted(websocket).await;
    assert_eq!(head.line(), "GET /b?c HTTP/1.1");
    for (name, value) in [
        ("Host", "a.example:81"),
        ("Connection", "Upgrade"),
        ("Authorization", "Bearer x"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "v2, v1"),
    ] {
        assert_eq!(head.field(name), Some(value), "{name}");
    }
    assert_ne!(head.field("Sec-WebSocket-Key"), Some("AAAA"));
}

#[tokio::test]
async fn a_request_without_a_host_is_no_url() {
    let request = http::Request::get("/b").body(()).unwrap();
    let (ours, _theirs) = duplex(1 << 16);
    let error = sockeye::connect_request(request).over(ours).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Url);
}

#[tokio::test]
async fn every_connection_has_its_own_key() {
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (ours, mut theirs) = duplex(1 << 16);
        let (_, head) = join!(connect("ws://a/").over(ours), greet(&mut theirs));
        keys.push(head.field("Sec-WebSocket-Key").unwrap().to_owned());
    }
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn frames_after_the_answer_in_the_same_segment_are_kept() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}"));
    let (websocket, _) = join!(client, async { greet(&mut accept(&listener).await).await });
    assert_greeted(websocket).await;
}

#[tokio::test]
async fn answer_may_come_in_any_pieces() {
    // A pipe of one byte: every read and every write is one byte.
    let (ours, mut theirs) = duplex(1);
    let server = tokio::spawn(async move {
        greet(&mut theirs).await;
        theirs
    });
    assert_greeted(connect("ws://a/").over(ours).await).await;
    server.await.unwrap();
}

#[tokio::test]
async fn chosen_subprotocol_is_reported() {
    let (ours, mut theirs) = duplex(1 << 16);
    let server = async {
        let head = Head::read(&mut theirs).await;
        let answer = head.switching("Sec-WebSocket-Protocol: b\r\n");
        theirs.write_all(answer.as_bytes()).await.unwrap();
    };
    let (websocket, ()) = join!(
        connect("ws://a/").subprotocols(["a", "b"]).over(ours),
        server
    );
    assert_eq!(websocket.unwrap().subprotocol(), Some("b"));
}

#[tokio::test]
async fn answers_that_break_the_handshake_are_named() {
    type Answer = fn(&Head) -> String;
    let cases: [(Answer, &str); 8] = [
        (
            |_| Head::switching_for("AAAAAAAAAAAAAAAAAAAAAA=="),
            "Accept",
        ),
        (
            |head| {
                head.switching("")
                    .replace("Upgrade: websocket", "Upgrade: h2c")
            },
            "Upgrade",
        ),
        (
            |head| head.switching("").replace("Connection: Upgrade\r\n", ""),
            "Connection",
        ),
        (
            |head| head.switching("Sec-WebSocket-Protocol: c\r\n"),
            "subprotocol",
        ),
        (
            |head| head.switching("Sec-WebSocket-Protocol: A\r\n"),
            "subprotocol",
        ),
        (
            |head| head.switching("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            "extension",
        ),
        (
            |head| head.switching("").replace("HTTP/1.1", "HTTP/1.0"),
            "HTTP/1.1",
        ),
        (|_| "220 mail.example ESMTP\r\n".to_owned(), "HTTP"),
    ];
    for (answer, word) in cases {
        let error = refused_with(answer).await;
        assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
        let text = error.report().to_string();
        assert!(text.contains(word), "{text}");
        assert!(error.to_string().contains("example.com:80"), "{error}");
    }
}

impl Head {
    fn switching_for(key: &str) -> String {
        let accept = sockeye_proto::handshake::accept_key(key);
        format!(
            "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    }
}

#[tokio::test]
async fn refusal_brings_status_fields_and_body() {
    let error = refused_with(|_| {
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
         Content-Length: 10\r\n\r\nwho is it?"
            .to_owned()
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.status().unwrap(), 401);
    let refused = error.rejection().unwrap();
    assert_eq!(refused.headers["www-authenticate"], "Basic realm=\"x\"");
    assert_eq!(refused.body, b"who is it?");
    assert!(error.to_string().contains("401"), "{error}");
}

#[tokio::test]
async fn status_200_is_a_refusal_too() {
    let error = refused_with(|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.status().unwrap(), 200);
}

#[tokio::test]
async fn body_of_a_refusal_is_limited_in_bytes() {
    let body = "x".repeat(1 << 15);
    let error = refused_with(|_| format!("HTTP/1.1 500 No\r\n\r\n{body}")).await;
    assert_eq!(
        error.rejection().unwrap().body.len(),
        Limits::default().head_bytes_max
    );
}

#[tokio::test(start_paused = true)]
async fn body_of_a_refusal_is_limited_in_time() {
    let (ours, mut theirs) = duplex(1 << 16);
    let client = connect("ws://a/")
        .handshake_timeout(Duration::from_millis(20))
        .over(ours);
    let answer = answer(
        &mut theirs,
        "HTTP/1.1 503 No\r\nContent-Length: 99\r\n\r\nlater",
    );
    let (result, _) = join!(client, answer);
    let error = result.err().unwrap();
    assert_eq!(error.status().unwrap(), 503);
    assert_eq!(error.rejection().unwrap().body, b"later");
}

#[tokio::test]
async fn endless_answer_is_cut_off_at_the_limit() {
    let error = refused_with(|_| format!("HTTP/1.1 101 S\r\nA: {}", "x".repeat(1 << 15))).await;
    assert_eq!(error.kind(), ErrorKind::Limit);
    let many = "A: b\r\n".repeat(101);
    let error = refused_with(|head| head.switching(&many)).await;
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[tokio::test(start_paused = true)]
async fn silent_and_vanishing_servers_are_told_apart() {
    let (ours, theirs) = duplex(1 << 16);
    let client = connect("ws://quiet.example/").handshake_timeout(Duration::from_millis(10));
    let error = client.over(ours).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(
        text.contains("handshake with quiet.example:80") && text.contains("10ms"),
        "{text}"
    );
    drop(theirs);

    let (ours, theirs) = duplex(1 << 16);
    drop(theirs);
    let error = connect("ws://gone.example/")
        .over(ours)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("gone.example:80"), "{error}");
}

#[tokio::test]
async fn mistakes_of_the_program_are_found_before_anything_is_sent() {
    let cases = [
        (connect("ws://a/").header("Host", "b c"), ErrorKind::Config),
        (
            connect("ws://a/").header("Host", "b").header("host", "c"),
            ErrorKind::Config,
        ),
        (
            connect("ws://a/").header("sec-websocket-protocol", "b"),
            ErrorKind::Config,
        ),
        (
            connect("ws://a/").header("Connection", "close"),
            ErrorKind::Config,
        ),
        (
            connect("ws://a/").header("Content-Length", "1"),
            ErrorKind::Config,
        ),
        (
            connect("ws://a/").header("X", "a\r\nEvil: b"),
            ErrorKind::Config,
        ),
        (
            connect("ws://a/").header("X\r\nEvil", "b"),
            ErrorKind::Config,
        ),
        (connect("ws://a/").header("", "b"), ErrorKind::Config),
        (connect("ws://a/").subprotocols(["a b"]), ErrorKind::Config),
        (
            connect("ws://a/").subprotocols(["a", "a"]),
            ErrorKind::Config,
        ),
        (connect("ws://a/").subprotocols([""]), ErrorKind::Config),
        (connect("ws://a/#b"), ErrorKind::Url),
        (connect("mailto:a@b"), ErrorKind::Url),
        (connect("nonsense"), ErrorKind::Url),
    ];
    for (client, kind) in cases {
        let (ours, mut theirs) = duplex(1 << 16);
        let error = client.clone().over(ours).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(until_closed(&mut theirs).await.is_empty());
        // No name is looked up either.
        assert_eq!(client.await.err().unwrap().kind(), kind);
    }
}

#[tokio::test]
async fn dropping_the_future_at_any_poll_drops_the_stream() {
    let mut limits = Limits::default();
    // The server doesn't answer the Close frame of the last iteration.
    limits.close_timeout = Duration::ZERO;
    // In a pipe of one byte nearly every poll ends at a different await.
    for polls in 0.. {
        let (ours, mut theirs) = duplex(1);
        let mut client = Box::pin(connect("ws://a/").limits(limits.clone()).over(ours));
        let server = tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match theirs.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            let answer = Head::parse(head).switching("");
            if theirs.write_all(answer.as_bytes()).await.is_ok() {
                until_closed(&mut theirs).await;
            }
        });
        let mut is_open = false;
        for _ in 0..polls {
            let polled = poll_fn(|context| Poll::Ready(client.as_mut().poll(context))).await;
            if polled.is_ready() {
                is_open = true;
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(client);
        // The server ends because it reads the end of the stream or can't write any more.
        server.await.unwrap();
        if is_open {
            assert!(polls > 100, "each byte is a poll");
            return;
        }
    }
}

#[tokio::test]
async fn what_is_printed_holds_no_secrets() {
    let client = connect("ws://user:hunter2@a/").header("Authorization", "Bearer hunter2");
    assert!(!format!("{client:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_host_field_of_the_program_replaces_the_urls_host() {
    let (ours, mut theirs) = duplex(1 << 16);
    let client = connect("ws://address.example/")
        .header("Host", "name.example:81")
        .over(ours);
    let (websocket, head) = join!(client, greet(&mut theirs));
    assert_greeted(websocket).await;
    assert_eq!(head.field("Host"), Some("name.example:81"));
}

#[tokio::test]
async fn an_answer_in_tls_says_that_wss_is_meant() {
    // An alert, and the start of a ServerHello: a TLS server answers a plain request with one of the two.
    for first in ["\u{15}\u{3}\u{3}\0\u{2}\u{2}\n", "\u{16}\u{3}\u{3}"] {
        let (ours, mut theirs) = duplex(1 << 16);
        let client = connect("ws://tls.example/").over(ours);
        let (result, _) = join!(client, answer(&mut theirs, first));
        let error = result.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(error.to_string().contains("`wss:`"), "{error}");
    }
}

// Issue 13, C.21.
#[tokio::test(start_paused = true)]
async fn a_refusal_without_an_end_is_reported_soon_with_what_came() {
    for (fields, body) in [
        ("", "who are you?"),
        ("Content-Length: 1000\r\n", "who are you?"),
        ("Transfer-Encoding: chunked\r\n", "c\r\nwho are you?\r\n"),
    ] {
        let (ours, mut theirs) = duplex(1 << 16);
        let client = connect("ws://a.example/")
            .handshake_timeout(Duration::from_secs(3600))
            .over(ours);
        let refusal = format!("HTTP/1.1 401 Unauthorized\r\n{fields}\r\n{body}");
        let begun = Instant::now();
        let (result, _) = join!(client, answer(&mut theirs, &refusal));
        let error = result.err().unwrap();
        assert_eq!(error.rejection().unwrap().body, b"who are you?");
        assert!(
            error
                .request()
                .unwrap()
                .headers()
                .contains_key("sec-websocket-key")
        );
        // The clock is paused, and moves when no task can run.
        assert_eq!(begun.elapsed().as_secs(), 1, "{fields}");
    }
}

#[tokio::test]
async fn what_a_server_says_is_shown_without_commands() {
    let (ours, mut theirs) = duplex(1 << 16);
    let client = connect("ws://a.example/").redirects_max(1).over(ours);
    let mut server = async || {
        let head = greet(&mut theirs).await;
        theirs
            .write_all(b"\x88\x09\x0f\xa0a\n\x1b[2Jb")
            .await
            .unwrap();
        head
    };
    let (websocket, _) = join!(client, server());
    let mut websocket = websocket.unwrap();
    websocket.recv().await.unwrap();
    let _ = websocket.recv().await;
    let closed = websocket.close(CloseCode::NORMAL, "").await;
    assert_eq!(closed.reason, "a\n\u{1b}[2Jb");
    assert!(closed.to_string().ends_with(r"(a\n\u{1b}[2Jb)"), "{closed}");
}
