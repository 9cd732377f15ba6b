//! What the configuration of the hub does to its clients.

mod support;

use serde_json::{Value, json};
use sockeye::WebSocket;
use support::{Server, talk};

/// Sends commands in one message.
async fn send(websocket: &mut WebSocket, commands: &[Value]) {
    let lines: Vec<_> = commands.iter().map(Value::to_string).collect();
    websocket.send(lines.join("\n")).await.unwrap();
}

/// Returns the replies of the next message.
async fn replies(websocket: &mut WebSocket) -> Vec<Value> {
    let message = websocket.recv().await.unwrap().expect("a message");
    let text = str::from_utf8(message.as_bytes()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns the reply to the command with this id.
async fn reply(websocket: &mut WebSocket, id: u32) -> Value {
    loop {
        let replies = replies(websocket).await;
        if let Some(reply) = replies.into_iter().find(|reply| reply["id"] == json!(id)) {
            return reply;
        }
    }
}

#[test]
fn in_development_no_token_is_needed_and_that_is_said() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--dev"]);
    talk(async {
        let mut websocket = sockeye::connect(server.ws("/connection/websocket"))
            .await
            .unwrap();
        send(
            &mut websocket,
            &[
                json!({"id": 1, "connect": {}}),
                json!({"id": 2, "subscribe": {"channel": "news"}}),
                json!({"id": 3, "publish": {"channel": "news", "data": {"a": 1}}}),
            ],
        )
        .await;
        assert!(reply(&mut websocket, 3).await["error"].is_null());
        send(
            &mut websocket,
            &[json!({"id": 4, "presence": {"channel": "news"}})],
        )
        .await;
        let presence = reply(&mut websocket, 4).await;
        let here = presence["presence"]["presence"].as_object();
        assert_eq!(here.map(serde_json::Map::len), Some(1), "{presence}");
        send(
            &mut websocket,
            &[json!({"id": 5, "history": {"channel": "news", "limit": 10}})],
        )
        .await;
        let history = reply(&mut websocket, 5).await;
        let publications = history["history"]["publications"].as_array();
        assert_eq!(publications.map(Vec::len), Some(1), "{history}");
    });
    let banner = server.banner.clone();
    server.signal("TERM");
    let (_, log) = server.wait();
    // Once, for whoever reads both.
    let said = [banner, log].concat();
    let warning = "--dev: everybody can connect, subscribe, publish";
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    assert!(!said.contains("nobody can connect"), "{said}");
}

#[test]
fn otherwise_a_client_without_a_token_is_refused() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let banner = &server.banner;
    assert!(
        banner.contains(
            "  nobody can connect to the hub yet: set client.token.hmac_secret_key, or try it with --dev\n"
        ),
        "{banner}"
    );
    talk(async {
        let mut websocket = sockeye::connect(server.ws("/connection/websocket"))
            .await
            .unwrap();
        send(&mut websocket, &[json!({"id": 1, "connect": {}})]).await;
        let _ = websocket.recv().await;
        let closed = websocket.closed().expect("it has ended");
        assert_eq!(closed.received.map(u16::from), Some(3501));
    });
}

