//! What one client address may take of the server.

mod support;

use support::Server;

/// Starts a server whose limits apply to every IPv4 address.
fn start(args: &[&str]) -> Server {
    let common = [
        "--listen",
        "127.0.0.1:0",
        "--address-exempt",
        "::1",
        "--api-key",
        "s3cret",
    ];
    Server::start(&[&common, args].concat())
}

fn ask(server: &Server, path: &str, key: &str) -> String {
    server.http(&format!("GET {path} HTTP/1.1\r\nX-API-Key: {key}\r\n\r\n"))
}

#[test]
fn an_address_that_tries_keys_is_answered_429_and_another_one_is_not() {
    let trusted = ["--trusted-proxies", "127.0.0.1"];
    let server = start(&[&["--address-wrong-keys-per-minute", "1"][..], &trusted].concat());
    let ask = |key: &str, address: &str| {
        let fields = format!("X-API-Key: {key}\r\nX-Forwarded-For: {address}");
        server.http(&format!("GET /api/presence HTTP/1.1\r\n{fields}\r\n\r\n"))
    };
    assert!(ask("wrong", "192.0.2.1").starts_with("HTTP/1.1 401 "));
    // The right one isn't looked at either, or trying would go on.
    for key in ["wrong", "s3cret"] {
        let answer = ask(key, "192.0.2.1");
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(
            answer.contains("\"code\":\"too_many_requests\""),
            "{answer}"
        );
        assert!(answer.contains("retry-after: "), "{answer}");
    }
    // The right key costs nothing.
    for _ in 0..3 {
        assert!(ask("s3cret", "192.0.2.2").starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn an_address_that_tries_tokens_of_the_chat_is_closed_and_then_answered_429() {
    let server = start(&[
        "--chat-token",
        "s3cret",
        "--address-wrong-keys-per-minute",
        "1",
    ]);
    let url = server.ws("/chat");
    let mut websocket = sockeye::connect(&*url).await.unwrap();
    let wrong = r#"{"url":"/chat/heart-beat","chat_token":"wrong"}"#;
    websocket.send(wrong).await.unwrap();
    let closed = loop {
        match websocket.recv().await {
            Ok(message) => assert!(message.is_some(), "not a normal end"),
            Err(error) => break error.closed().unwrap().code,
        }
    };
    assert_eq!(closed, sockeye::CloseCode::POLICY_VIOLATION);
    let refused = sockeye::connect(&*url).await.unwrap_err();
    assert_eq!(refused.status().unwrap(), 429);
}

#[test]
fn posts_of_an_address_are_counted_over_all_paths() {
    let server = start(&["--address-posts-per-minute", "1"]);
    let post = |path: &str| {
        server.http(&format!(
            "POST {path} HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    assert!(!post("/login/scan").starts_with("HTTP/1.1 429 "));
    for path in ["/login/confirm", "/nowhere"] {
        let answer = post(path);
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(answer.contains("retry-after: "), "{answer}");
    }
    assert!(ask(&server, "/login", "none").starts_with("HTTP/1.1 200 "));
}

#[test]
fn identities_that_are_made_for_an_address_are_counted_and_those_it_has_are_not() {
    let server = start(&["--address-identities-per-hour", "1"]);
    let path = "GET /socket/chat-uuid HTTP/1.1\r\n";
    let made = server.http(&format!("{path}\r\n"));
    assert!(made.starts_with("HTTP/1.1 200 "), "{made}");
    let (_, cookie) = made.split_once("set-cookie: ").unwrap();
    let cookie = cookie.split_once(';').unwrap().0;
    assert!(
        server
            .http(&format!("{path}\r\n"))
            .starts_with("HTTP/1.1 429 ")
    );
    let known = server.http(&format!("{path}Cookie: {cookie}\r\n\r\n"));
    assert!(known.starts_with("HTTP/1.1 200 "), "{known}");
}

#[test]
fn connections_of_an_address_have_a_rate_unless_the_limits_are_off_or_it_is_exempt() {
    let slow = ["--address-handshakes-per-second", "1"];
    let limited = start(&slow);
    for _ in 0..20 {
        assert!(ask(&limited, "/health/live", "none").starts_with("HTTP/1.1 200 "));
    }
    let is_refused = |_| ask(&limited, "/health/live", "none").starts_with("HTTP/1.1 429 ");
    assert!((0..10_000).any(is_refused));
    for args in [
        &["--address-limits", "off", "--address-exempt", "::1"][..],
        &["--address-exempt", "10.0.0.0/8,127.0.0.0/8"],
        &[],
    ] {
        let free = Server::start(&[&["--listen", "127.0.0.1:0"][..], &slow, args].concat());
        for _ in 0..60 {
            assert!(ask(&free, "/health/live", "none").starts_with("HTTP/1.1 200 "));
        }
    }
}
