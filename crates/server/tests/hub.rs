//! The hub behind a real server: WebSocket clients, and the API of the binary.

mod support;

use serde_json::{Value, json};
use sockeye::{CloseCode, Message, Server as WebSocketServer, WebSocket};
use sockeye_hub::{
    Disconnect, Node, NodeSettings, Publishing, UserFilter,
    namespace::{ChannelConfig, ChannelOptions, Namespaces},
    wire::{Command, ConnectRequest, Encoding, SubscribeRequest},
};
use sockeye_server::transport::{WebSocketSettings, websocket_route};
use support::Server;

/// Starts a node to which everybody may connect, and returns it with the URL of its WebSocket.
async fn start() -> (Node, String, sockeye::ServerHandle) {
    let options = ChannelOptions {
        history_size: 100,
        history_ttl: std::time::Duration::from_secs(60),
        force_recovery: true,
        ..ChannelOptions::default()
    };
    let namespaces = Namespaces::new(ChannelConfig {
        without_namespace: options,
        ..ChannelConfig::default()
    });
    let mut settings = NodeSettings::default();
    settings.insecure = true;
    let node = Node::builder(namespaces.unwrap())
        .settings(settings)
        .start();
    let route = websocket_route(&node, "/connection/websocket", WebSocketSettings::default());
    let server = WebSocketServer::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let url = format!("ws://{}/connection/websocket", server.local_addrs()[0]);
    (node, url, server)
}

async fn receive(websocket: &mut WebSocket) -> Value {
    let message = websocket.recv().await.unwrap().expect("a message");
    serde_json::from_slice(message.as_bytes()).unwrap()
}

