//! Two thousand clients of the hub that lose their connections at once, and hostile ones: the others don't notice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sockeye::{Message, WebSocket};
use sockeye_checks::{Server, allow_open_files};
use sockeye_hub::token::sign_hs256;
use tokio::time::timeout;

const CLIENTS: usize = 2_000;
const SECRET: &str = "a secret that only the tests know";

/// Publications before the clients are gone, and while they are.
const SEEN: u64 = 5;
const MISSED: u64 = 20;

/// Only a failure reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

fn start() -> Option<Server> {
    allow_open_files(4 * CLIENTS as u64 + 800);
    Server::start(&[
        "--client-token-hmac-secret-key",
        SECRET,
        "--channel-without-namespace-history-size",
        "100",
        "--channel-without-namespace-history-ttl",
        "300s",
        "--channel-without-namespace-force-recovery=on",
        "--channel-without-namespace-allow-subscribe-for-client=on",
        "--channel-without-namespace-allow-publish-for-client=on",
        // All of them come from one address.
        "--address-handshakes-per-second",
        "100000",
    ])
}

/// A client of the hub that speaks JSON by hand.
struct Client {
    websocket: WebSocket,
    next_id: u64,
}

impl Client {
    async fn connect(url: &str, user: usize) -> Self {
        let claims = json!({ "sub": format!("user{user}") }).to_string();
        let token = sign_hs256(SECRET.as_bytes(), claims.as_bytes()).expect("a token");
        let websocket = sockeye::connect(url).await.expect("a connection");
        let mut client = Self {
            websocket,
            next_id: 1,
        };
        let reply = client.call("connect", json!({ "token": token })).await;
        assert!(reply["connect"].is_object(), "{reply}");
        client
    }

    /// Sends a command and returns its reply.
    async fn call(&mut self, kind: &str, request: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let command = json!({ "id": id, kind: request }).to_string();
        self.websocket.send(command).await.expect("it is sent");
        loop {
            for object in self.receive().await {
                if object["id"] == id {
                    return object;
                }
            }
        }
    }