#[test]
fn the_file_has_the_secret_and_the_rights_of_channels() {
    let file = r#"
        listen = ["127.0.0.1:0"]
        [client.token]
        hmac_secret_key = "secret"
        [websocket]
        handler_prefix = "/hub"
        [[channel.namespaces]]
        name = "chat"
        allow_subscribe_for_client = true
        [[channel.namespaces]]
        name = "closed"
    "#;
    let server = Server::start_with(&[], &[("sockeye.toml", file)]);
    assert!(
        server.banner.contains("  configuration: sockeye.toml\n"),
        "{}",
        server.banner
    );
    assert!(!server.banner.contains("nobody can connect"));
    let token = sockeye_hub::token::sign_hs256(b"secret", br#"{"sub":"ann"}"#).unwrap();
    talk(async {
        let mut websocket = sockeye::connect(server.ws("/hub")).await.unwrap();
        send(
            &mut websocket,
            &[json!({"id": 1, "connect": {"token": token}})],
        )
        .await;
        assert!(reply(&mut websocket, 1).await["error"].is_null());
        for (id, channel, code) in [
            (2, "chat:room", None),
            (3, "closed:room", Some(103)),
            (4, "unknown:room", Some(102)),
        ] {
            send(
                &mut websocket,
                &[json!({"id": id, "subscribe": {"channel": channel}})],
            )
            .await;
            let reply = reply(&mut websocket, id).await;
            assert_eq!(reply["error"]["code"].as_u64(), code, "{reply}");
        }
        // A token of another secret is no token.
        let forged = sockeye_hub::token::sign_hs256(b"other", br#"{"sub":"ann"}"#).unwrap();
        let mut websocket = sockeye::connect(server.ws("/hub")).await.unwrap();
        send(
            &mut websocket,
            &[json!({"id": 1, "connect": {"token": forged}})],
        )
        .await;
        let _ = websocket.recv().await;
        let closed = websocket.closed().expect("it has ended");
        assert_eq!(closed.received.map(u16::from), Some(3500));
    });
    server.signal("TERM");
    let (_, log) = server.wait();
    let warning = "client.token.hmac_secret_key: 6 bytes can be guessed; take 32 ";
    assert!(log.contains(warning), "{log}");
    for expected in [
        r#"reason=invalid token: the signature is wrong keys=client.token.hmac_secret_key and the other keys"#,
        r#"command="subscribe" namespace="closed" missing="allow_subscribe_for_client""#,
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert!(!log.contains(&token), "{log}");
}

/// Sends `frame` to a server that lets nobody in, until the hub ends it.
async fn be_refused(server: &Server, frame: &str) {
    let mut websocket = sockeye::connect(server.ws("/connection/websocket"))
        .await
        .unwrap();
    websocket.send(frame).await.unwrap();
    while let Ok(Some(_)) = websocket.recv().await {}
    let closed = websocket.closed().expect("it has ended");
    assert_eq!(closed.received.map(u16::from), Some(3501), "{frame}");
}

#[test]
fn the_log_says_why_clients_are_refused_and_nothing_of_what_they_sent() {
    let log_of = |frames: &[&str]| {
        let server = Server::start(&["--listen", "127.0.0.1:0"]);
        talk(async {
            for frame in frames {
                be_refused(&server, frame).await;
            }
        });
        server.signal("TERM");
        server.wait().1
    };
    let log = log_of(&[
        r#"{"id": 1, "connect": {"data": "s3cret"}}"#,
        "s3cret, in plain text",
    ]);
    for expected in [
        r#"a client without a token was refused suppressed=0 reason="client.allow_anonymous_connect_without_token is off, and no connect hook decides""#,
        r#"its frame is not understood suppressed=0 encoding="centrifuge-json" reason="it holds what is not a command""#,
    ] {
        assert!(log.contains(expected), "{log}");
    }
    assert!(!log.contains("s3cret"), "{log}");
    let log = log_of(&[
        r#"{"id": 1, "dance": {"how": "s3cret"}}"#,
        r#"{"id": 1, "publish": {"channel": "a", "data": "s3cret"}}"#,
    ]);
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("a client was ended with 3501"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains(r#"command="unknown""#), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn clients_that_do_not_connect_are_told_in_the_log_in_one_line() {
    let server = Server::start(&[
        "--listen",
        "127.0.0.1:0",
        "--client-stale-close-delay",
        "1s",
    ]);
    talk(async {
        let opened = [(); 3].map(|()| sockeye::connect(server.ws("/connection/websocket")));
        for websocket in opened {
            let mut websocket = websocket.await.unwrap();
            while let Ok(Some(_)) = websocket.recv().await {}
            let closed = websocket.closed().expect("it has ended");
            assert_eq!(closed.received.map(u16::from), Some(3502));
        }
    });
    server.signal("TERM");
    let log = server.wait().1;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("3502")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    let expected = "a client was ended with 3502: it has not sent its connect command suppressed=0";
    assert!(lines[0].contains(expected), "{log}");
    let expected = r#"transport="websocket" waited_max_ms=1000"#;
    assert!(lines[0].contains(expected), "{log}");
}

#[test]
fn an_order_with_a_misspelt_key_is_told_in_the_log_at_debug() {
    let server = Server::start(&[
        "--listen",
        "127.0.0.1:0",
        "--http-api-insecure",
        "on",
        "--log-filter",
        "sockeye_server=debug",
    ]);
    let post = |order: &str, body: &str| {
        let length = body.len();
        server.http(&format!(
            "POST /api/{order} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    for body in [r#"{"chanel": "a", "data": 1}"#, r#"{"channel": "a"}"#] {
        let answer = post("publish", body);
        assert!(answer.contains(r#""code":107"#), "{answer}");
    }
    // Its parameters are read in two parts, none of which has all keys.
    post("subscribe", r#"{"user": "ann", "channel": "a"}"#);
    server.signal("TERM");
    let (_, log) = server.wait();
    let misspelt = r#"an order has keys that mean nothing method="publish" keys="chanel (did you mean channel?)""#;
    assert!(log.contains(misspelt), "{log}");
    assert_eq!(log.matches("keys that mean nothing").count(), 1, "{log}");
    assert!(log.contains("neither data nor b64data"), "{log}");
}

#[test]
fn an_api_without_a_key_is_asked_for_and_that_is_said() {
    let order = "POST /api/info HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    assert!(server.http(order).starts_with("HTTP/1.1 401 "));
    let server = Server::start(&["--listen", "127.0.0.1:0", "--http-api-insecure", "on"]);
    let answer = server.http(order);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let banner = &server.banner;
    assert!(!banner.contains("key for /api"), "{banner}");
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(
        log.contains("http_api.insecure: everybody can use /api"),
        "{log}"
    );
}