async fn subscribed(url: &str, channel: &str) -> WebSocket {
    let mut websocket = sockeye::connect(url).await.unwrap();
    let frame = format!(
        "{}\n{}",
        json!({ "id": 1, "connect": {} }),
        json!({ "id": 2, "subscribe": { "channel": channel } })
    );
    websocket.send(frame).await.unwrap();
    assert_eq!(receive(&mut websocket).await["id"], json!(1));
    assert_eq!(receive(&mut websocket).await["id"], json!(2));
    websocket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_reaches_all_subscribers_in_order() {
    let (node, url, _server) = start().await;
    let mut subscribers = Vec::new();
    for _ in 0..20 {
        subscribers.push(subscribed(&url, "news").await);
    }
    for number in 0..50 {
        let data = number.to_string();
        node.publish("news", data, Publishing::default())
            .await
            .unwrap();
    }
    for subscriber in &mut subscribers {
        for number in 0..50 {
            let push = receive(subscriber).await;
            assert_eq!(push["push"]["channel"], json!("news"));
            assert_eq!(push["push"]["pub"]["data"], json!(number));
            assert_eq!(push["push"]["pub"]["offset"], json!(number + 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_all_that_it_asks_for_in_one_frame_and_is_no_slow_reader() {
    let (node, url, _server) = start().await;
    for channel in ["a", "b"] {
        for _ in 0..12 {
            let data = json!("x".repeat(60_000)).to_string();
            let published = node.publish(channel, data, Publishing::default());
            published.await.unwrap();
        }
    }
    let mut client = sockeye::connect(&url).await.unwrap();
    // Each answer has 720 KB, and 1 MiB may wait for a client.
    let recover = |channel: &str| json!({ "channel": channel, "recover": true });
    let commands = [
        json!({ "id": 1, "connect": {} }),
        json!({ "id": 2, "subscribe": recover("a") }),
        json!({ "id": 3, "subscribe": recover("b") }),
        json!({ "id": 4, "history": { "channel": "a", "limit": -1 } }),
    ];
    let frame = commands.map(|command| command.to_string()).join("\n");
    client.send(frame).await.unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..4 {
        let reply = receive(&mut client).await;
        let answer = [&reply["subscribe"], &reply["history"]];
        let publications =
            answer.map(|answer| answer["publications"].as_array().map_or(0, Vec::len));
        counts.insert(reply["id"].as_u64(), publications.iter().sum::<usize>());
    }
    let expected = [(1, 0), (2, 12), (3, 12), (4, 12)];
    assert_eq!(counts, expected.map(|(id, count)| (Some(id), count)).into());
    // It goes on.
    node.publish("b", "1", Publishing::default()).await.unwrap();
    assert_eq!(receive(&mut client).await["push"]["pub"]["data"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_frame_has_the_code_that_the_application_gives_but_3000_is_not_told() {
    let (node, url, _server) = start().await;
    // 1005 is a Close frame without a code.
    for (code, received) in [(3000, 1005), (3003, 3003), (4000, 4000)] {
        let mut client = subscribed(&url, "news").await;
        let ending = Disconnect::of_application(code, "as you wish").unwrap();
        node.disconnect("", &UserFilter::default(), &ending);
        // Codes that a peer didn't ask for are errors.
        assert!(!matches!(client.recv().await, Ok(Some(_))), "{code}");
        let closed = client.closed().expect("it has ended");
        assert_eq!(closed.received, Some(CloseCode::new(received)), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_encoding_is_that_of_the_subprotocol_or_the_query() {
    let (node, url, _server) = start().await;
    let by_subprotocol = sockeye::connect(&url).subprotocols(["centrifuge-protobuf"]);
    let by_query = format!("{url}?cf_protocol=protobuf");
    let mut clients = [
        by_subprotocol.await.unwrap(),
        sockeye::connect(&by_query).await.unwrap(),
    ];
    assert_eq!(clients[0].subprotocol(), Some("centrifuge-protobuf"));
    let commands = [
        Command {
            id: 1,
            connect: Some(ConnectRequest::default()),
            ..Command::default()
        },
        Command {
            id: 2,
            subscribe: Some(SubscribeRequest {
                channel: "news".to_owned(),
                ..SubscribeRequest::default()
            }),
            ..Command::default()
        },
    ];
    let mut frame = Vec::new();
    for command in &commands {
        Encoding::Protobuf
            .encode_command(command, &mut frame)
            .unwrap();
    }
    for client in &mut clients {
        client.send(&frame[..]).await.unwrap();
        for _ in 0..2 {
            let message = client.recv().await.unwrap().expect("a message");
            assert!(matches!(message, Message::Binary(_)));
        }
    }
    node.publish("news", "{}", Publishing::default())
        .await
        .unwrap();
    for client in &mut clients {
        let message = client.recv().await.unwrap().expect("a message");
        let frame = message.as_bytes().to_vec().into();
        let mut replies = Encoding::Protobuf.decode_replies(frame);
        let push = replies.next().unwrap().unwrap().push.unwrap();
        assert_eq!(&push.r#pub.unwrap().data[..], b"{}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_has_a_code_that_clients_know() {
    let (node, url, _server) = start().await;
    let mut websocket = sockeye::connect(&url).await.unwrap();
    websocket.send("not a command").await.unwrap();
    let ended = websocket.recv().await;
    assert!(ended.is_err() || ended.unwrap().is_none());
    let closed = websocket.closed().expect("it has ended");
    assert_eq!(closed.received.map(u16::from), Some(3501));
    let mut websocket = sockeye::connect(&url).await.unwrap();
    websocket.send("x".repeat(65 << 10)).await.unwrap();
    let _ = websocket.recv().await;
    let closed = websocket.closed().expect("it has ended");
    assert_eq!(closed.received.map(u16::from), Some(1009));
    assert_eq!(node.info().num_clients, 0);
}

/// HUB 4, scenario 36.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_clients_that_they_should_come_back() {
    let (_node, url, server) = start().await;
    let mut websocket = subscribed(&url, "news").await;
    let drained = tokio::spawn(async move { server.drain(sockeye::Drain::default()).await });
    let _ = websocket.recv().await;
    let closed = websocket.closed().expect("it has ended");
    assert_eq!(closed.received.map(u16::from), Some(3001));
    assert_eq!(drained.await.unwrap().closed, 1);
}

/// Sends an order, and returns the status with the answer.
fn order(server: &Server, path: &str, body: &str) -> (String, Value) {
    let answer = server.http(&format!(
        "POST {path} HTTP/1.1\r\nX-API-Key: s3cret\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn orders_have_the_answers_of_the_server_api() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--api-key", "s3cret"]);
    let ok = |result: Value| ("200".to_owned(), json!({ "result": result }));
    let error = |code: u32, message: &str| {
        let error = json!({ "error": { "code": code, "message": message } });
        ("200".to_owned(), error)
    };
    // Without a history a publication has no position.
    let publish = r#"{"channel":"news","data":{"a":1}}"#;
    assert_eq!(order(&server, "/api/publish", publish), ok(json!({})));
    let responses = json!({ "responses": [{ "result": {} }, { "error": { "code": 102, "message": "unknown channel" } }] });
    let broadcast = r#"{"channels":["news","no:news"],"data":1}"#;
    assert_eq!(order(&server, "/api/broadcast", broadcast), ok(responses));
    let empty = r#"{"channel":"","data":1}"#;
    assert_eq!(
        order(&server, "/api/publish", empty),
        error(107, "bad request")
    );
    let none = r#"{"channel":"news"}"#;
    assert_eq!(
        order(&server, "/api/publish", none),
        error(107, "bad request")
    );
    let unknown = r#"{"channel":"no:news","data":1}"#;
    assert_eq!(
        order(&server, "/api/publish", unknown),
        error(102, "unknown channel")
    );
    assert_eq!(
        order(&server, "/api/presence", none),
        error(108, "not available")
    );
    assert_eq!(
        order(&server, "/api/history", none),
        error(108, "not available")
    );
    assert_eq!(
        order(&server, "/api/channels", "{}"),
        ok(json!({ "channels": {} }))
    );
    let nobody = r#"{"user":"nobody"}"#;
    assert_eq!(order(&server, "/api/disconnect", nobody), ok(json!({})));
    let code = r#"{"user":"nobody","disconnect":{"code":CODE,"reason":"as you wish"}}"#;
    for (number, answer) in [
        ("2999", error(107, "bad request")),
        ("3000", ok(json!({}))),
        ("4999", ok(json!({}))),
        ("5000", error(107, "bad request")),
    ] {
        let code = code.replace("CODE", number);
        assert_eq!(order(&server, "/api/disconnect", &code), answer);
    }
    // Without a user the anonymous clients are meant.
    assert_eq!(order(&server, "/api/disconnect", "{}"), ok(json!({})));
    assert_eq!(order(&server, "/api/unsubscribe", nobody), ok(json!({})));
    let (status, info) = order(&server, "/api/info", "{}");
    assert_eq!(status, "200");
    assert_eq!(info["result"]["nodes"][0]["num_clients"], json!(0));
    assert_eq!(order(&server, "/api/publish", "{").0, "400");
    assert_eq!(order(&server, "/api/nothing", "{}").0, "404");
}

#[test]
fn a_batch_has_a_reply_for_each_command() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--api-key", "s3cret"]);
    let batch = r#"{"commands":[{"publish":{"channel":"a","data":1}},null,{"nothing":{}},{"batch":{}}],"parallel":true}"#;
    let (status, answer) = order(&server, "/api/batch", batch);
    let replies = &answer["replies"];
    assert_eq!(
        (status.as_str(), &replies[0]),
        ("200", &json!({ "publish": {} }))
    );
    assert_eq!(replies[1]["error"]["code"], json!(107));
    assert_eq!(replies[2]["error"]["code"], json!(104));
    assert_eq!(replies[3]["error"]["code"], json!(104));
}

#[test]
fn an_older_back_end_sends_lines() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--api-key", "s3cret"]);
    let lines = "{\"method\":\"publish\",\"params\":{\"channel\":\"a\",\"data\":1}}\n{\"method\":\"history\",\"params\":{\"channel\":\"a\"}}";
    let answer = server.http(&format!(
        "POST /api HTTP/1.1\r\nAuthorization: apikey s3cret\r\nContent-Length: {}\r\n\r\n{lines}",
        lines.len()
    ));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    // As npm `cent.js` reads them: an end of the last line would be one reply more.
    let replies: Vec<Value> = body
        .split('\n')
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(replies[0], json!({ "result": {} }));
    assert_eq!(replies[1]["error"]["code"], json!(108));
}

#[test]
fn an_error_can_be_told_by_the_status() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--api-key", "s3cret"]);
    for (path, body, status) in [
        ("/api/publish", r#"{"channel":"no:news","data":1}"#, "404"),
        ("/api/publish", r#"{"channel":""}"#, "400"),
        ("/api/presence", r#"{"channel":"news"}"#, "400"),
        ("/api/publish", r#"{"channel":"news","data":1}"#, "200"),
    ] {
        let answer = server.http(&format!(
            "POST {path} HTTP/1.1\r\nX-API-Key: s3cret\r\nX-Centrifugo-Error-Mode: transport\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}

mod without_websocket {
    //! The same protocol over HTTP.

    use std::{
        io::{BufRead, BufReader, Read as _, Write as _},
        net::TcpStream,
    };

    use sockeye_server::transport::{HttpTransportSettings, HttpTransports};

    use super::*;

    async fn start_http() -> (Node, HttpTransports, String, sockeye::ServerHandle) {
        let namespaces = Namespaces::new(ChannelConfig::default()).unwrap();
        let mut settings = NodeSettings::default();
        settings.insecure = true;
        let node = Node::builder(namespaces).settings(settings).start();
        let transports = HttpTransports::new(&node, HttpTransportSettings::default());
        let server = WebSocketServer::bind("127.0.0.1:0")
            .fallback(transports.router())
            .start()
            .await
            .unwrap();
        let addr = server.local_addrs()[0].to_string();
        (node, transports, addr, server)
    }

    /// Sends a request, and returns the head of the answer and what follows.
    fn request(addr: &str, request: &str) -> (String, BufReader<TcpStream>) {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        (head, reader)
    }

    fn post(addr: &str, path: &str, body: &str) -> (String, BufReader<TcpStream>) {
        request(
            addr,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    }

    /// Reads chunks until one holds a JSON object, and returns that.
    fn object(reader: &mut BufReader<TcpStream>) -> Value {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            assert_ne!(size, 0, "the body has ended");
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            let text = String::from_utf8(chunk).unwrap();
            let text = text.trim().trim_start_matches("data: ");
            if !text.is_empty() {
                return serde_json::from_str(text).unwrap();
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn commands_come_by_requests_and_answers_by_one_response() {
        let (node, transports, addr, _server) = start_http().await;
        let connect = r#"{"id":1,"connect":{}}"#;
        for path in ["/connection/http_stream", "/connection/sse"] {
            let (head, mut body) = post(&addr, path, connect);
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(head.contains("x-accel-buffering: no\r\n"), "{head}");
            let connected = object(&mut body)["connect"].take();
            let session = connected["session"].as_str().unwrap();
            assert_eq!(connected["node"], json!(node.id()));
            let emulate = |data: &str| {
                let request = json!({ "session": session, "node": node.id(), "data": data });
                post(&addr, "/emulation", &request.to_string()).0
            };
            let head = emulate(r#"{"id":2,"subscribe":{"channel":"news"}}"#);
            assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
            assert_eq!(object(&mut body)["id"], json!(2));
            node.publish("news", "7", Publishing::default())
                .await
                .unwrap();
            assert_eq!(object(&mut body)["push"]["pub"]["data"], json!(7));
            drop(body);
            // The server notices that the reader has gone when it has something to send.
            while node.info().num_clients > 0 {
                node.publish("news", "8", Publishing::default())
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
            }
            let head = emulate(r#"{"id":3,"rpc":{}}"#);
            assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        }
        transports.shut_down();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_event_source_needs_no_command() {
        let (node, transports, addr, _server) = start_http().await;
        let connect = "%7B%22name%22%3A%22curl%22%7D";
        let (head, mut body) = request(
            &addr,
            &format!(
                "GET /connection/uni_sse?cf_connect={connect} HTTP/1.1\r\nHost: {addr}\r\n\r\n"
            ),
        );
        assert!(
            head.contains("content-type: text/event-stream\r\n"),
            "{head}"
        );
        assert!(object(&mut body)["connect"]["client"].is_string());
        assert_eq!(node.info().num_clients, 1);
        transports.shut_down();
        let goodbye = object(&mut body);
        assert_eq!(goodbye["disconnect"]["code"], json!(3001));
    }

    /// HUB 4, scenario 17: a session that is closed has no commands.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_served_has_its_status() {
        let (_node, _transports, addr, _server) = start_http().await;
        let large = "x".repeat((64 << 10) + 1);
        let (head, _) = post(&addr, "/connection/http_stream", &large);
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        let (head, _) = post(&addr, "/emulation", "{");
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        let (head, _) = post(&addr, "/emulation", r#"{"session":"none","data":"{}"}"#);
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        let (head, _) = request(
            &addr,
            &format!("GET /connection/sse HTTP/1.1\r\nHost: {addr}\r\n\r\n"),
        );
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        let foreign = format!(
            "POST /connection/sse HTTP/1.1\r\nHost: {addr}\r\nOrigin: https://evil.example\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let (head, _) = request(&addr, &foreign);
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        let own_first = format!("Origin: http://{addr}\r\nOrigin: https://evil.example\r\n");
        for start in ["POST /emulation", "OPTIONS /emulation"] {
            let two = format!(
                "{start} HTTP/1.1\r\nHost: {addr}\r\n{own_first}Content-Length: 2\r\n\r\n{{}}"
            );
            let (head, _) = request(&addr, &two);
            assert!(head.starts_with("HTTP/1.1 403 "), "{start}: {head}");
        }
        let own = format!(
            "OPTIONS /emulation HTTP/1.1\r\nHost: {addr}\r\nOrigin: http://{addr}\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
        );
        let (head, _) = request(&addr, &own);
        assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
        let allowed = format!("access-control-allow-origin: http://{addr}\r\n");
        assert!(head.contains(&allowed), "{head}");
        assert!(
            head.contains("access-control-allow-headers: content-type\r\n"),
            "{head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_client_receives_bare_pushes() {
    let namespaces = Namespaces::new(ChannelConfig::default()).unwrap();
    let mut settings = NodeSettings::default();
    settings.insecure = true;
    let node = Node::builder(namespaces)
        .settings(settings)
        .on_connect(|_| async {
            Ok(Some(sockeye_hub::Credentials {
                user: "ann".to_owned(),
                subscriptions: vec![("news".to_owned(), Default::default())],
                ..Default::default()
            }))
        })
        .start();
    let route = sockeye_server::transport::uni_websocket_route(
        &node,
        "/connection/uni_websocket",
        WebSocketSettings::default(),
    );
    let server = WebSocketServer::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let url = format!("ws://{}/connection/uni_websocket", server.local_addrs()[0]);
    let mut websocket = sockeye::connect(&url).await.unwrap();
    websocket.send("{}").await.unwrap();
    let connected = receive(&mut websocket).await;
    assert!(
        connected["connect"]["subs"]["news"].is_object(),
        "{connected}"
    );
    node.publish("news", "1", Publishing::default())
        .await
        .unwrap();
    assert_eq!(
        receive(&mut websocket).await,
        json!({ "channel": "news", "pub": { "data": 1 } })
    );
    assert!(connected["connect"]["session"].is_string(), "{connected}");
    let mut other = sockeye::connect(&url).await.unwrap();
    other.send("hello").await.unwrap();
    let _ = other.recv().await;
    let closed = other.closed().expect("it has ended");
    assert_eq!(closed.received.map(u16::from), Some(3501));

    // The query can have the connect request, and a push tells the end.
    let url = format!("{url}?cf_connect=%7B%7D");
    let mut other = sockeye::connect(&url).await.unwrap();
    let connected = receive(&mut other).await;
    assert!(connected["connect"]["client"].is_string(), "{connected}");
    node.disconnect_all(&Disconnect::FORCE_DISCONNECT);
    let push = json!({ "disconnect": { "code": 3503, "reason": "force disconnect" } });
    assert_eq!(receive(&mut other).await, push);
}

#[test]
fn transports_can_be_switched_off_and_moved_and_have_limits_of_their_own() {
    let configuration = r#"
        dev = true
        [websocket]
        disabled = true
        [uni_websocket]
        handler_prefix = "/receive"
        message_size_limit = 100
        [sse]
        enabled = false
        [http_stream]
        handler_prefix = "/stream"
        max_request_body_size = 100
        [uni_sse]
        enabled = false
    "#;
    let files = [("sockeye.toml", configuration)];
    let server = Server::start_with(&["serve", "--listen", "127.0.0.1:0"], &files);
    let status = |request: String| {
        let answer = server.http(&request);
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let get = |path: &str| status(format!("GET {path} HTTP/1.1\r\n\r\n"));
    let post = |path: &str, body: &str| {
        let length = body.len();
        status(format!("POST {path} HTTP/1.1\r\n\r\n").replace(
            "\r\n\r\n",
            &format!("\r\nContent-Length: {length}\r\n\r\n{body}"),
        ))
    };
    for gone in [
        "/connection/sse",
        "/connection/uni_sse",
        "/connection/http_stream",
    ] {
        assert_eq!(get(gone), "404", "{gone}");
    }
    assert_eq!(post("/stream", &"x".repeat(101)), "413");
    assert_eq!(
        post("/emulation", r#"{"session":"none","data":"{}"}"#),
        "404"
    );
    support::talk(async {
        for gone in ["/connection/websocket", "/connection/uni_websocket"] {
            assert!(sockeye::connect(server.ws(gone)).await.is_err(), "{gone}");
        }
        let mut websocket = sockeye::connect(server.ws("/receive")).await.unwrap();
        websocket.send("{}").await.unwrap();
        let connected = receive(&mut websocket).await;
        assert!(connected["connect"]["client"].is_string(), "{connected}");
        websocket.send("x".repeat(101)).await.unwrap();
        let _ = websocket.recv().await;
        let closed = websocket.closed().expect("it has ended");
        assert_eq!(closed.received.map(u16::from), Some(1009));
    });
}

#[test]
fn a_slow_reader_of_the_newest_alone_stays_and_gets_it() {
    let configuration = r#"
        [http_api]
        key = "s3cret"
        [client]
        insecure = true
        queue_max_size = "64KiB"
        [channel.without_namespace]
        slow_reader = "latest-only"
    "#;
    let files = [("sockeye.toml", configuration)];
    let server = Server::start_with(&["serve", "--listen", "127.0.0.1:0"], &files);
    support::talk(async {
        let url = server.ws("/connection/websocket");
        let mut slow = subscribed(&url, "price").await;
        // More than the kernel and the queue hold, while it reads nothing.
        let padding = "x".repeat(30 << 10);
        let last = 1_000;
        for number in 1..=last {
            let body =
                json!({ "channel": "price", "data": { "number": number, "padding": padding } });
            let body = body.to_string();
            let length = body.len();
            let head = format!("\r\nX-API-Key: s3cret\r\nContent-Length: {length}\r\n\r\n");
            let request = format!("POST /api/publish HTTP/1.1{head}{body}");
            let answer = server.http(&request);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        let mut received = Vec::new();
        while received.last() != Some(&json!(last)) {
            let push = receive(&mut slow).await;
            received.push(push["push"]["pub"]["data"]["number"].clone());
        }
        assert!(received.len() < last, "it lost some");
    });
}