    /// Returns the objects of the next frame, and answers pings.
    async fn receive(&mut self) -> Vec<Value> {
        let received = timeout(PATIENCE, self.websocket.recv()).await;
        let message = received.expect("in time").expect("a connection");
        let message = message.expect("a message");
        let text = message.as_text().expect("JSON is text").to_owned();
        if text == "{}" {
            self.websocket.send("{}").await.expect("it is sent");
            return Vec::new();
        }
        let objects = text.lines();
        objects
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

/// Connects a client and subscribes it from where it was: it must be given all that it has missed.
async fn come_back(url: String, number: usize, epoch: String) -> Client {
    let mut client = Client::connect(&url, number).await;
    let request = json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": SEEN });
    let reply = client.call("subscribe", request).await;
    let subscribed = &reply["subscribe"];
    assert_eq!(subscribed["recovered"], json!(true), "{reply}");
    let missed = subscribed["publications"].as_array().expect("publications");
    let data: Vec<u64> = missed
        .iter()
        .map(|publication| publication["data"].as_u64().expect("a number"))
        .collect();
    assert_eq!(data, (SEEN + 1..=SEEN + MISSED).collect::<Vec<_>>());
    client
}

/// Sends a message to the echo and waits for it, again and again. Returns the longest wait when `stop` is set.
async fn bystander(url: String, stop: Arc<AtomicBool>, echoed: Arc<AtomicU64>) -> Duration {
    let mut websocket = sockeye::connect(url).await.expect("a connection");
    let mut longest = Duration::ZERO;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let sent = Instant::now();
        websocket
            .send(number.to_string())
            .await
            .expect("it is sent");
        let echo = timeout(PATIENCE, websocket.recv()).await.expect("in time");
        let echo = echo.expect("a connection").expect("a message");
        assert_eq!(echo.as_text(), Some(number.to_string().as_str()));
        longest = longest.max(sent.elapsed());
        echoed.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_with_tokens_that_come_back_at_once_recover_exactly() {
    let Some(server) = start() else { return };
    let url = server.url("/connection/websocket");
    let mut clients = Vec::with_capacity(CLIENTS);
    let mut epoch = String::new();
    for number in 0..CLIENTS {
        let mut client = Client::connect(&url, number).await;
        let reply = client.call("subscribe", json!({ "channel": "news" })).await;
        reply["subscribe"]["epoch"]
            .as_str()
            .expect("an epoch")
            .clone_into(&mut epoch);
        clients.push(client);
    }
    let mut publisher = Client::connect(&url, CLIENTS).await;
    let mut published = 0;
    let mut publish = async |publisher: &mut Client, count: u64| {
        for _ in 0..count {
            published += 1;
            let request = json!({ "channel": "news", "data": published });
            let reply = publisher.call("publish", request).await;
            assert!(reply["publish"].is_object(), "{reply}");
        }
    };
    publish(&mut publisher, SEEN).await;
    // All are gone at once.
    drop(clients);
    publish(&mut publisher, MISSED).await;

    let (stop, echoed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let echo = bystander(server.url("/echo"), Arc::clone(&stop), Arc::clone(&echoed));
    let echo = tokio::spawn(echo);
    let began = Instant::now();
    let returned: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(come_back(url.clone(), number, epoch.clone())))
        .collect();
    let mut clients = Vec::with_capacity(CLIENTS);
    for client in returned {
        clients.push(client.await.expect("it has recovered"));
    }
    let back = began.elapsed();
    // What is published now reaches each of them once.
    publish(&mut publisher, 1).await;
    for client in &mut clients {
        let next = loop {
            if let Some(object) = client.receive().await.into_iter().next() {
                break object;
            }
        };
        assert_eq!(next["push"]["pub"]["offset"], json!(SEEN + MISSED + 1));
    }
    stop.store(true, Ordering::Relaxed);
    let longest = echo.await.expect("the echo was never disturbed");
    let echoed = echoed.load(Ordering::Relaxed);
    println!("back within {back:?}; {echoed} echoes meanwhile, the longest took {longest:?}");
    assert!(echoed > 0);
}

/// Bytes. What is measured is some 1,000 in a release build; the tables cost more or less of it, as they are full or not.
const IDLE_CLIENT_BYTES_MAX: usize = 1_200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_client_with_one_subscription_takes_about_1_kib() {
    let Some(mut server) = start() else { return };
    let url = server.url("/connection/websocket");
    let mut clients = Vec::new();
    let mut before = 0;
    // The first ones make the server allocate what is there once.
    for number in 0..CLIENTS + 200 {
        if number == 200 {
            before = server.process().private_memory_bytes();
        }
        let mut client = Client::connect(&url, number).await;
        client.call("subscribe", json!({ "channel": "news" })).await;
        clients.push(client);
    }
    let bytes = (server.process().private_memory_bytes() - before) / CLIENTS;
    println!("{bytes} bytes for each client");
    assert!((500..IDLE_CLIENT_BYTES_MAX).contains(&bytes), "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_frames_end_their_connections_and_nobody_else_notices() {
    let Some(server) = start() else { return };
    let url = server.url("/connection/websocket");
    let mut subscriber = Client::connect(&url, 1).await;
    subscriber
        .call("subscribe", json!({ "channel": "news" }))
        .await;
    let (stop, echoed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let echo = bystander(server.url("/echo"), Arc::clone(&stop), Arc::clone(&echoed));
    let echo = tokio::spawn(echo);

    // 10^5 subscriptions are more than a frame may hold.
    let many: Vec<String> = (0..100_000)
        .map(|number| {
            format!(
                r#"{{"id":{},"subscribe":{{"channel":"c{number}"}}}}"#,
                number + 2
            )
        })
        .collect();
    let ended = end_of(&url, Message::from(many.join("\n"))).await;
    // What is still on its way when the server closes may make the kernel cut the connection.
    assert!(matches!(ended, Some(1009) | None), "{ended:?}");
    // As many as fit: the first 128 are subscribed, the others get an error each.
    let mut greedy = Client::connect(&url, 2).await;
    let some = many[..1_000].join("\n");
    greedy.websocket.send(some).await.expect("it is sent");
    let mut answered = 0;
    let mut subscribed = 0;
    while answered < 1_000 {
        for object in greedy.receive().await {
            answered += usize::from(object["id"].is_u64());
            subscribed += usize::from(object["subscribe"].is_object());
        }
    }
    assert_eq!(subscribed, 128);
    // A filter of 40 levels, and one of many values.
    let deep = r#"{"op":"not","nodes":["#.repeat(40) + &"]}".repeat(40);
    let values = vec![r#""a""#; 10_000].join(",");
    for filter in [
        deep,
        format!(r#"{{"key":"k","cmp":"in","vals":[{values}]}}"#),
    ] {
        let subscribe = format!(r#"{{"id":2,"subscribe":{{"channel":"news","tf":{filter}}}}}"#);
        assert_eq!(end_of(&url, Message::from(subscribe)).await, Some(3501));
    }
    // A length prefix of four gigabytes, with nothing behind it.
    let prefix = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let protobuf = format!("{url}?cf_protocol=protobuf");
    let ended = end_before_connect(&protobuf, Message::from(prefix.to_vec())).await;
    assert_eq!(ended, Some(3501));

    let mut publisher = Client::connect(&url, 3).await;
    publisher
        .call("publish", json!({ "channel": "news", "data": 1 }))
        .await;
    let object = loop {
        if let Some(object) = subscriber.receive().await.into_iter().next() {
            break object;
        }
    };
    assert_eq!(object["push"]["pub"]["data"], json!(1));
    stop.store(true, Ordering::Relaxed);
    let longest = echo.await.expect("the echo was never disturbed");
    println!("the longest echo took {longest:?}");
}

/// Connects, sends a frame, and returns the code with which the server ends it.
async fn end_of(url: &str, frame: Message<'static>) -> Option<u16> {
    let client = Client::connect(url, 9).await;
    end(client.websocket, frame).await
}

/// Sends a frame first of all, and returns the code with which the server ends it.
async fn end_before_connect(url: &str, frame: Message<'static>) -> Option<u16> {
    end(sockeye::connect(url).await.expect("a connection"), frame).await
}

async fn end(mut websocket: WebSocket, frame: Message<'static>) -> Option<u16> {
    // The server may close while it is sent.
    let _ = websocket.send(frame).await;
    let ended = async { while let Ok(Some(_)) = websocket.recv().await {} };
    timeout(PATIENCE, ended).await.expect("it is ended in time");
    let closed = websocket.closed().expect("it has ended");
    closed.received.map(u16::from)
}
