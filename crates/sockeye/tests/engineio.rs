//! Engine.IO over streams in memory, with a clock that the tests move. Where a test keeps an error that another server once made, it
//! names the report.

mod polling_client;

use std::time::Duration;

use polling_client::{Client, body_of};
use sockeye::{
    AddressLimits, CloseCode, Closed, Endpoint, EngineIo, EngineIoSettings, EngineIoUpgrade,
    Message, Origins, Refusal, Reply, Request, Route, Server, Session, Settings, Side, WebSocket,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, timeout},
};

/// What an endpoint has heard.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Open(String),
    Message(String),
    Closed(u16, Side),
}

/// Reports what it hears, echoes, and does what it is told.
struct Reporter(UnboundedSender<Heard>);

impl Endpoint for Reporter {
    fn on_open(&mut self, session: &Session) {
        let path = session.request().unwrap().path().to_owned();
        let _ = self.0.send(Heard::Open(path));
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        let Some(text) = message.as_text().map(ToOwned::to_owned) else {
            return Reply::Echo;
        };
        let reply = match &*text {
            "close" => Reply::Close(CloseCode::new(3000), "Go away!".to_owned()),
            "panic" => panic!("the endpoint panics, as the test wants"),
            "twenty" => {
                for number in 0..20 {
                    session.try_send(number.to_string()).unwrap();
                }
                Reply::None
            }
            "count" => {
                let session = session.clone();
                tokio::spawn(async move {
                    for number in 0..COUNTED {
                        session.send(number.to_string()).await.unwrap();
                        sleep(Duration::from_millis(1)).await;
                    }
                });
                Reply::None
            }
            _ => Reply::Echo,
        };
        let _ = self.0.send(Heard::Message(text));
        reply
    }

    fn on_close(&mut self, _: &Session, closed: &Closed) {
        let _ = self.0.send(Heard::Closed(closed.code.into(), closed.by));
    }
}

const COUNTED: usize = 2000;

const PATH: &str = "/engine.io/?EIO=4&transport=polling";

fn reporter() -> (Route, UnboundedReceiver<Heard>) {
    let (reports, heard) = unbounded_channel();
    let route = Route::new("/engine.io", move |_| Ok(Reporter(reports.clone())));
    (route, heard)
}

async fn start(route: Route, settings: EngineIoSettings) -> Client {
    let engineio = EngineIo::new(route).settings(settings);
    Client::new(
        Server::unbound()
            .mount_engineio(engineio)
            .start()
            .await
            .unwrap(),
    )
}

async fn default_server() -> (Client, UnboundedReceiver<Heard>) {
    let (route, heard) = reporter();
    (start(route, EngineIoSettings::default()).await, heard)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), future)
        .await
        .expect("it takes too long")
}

/// Returns the id in the packet that opens a session.
fn id_of(open: &str) -> String {
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

/// Opens a session, and returns its URL.
async fn open(client: &Client) -> String {
    let (status, body) = client.get(PATH).await;
    assert_eq!(status, 200, "{body}");
    format!("{PATH}&sid={}", id_of(&body))
}

fn websocket_path(url: &str) -> String {
    url.replace("polling", "websocket")
}

async fn text(websocket: &mut WebSocket) -> String {
    let message = soon(websocket.recv()).await.unwrap().expect("a message");
    message.as_text().expect("text").to_owned()
}

/// Opens a WebSocket that has asked to take over the session.
async fn probe(client: &Client, url: &str) -> WebSocket {
    let mut websocket = client.websocket(&websocket_path(url)).await;
    websocket.send("2probe").await.unwrap();
    assert_eq!(text(&mut websocket).await, "3probe");
    websocket
}

async fn closed(heard: &mut UnboundedReceiver<Heard>) -> Heard {
    loop {
        let report = soon(heard.recv()).await.unwrap();
        if matches!(report, Heard::Closed(..)) {
            return report;
        }
    }
}

fn error(code: u8, message: &str) -> (u16, String) {
    (
        400,
        format!("{{\"code\":{code},\"message\":\"{message}\"}}"),
    )
}

fn unknown_session() -> (u16, String) {
    error(1, "Session ID unknown")
}

fn bad_request() -> (u16, String) {
    error(3, "Bad request")
}

#[tokio::test(start_paused = true)]
async fn polling_opens_sends_and_receives() {
    let (client, mut heard) = default_server().await;
    let (status, body) = client.get(PATH).await;
    let id = id_of(&body);
    let expected = format!(
        "0{{\"sid\":\"{id}\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}}"
    );
    assert_eq!((status, body), (200, expected));
    assert_eq!(heard.recv().await, Some(Heard::Open("/engine.io".into())));
    let url = format!("{PATH}&sid={id}&t=abc");
    let sent = client.post(&url, "4a\u{1e}bAQID\u{1e}4\u{e9}").await;
    assert_eq!(sent, (200, "ok".into()));
    let received = client.get(&url).await;
    assert_eq!(received, (200, "4a\u{1e}bAQID\u{1e}4\u{e9}".into()));
    assert_eq!(heard.recv().await, Some(Heard::Message("a".into())));
    // A request that waits is answered as soon as there is a message.
    let (waited, _) = tokio::join!(client.get(&url), client.post(&url, "4b"));
    assert_eq!(waited, (200, "4b".into()));
}

#[tokio::test(start_paused = true)]
async fn the_final_slash_may_be_left_out_and_the_types_are_the_protocols() {
    let (client, _heard) = default_server().await;
    let path = PATH.replace("/?", "?");
    let answer = client.ask("GET", &path, &[], "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; charset=UTF-8"
    );
    let caching = answer.headers()["cache-control"].to_str().unwrap();
    assert!(caching.contains("no-store"), "{caching}");
    let url = format!("{path}&sid={}", id_of(&body_of(answer).await));
    let answer = client.ask("POST", &url, &[], "4a").await;
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(client.get(&url).await.1, "4a");
    let mut websocket = client.websocket(&websocket_path(&path)).await;
    assert!(text(&mut websocket).await.starts_with("0{"));
}

#[tokio::test(start_paused = true)]
async fn a_websocket_opens_sends_and_receives() {
    let (client, mut heard) = default_server().await;
    let mut websocket = client.websocket(&websocket_path(PATH)).await;
    let opened = text(&mut websocket).await;
    let id = id_of(&opened);
    assert_eq!(
        opened,
        format!(
            "0{{\"sid\":\"{id}\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}}"
        )
    );
    assert_eq!(heard.recv().await, Some(Heard::Open("/engine.io".into())));
    websocket.send("4hello").await.unwrap();
    assert_eq!(text(&mut websocket).await, "4hello");
    websocket.send(&[1, 2, 255][..]).await.unwrap();
    let binary = websocket.recv().await.unwrap().unwrap();
    assert_eq!(
        (binary.as_text(), binary.as_bytes()),
        (None, &[1, 2, 255][..])
    );
    websocket.send("1").await.unwrap();
    assert!(soon(websocket.recv()).await.unwrap().is_none());
    assert_eq!(closed(&mut heard).await, Heard::Closed(1000, Side::Peer));
}

#[tokio::test(start_paused = true)]
async fn errors_have_the_protocols_codes_in_its_order() {
    let (client, _heard) = default_server().await;
    let url = open(&client).await;
    let unknown = error(0, "Transport unknown");
    let method = error(2, "Bad handshake method");
    let version = error(5, "Unsupported protocol version");
    for (verb, path, expected) in [
        ("GET", "/engine.io/?EIO=4", &unknown),
        ("GET", "/engine.io/?EIO=4&transport=abc", &unknown),
        ("POST", "/engine.io/?EIO=3&transport=abc&sid=x", &unknown),
        // socket.io#1739, #4433: a request that gets to another server is told so.
        ("GET", &format!("{PATH}&sid=x"), &unknown_session()),
        // GHSA-gr94-w7qr-f4j3: such an id ended the process.
        ("GET", &format!("{PATH}&sid=__proto__"), &unknown_session()),
        ("POST", &format!("{PATH}&sid="), &unknown_session()),
        ("POST", PATH, &method),
        ("PUT", PATH, &method),
        ("PUT", &url, &method),
        // Without CORS there is no preflight.
        ("OPTIONS", PATH, &method),
        // engine.io#616: a client that names no revision is none of ours.
        ("GET", "/engine.io/?transport=polling", &version),
        ("GET", "/engine.io/?EIO=3&transport=polling", &version),
        ("GET", &websocket_path(PATH), &bad_request()),
        ("GET", &websocket_path(&url), &bad_request()),
        ("GET", &url.replace("EIO=4", "EIO=3"), &bad_request()),
    ] {
        let answer = client.ask(verb, path, &[], "").await;
        let status = answer.status().as_u16();
        assert_eq!((status, body_of(answer).await), *expected, "{verb} {path}");
    }
    for path in [
        "/engine.io/?EIO=3&transport=websocket",
        "/engine.io/?transport=websocket",
        "/engine.io/?EIO=4",
        PATH,
        "/engine.io/?EIO=4&transport=websocket&sid=x",
    ] {
        assert_eq!(client.websocket_status(path).await, 400, "{path}");
    }
    // None of this has ended the session.
    client.post(&url, "4a").await;
    assert_eq!(client.get(&url).await.1, "4a");
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_sixteen_packets_at_most() {
    // python-engineio#142: a client refused answers with more.
    let (client, _heard) = default_server().await;
    let url = open(&client).await;
    client.post(&url, "4twenty").await;
    let mut received = Vec::new();
    while received.len() < 20 {
        let (_, body) = client.get(&url).await;
        let packets: Vec<String> = body.split('\u{1e}').map(ToOwned::to_owned).collect();
        assert!(packets.len() <= 16, "{body}");
        received.extend(packets);
    }
    let expected: Vec<String> = (0..20).map(|number| format!("4{number}")).collect();
    assert_eq!(received, expected);
}

#[tokio::test(start_paused = true)]
async fn the_server_pings_whatever_else_is_sent_and_only_a_pong_counts() {
    // socket.io#4040, engine.io-client#649, #670: a throttled tab or a short sleep lost the connection. The time-out is 20 s here.
    let (client, mut heard) = default_server().await;
    let url = open(&client).await;
    let began = Instant::now();
    for seconds in [25, 50] {
        while began.elapsed() < Duration::from_secs(seconds - 1) {
            sleep(Duration::from_secs(1)).await;
            client.post(&url, "4a").await;
            assert_eq!(client.get(&url).await.1, "4a");
        }
        assert_eq!(client.get(&url).await, (200, "2".into()));
        assert_eq!(began.elapsed().as_secs(), seconds);
        assert_eq!(client.post(&url, "3").await.0, 200);
    }
    assert_eq!(client.get(&url).await, (200, "2".into()));
    // Messages are no answer to a ping.
    for _ in 0..19 {
        sleep(Duration::from_secs(1)).await;
        client.post(&url, "4a").await;
        assert_eq!(client.get(&url).await.1, "4a");
    }
    let (last, _) = tokio::join!(client.get(&url), sleep(Duration::from_secs(1)));
    assert_eq!(last, (200, "1".into()));
    assert_eq!(began.elapsed().as_secs(), 95);
    assert_eq!(closed(&mut heard).await, Heard::Closed(1006, Side::Network));
    assert_eq!(client.get(&url).await, unknown_session());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_polls_no_more_is_gone_after_its_deadline() {
    // vert.x#373, #398: a session that was never polled again stayed for ever.
    let (client, mut heard) = default_server().await;
    let url = open(&client).await;
    let began = Instant::now();
    assert_eq!(closed(&mut heard).await, Heard::Closed(1006, Side::Network));
    assert_eq!(began.elapsed().as_secs(), 45);
    assert_eq!(client.sessions(), 0);
    assert_eq!(client.get(&url).await, unknown_session());
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_answers_no_ping_is_closed() {
    let (client, mut heard) = default_server().await;
    let mut websocket = client.websocket(&websocket_path(PATH)).await;
    text(&mut websocket).await;
    let began = Instant::now();
    assert_eq!(text(&mut websocket).await, "2");
    assert_eq!(began.elapsed().as_secs(), 25);
    websocket.send("3").await.unwrap();
    assert_eq!(text(&mut websocket).await, "2");
    assert_eq!(began.elapsed().as_secs(), 50);
    websocket.send("4a").await.unwrap();
    assert_eq!(text(&mut websocket).await, "4a");
    assert!(soon(websocket.recv()).await.unwrap().is_none());
    assert_eq!(began.elapsed().as_secs(), 70);
    assert_eq!(closed(&mut heard).await, Heard::Closed(1006, Side::Network));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_that_receives_ends_the_session_and_the_first_hears_it() {
    let (client, mut heard) = default_server().await;
    let url = open(&client).await;
    let second = async {
        sleep(Duration::from_millis(5)).await;
        client.get(&url).await
    };
    let (first, second) = tokio::join!(client.get(&url), second);
    assert_eq!((first, second), ((200, "1".into()), bad_request()));
    assert_eq!(client.get(&url).await, unknown_session());
    assert_eq!(closed(&mut heard).await, Heard::Closed(1002, Side::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_that_sends_ends_the_session() {
    let (client, mut heard) = default_server().await;
    let url = open(&client).await;
    let _first = client
        .begin_body(&url, "Content-Type: text/plain", 10)
        .await;
    // The first waits for the rest of its body.
    sleep(Duration::from_millis(5)).await;
    assert_eq!(client.post(&url, "4a").await, bad_request());
    assert_eq!(client.get(&url).await, unknown_session());
    assert_eq!(closed(&mut heard).await, Heard::Closed(1002, Side::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_torn_off_ends_the_session() {
    for method in ["GET", "POST"] {
        let (client, mut heard) = default_server().await;
        let url = open(&client).await;
        let request = match method {
            "GET" => client.begin("GET", &url, &[]).await,
            _ => {
                client
                    .begin_body(&url, "Content-Type: text/plain", 10)
                    .await
            }
        };
        sleep(Duration::from_millis(5)).await;
        drop(request);
        let closed = closed(&mut heard).await;
        assert_eq!(closed, Heard::Closed(1006, Side::Network), "{method}");
        assert_eq!(client.get(&url).await, unknown_session(), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_has_its_request_answered_with_nothing() {
    let (client, mut heard) = default_server().await;
    let url = open(&client).await;
    let close = async {
        sleep(Duration::from_millis(5)).await;
        client.post(&url, "4last\u{1e}1").await
    };
    let (received, sent) = tokio::join!(client.get(&url), close);
    assert_eq!(sent, (200, "ok".into()));
    // The echo of the last message may be faster.
    assert!(["6", "4last"].contains(&&*received.1), "{received:?}");
    assert_eq!(closed(&mut heard).await, Heard::Closed(1000, Side::Peer));
    assert_eq!(client.get(&url).await, unknown_session());
    let url = open(&client).await;
    let close = async {
        sleep(Duration::from_millis(5)).await;
        client.post(&url, "1").await
    };
    let (received, _) = tokio::join!(client.get(&url), close);
    assert_eq!(received, (200, "6".into()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_payload_ends_the_session() {
    for (body, content_type) in [
        ("abc", "text/plain"),
        ("4a\u{1e}", "text/plain"),
        ("0{}", "text/plain"),
        // The server pings. Only it does.
        ("2", "text/plain"),
        ("5", "text/plain"),
        // GHSA-r635-g3xr-vw7x (CVE-2026-59725): such a body was held without end.
        ("4a", "application/octet-stream"),
    ] {
        let (client, mut heard) = default_server().await;
        let url = open(&client).await;
        let fields = [("content-type", content_type)];
        let answer = client.ask("POST", &url, &fields, body).await;
        assert_eq!(answer.status(), 400, "{body:?}");
        assert_eq!(closed(&mut heard).await, Heard::Closed(1002, Side::Peer));
        assert_eq!(client.get(&url).await, unknown_session(), "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_on_a_websocket_closes_it() {
    for message in ["abc", "", "2", "5", "0{}", "bAQID"] {
        let (client, mut heard) = default_server().await;
        let mut websocket = client.websocket(&websocket_path(PATH)).await;
        text(&mut websocket).await;
        websocket.send(message).await.unwrap();
        assert!(soon(websocket.recv()).await.is_err(), "{message:?}");
        let code = websocket.closed().unwrap().code;
        assert_eq!(code, CloseCode::PROTOCOL_ERROR, "{message:?}");
        assert_eq!(closed(&mut heard).await, Heard::Closed(1002, Side::Peer));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_ends_the_session() {
    // GHSA-j4f2-536g-r55m, GHSA-xfhh-g9f5-x4m4 (CVE-2020-36048): a body was joined before its length was known.
    let (route, mut heard) = reporter();
    let settings = EngineIoSettings::default().with_payload_bytes_max(100);
    let client = start(route, settings).await;
    let url = open(&client).await;
    let largest = format!("4{}", "x".repeat(99));
    assert_eq!(client.post(&url, &largest).await.0, 200);
    assert_eq!(client.get(&url).await.1, largest);
    assert_eq!(client.post(&url, &"4".repeat(101)).await.0, 413);
    assert_eq!(closed(&mut heard).await, Heard::Closed(1006, Side::Network));
    assert_eq!(client.get(&url).await, unknown_session());
    let mut websocket = client.websocket(&websocket_path(PATH)).await;
    text(&mut websocket).await;
    websocket.send(&*largest).await.unwrap();
    assert_eq!(text(&mut websocket).await, largest);
    websocket.send("4".repeat(102)).await.unwrap();
    assert!(soon(websocket.recv()).await.is_err());
    let code = websocket.closed().unwrap().code;
    assert_eq!(code, CloseCode::MESSAGE_TOO_BIG);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_takes_over_while_messages_flow_and_none_is_lost_doubled_or_late() {
    // python-engineio#76, #160, #161: the order was lost. Each run upgrades at another time.
    for wait in [0, 1, 7, 50, 230] {
        let (client, _heard) = default_server().await;
        let url = open(&client).await;
        client.post(&url, "4count").await;
        let mut received = Vec::new();
        let mut take = |body: &str| {
            let packets = body.split('\u{1e}').filter(|packet| *packet != "6");
            received.extend(packets.map(|packet| packet[1..].parse::<usize>().unwrap()));
        };
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(wait) {
            take(&client.get(&url).await.1);
        }
        // The client asks for the WebSocket while a request waits, and asks again until the probe is answered.
        let mut websocket = client.websocket(&websocket_path(&url)).await;
        let (polled, sent) = tokio::join!(client.get(&url), websocket.send("2probe"));
        sent.unwrap();
        take(&polled.1);
        assert_eq!(text(&mut websocket).await, "3probe");
        // It completes the upgrade once its last request is answered.
        let (polled, ()) = tokio::join!(client.get(&url), sleep(Duration::from_millis(3)));
        take(&polled.1);
        websocket.send("5").await.unwrap();
        websocket.send("4after").await.unwrap();
        let mut has_echo = false;
        let mut count = received.len();
        while count < COUNTED || !has_echo {
            let message = text(&mut websocket).await;
            match &*message {
                // Trap of socketioxide#94: no noop on a WebSocket.
                "6" => panic!("a noop on a WebSocket"),
                "4after" => has_echo = true,
                _ => {
                    received.push(message[1..].parse().unwrap());
                    count += 1;
                }
            }
        }
        let expected: Vec<usize> = (0..COUNTED).collect();
        assert_eq!(received, expected, "{wait}");
        assert_eq!(client.get(&url).await, bad_request());
        assert_eq!(client.post(&url, "4a").await, bad_request());
    }
}

#[tokio::test(start_paused = true)]
async fn each_request_that_receives_during_an_upgrade_is_answered_soon_and_not_at_once() {
    // socketioxide#357, #479, #487, #497, #554: without a noop the client waited 25 s. engine.io#174: noops had no bound.
    let (client, _heard) = default_server().await;
    let url = open(&client).await;
    let waiting = client.get(&url);
    let began = Instant::now();
    let (waited, mut websocket) = tokio::join!(waiting, probe(&client, &url));
    assert_eq!(waited, (200, "6".into()));
    for number in 2..5 {
        assert_eq!(client.get(&url).await, (200, "6".into()));
        let elapsed = began.elapsed().as_millis();
        assert!(
            (number * 100..number * 100 + 50).contains(&elapsed),
            "{elapsed}"
        );
    }
    // Until the upgrade is complete, requests carry messages and pings.
    client.post(&url, "4a").await;
    assert_eq!(client.get(&url).await, (200, "4a".into()));
    // python-engineio completes the upgrade while its request waits.
    let complete = async {
        sleep(Duration::from_millis(5)).await;
        websocket.send("5").await.unwrap();
    };
    let began = Instant::now();
    let (waited, ()) = tokio::join!(client.get(&url), complete);
    assert_eq!(waited, (200, "6".into()));
    assert!(began.elapsed() < Duration::from_millis(50));
    websocket.send("4b").await.unwrap();
    assert_eq!(text(&mut websocket).await, "4b");
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_goes_on_over_an_upgrade() {
    let (client, mut heard) = default_server().await;
    let url = open(&client).await;
    let began = Instant::now();
    sleep(Duration::from_secs(10)).await;
    let mut websocket = probe(&client, &url).await;
    websocket.send("5").await.unwrap();
    assert_eq!(text(&mut websocket).await, "2");
    assert_eq!(began.elapsed().as_secs(), 25);
    websocket.send("3").await.unwrap();
    assert_eq!(text(&mut websocket).await, "2");
    assert_eq!(began.elapsed().as_secs(), 50);
    assert!(soon(websocket.recv()).await.unwrap().is_none());
    assert_eq!(began.elapsed().as_secs(), 70);
    assert_eq!(closed(&mut heard).await, Heard::Closed(1006, Side::Network));
    while client.sessions() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_costs_only_the_probe() {
    // python-engineio#367: a failed upgrade lost packets. socketioxide#731: a WebSocket that asked for nothing stayed for ever.
    let (client, _heard) = default_server().await;
    let url = open(&client).await;
    let began = Instant::now();
    let mut silent = client.websocket(&websocket_path(&url)).await;
    client.post(&url, "4before").await;
    for wrong in ["2", "5", "4a"] {
        let mut websocket = client.websocket(&websocket_path(&url)).await;
        websocket.send(wrong).await.unwrap();
        assert!(soon(websocket.recv()).await.unwrap().is_none(), "{wrong}");
    }
    let mut unfinished = probe(&client, &url).await;
    assert_eq!(client.get(&url).await.1, "4before");
    for websocket in [&mut silent, &mut unfinished] {
        assert!(soon(websocket.recv()).await.unwrap().is_none());
        assert_eq!(began.elapsed().as_secs(), 10);
    }
    let torn_off = probe(&client, &url).await;
    drop(torn_off);
    client.post(&url, "4after").await;
    assert_eq!(client.get(&url).await.1, "4after");
    // Another one may still take over.
    let mut websocket = loop {
        let mut websocket = client.websocket(&websocket_path(&url)).await;
        let _ = websocket.send("2probe").await;
        if let Ok(Some(answer)) = soon(websocket.recv()).await {
            assert_eq!(answer.as_text(), Some("3probe"));
            break websocket;
        }
    };
    websocket.send("5").await.unwrap();
    websocket.send("4a").await.unwrap();
    assert_eq!(text(&mut websocket).await, "4a");
}

#[tokio::test(start_paused = true)]
async fn a_second_websocket_is_closed_and_the_first_goes_on() {
    let (client, _heard) = default_server().await;
    let url = open(&client).await;
    let mut first = probe(&client, &url).await;
    let mut second = client.websocket(&websocket_path(&url)).await;
    // It may be closed already.
    let _ = second.send("2probe").await;
    assert!(soon(second.recv()).await.unwrap().is_none());
    first.send("5").await.unwrap();
    first.send("4a").await.unwrap();
    assert_eq!(text(&mut first).await, "4a");
    let mut third = client.websocket(&websocket_path(&url)).await;
    // It may be closed already.
    let _ = third.send("2probe").await;
    assert!(soon(third.recv()).await.unwrap().is_none());
    first.send("4b").await.unwrap();
    assert_eq!(text(&mut first).await, "4b");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_sent_before_the_close() {
    let (client, mut heard) = default_server().await;
    let url = open(&client).await;
    client.post(&url, "4a\u{1e}4close").await;
    assert_eq!(client.get(&url).await, (200, "4a".into()));
    assert_eq!(client.get(&url).await, (200, "1".into()));
    assert_eq!(closed(&mut heard).await, Heard::Closed(3000, Side::Us));
    assert_eq!(client.get(&url).await, unknown_session());
    // A client that asks later hears it too.
    let url = open(&client).await;
    client.post(&url, "4close").await;
    closed(&mut heard).await;
    assert_eq!(client.get(&url).await, (200, "1".into()));
    let mut websocket = client.websocket(&websocket_path(PATH)).await;
    text(&mut websocket).await;
    websocket.send("4close").await.unwrap();
    assert!(soon(websocket.recv()).await.is_err());
    assert_eq!(websocket.closed().unwrap().code, CloseCode::new(3000));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_panics_ends_its_own_session_alone() {
    // GHSA-273r-mgr4-v34f, GHSA-q9mw-68c2-j6m5, CVE-2022-41940: a request ended the process.
    let (client, _heard) = default_server().await;
    let (url, other) = (open(&client).await, open(&client).await);
    client.post(&url, "4panic").await;
    assert_eq!(client.get(&url).await, (200, "1".into()));
    client.post(&other, "4a").await;
    assert_eq!(client.get(&other).await.1, "4a");
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_origin_may_do_nothing_unless_the_route_says_so() {
    // CVE-2020-28481: any origin was let through.
    let (client, _heard) = default_server().await;
    let url = open(&client).await;
    let foreign = [("origin", "https://b.example")];
    for (method, path) in [("GET", PATH), ("GET", &*url), ("POST", &url)] {
        let answer = client.ask(method, path, &foreign, "4a").await;
        assert_eq!(answer.status(), 403, "{method} {path}");
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
        let body = body_of(answer).await;
        assert_eq!(body, "{\"code\":4,\"message\":\"Forbidden\"}");
    }
    // No field of CORS keeps a page from opening a WebSocket.
    let path = websocket_path(PATH);
    let status = client
        .websocket_status_with(&path, "Origin: https://b.example\r\n")
        .await;
    assert_eq!(status, 403);

    let (route, _heard) = reporter();
    let listed = Origins::List(vec!["https://b.example".into()]);
    let client = start(route.origins(listed), EngineIoSettings::default()).await;
    let answer = client.ask("GET", PATH, &foreign, "").await;
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://b.example"
    );
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
    // engine.io#279, socketioxide#286: a preflight has no cookie and no session.
    let asked = [
        ("origin", "https://b.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let answer = client
        .ask("OPTIONS", &format!("{PATH}&sid=x"), &asked, "")
        .await;
    assert_eq!(answer.status(), 204);
    assert_eq!(
        answer.headers()["access-control-allow-methods"],
        "OPTIONS, GET, POST"
    );
    assert_eq!(
        answer.headers()["access-control-allow-headers"],
        "content-type"
    );
    // An error can be read by the page, too.
    let answer = client
        .ask("GET", &format!("{PATH}&sid=x"), &foreign, "")
        .await;
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://b.example"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_else_can_use_a_session() {
    let by_name = |request: &Request| {
        Ok(request
            .query_param("user")
            .and_then(|user| user.parse().ok()))
    };
    let (route, _heard) = reporter();
    let client = start(route.identify(by_name), EngineIoSettings::default()).await;
    let (_, opened) = client.get(&format!("{PATH}&user=ann")).await;
    let url = format!("{PATH}&sid={}", id_of(&opened));
    for user in ["", "&user=bob"] {
        let theirs = format!("{url}{user}");
        assert_eq!(client.get(&theirs).await, unknown_session());
        assert_eq!(client.post(&theirs, "1").await, unknown_session());
        assert_eq!(client.websocket_status(&websocket_path(&theirs)).await, 400);
    }
    let ours = format!("{url}&user=ann");
    // The same client with other credentials.
    let answer = client
        .ask("POST", &ours, &[("cookie", "new=1")], "4a")
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(client.get(&ours).await.1, "4a");
    let mut websocket = probe(&client, &ours).await;
    websocket.send("5").await.unwrap();
    websocket.send("4b").await.unwrap();
    assert_eq!(text(&mut websocket).await, "4b");
}

#[tokio::test(start_paused = true)]
async fn where_a_check_does_not_say_who_a_client_is_the_credentials_tell() {
    let (route, _heard) = reporter();
    let route = route.authorize(|request| async move {
        match request.headers().contains_key("x-user") {
            true => Ok(()),
            false => Err(Refusal::new(http::StatusCode::UNAUTHORIZED)),
        }
    });
    let client = start(route, EngineIoSettings::default()).await;
    let ask = async |method: &str, path: &str, user: Option<&str>| {
        let fields: Vec<_> = user.map(|user| ("x-user", user)).into_iter().collect();
        let answer = client.ask(method, path, &fields, "4a").await;
        (answer.status().as_u16(), body_of(answer).await)
    };
    assert_eq!(ask("GET", PATH, None).await.0, 401);
    let (status, opened) = ask("GET", PATH, Some("ann")).await;
    assert_eq!(status, 200);
    let url = format!("{PATH}&sid={}", id_of(&opened));
    assert_eq!(ask("POST", &url, Some("bob")).await, unknown_session());
    assert_eq!(ask("POST", &url, None).await.0, 401);
    assert_eq!(ask("POST", &url, Some("ann")).await.0, 200);
    let path = websocket_path(&url);
    for (user, status) in [("bob", 400), ("ann", 101)] {
        let fields = format!("X-User: {user}\r\nSec-Fetch-Mode: websocket\r\n");
        assert_eq!(client.websocket_status_with(&path, &fields).await, status);
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_limited_in_all_for_each_client_and_for_each_address() {
    // GHSA-m9gh-vj53-gvh9 (CVE-2026-48809), CVE-2026-48802: sessions before any authentication had no bound.
    let (route, _heard) = reporter();
    let client = start(route, EngineIoSettings::default().with_sessions_max(2)).await;
    let url = open(&client).await;
    open(&client).await;
    assert_eq!(client.get(PATH).await.0, 503);
    client.post(&url, "1").await;
    while client.get(PATH).await.0 == 503 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(client.get(PATH).await.0, 503);

    let (route, _heard) = reporter();
    let named = route.identify(|_: &Request| Ok("ann".parse().ok()));
    let settings = EngineIoSettings::default().with_sessions_per_client_max(1);
    let client = start(named, settings).await;
    open(&client).await;
    assert_eq!(client.get(PATH).await.0, 429);

    let (route, _heard) = reporter();
    let mut limits = AddressLimits::default();
    limits.connections_max = 3;
    limits.exempt = Vec::new();
    let server = Server::unbound()
        .address_limits(limits)
        .mount_engineio(EngineIo::new(route));
    let client = Client::from_address(server.start().await.unwrap(), "192.0.2.1:1000");
    open(&client).await;
    open(&client).await;
    // Each request is a connection of its own, too.
    assert_eq!(client.get(PATH).await.0, 429);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_receive_can_not_send_without_end() {
    // socketioxide#273, socket.io#2064, engine.io#420: the queue of a client that didn't receive had no limit.
    let (route, _heard) = reporter();
    let settings = Settings::default().with_outbox_bytes_max(2000);
    let client = start(route.settings(settings), EngineIoSettings::default()).await;
    let url = open(&client).await;
    let body = format!("4{}", "x".repeat(600));
    let mut sent = 0;
    // The last one waits until the session has ended, for want of a receiver.
    while client.post(&url, &body).await.0 == 200 {
        sent += 1;
        assert!(sent < 10);
    }
    assert!(sent >= 1);
    // The server has closed the session, and says so once.
    assert_eq!(client.get(&url).await, (200, "1".into()));
    assert_eq!(client.get(&url).await, unknown_session());
}

#[tokio::test(start_paused = true)]
async fn the_cookie_has_the_sessions_id_if_the_settings_say_so() {
    let (route, _heard) = reporter();
    let settings = EngineIoSettings::default()
        .with_cookie_name("io".to_owned())
        .with_upgrade(EngineIoUpgrade::Absent);
    let client = start(route, settings).await;
    let answer = client.ask("GET", PATH, &[], "").await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let opened = body_of(answer).await;
    let id = id_of(&opened);
    assert_eq!(cookie, format!("io={id}; Path=/; HttpOnly; SameSite=Lax"));
    assert!(opened.contains("\"upgrades\":[]"), "{opened}");
}

#[tokio::test(start_paused = true)]
async fn a_path_or_a_cookie_that_can_not_be_is_refused_at_the_start() {
    let start = async |path: &str, cookie: &str| {
        let route = Route::new(path, |_| Ok(Reporter(unbounded_channel().0)));
        let settings = EngineIoSettings::default().with_cookie_name(cookie.to_owned());
        let engineio = EngineIo::new(route).settings(settings);
        Server::unbound().mount_engineio(engineio).start().await
    };
    for (path, cookie) in [("/", "io"), ("/{", "io"), ("/a", "a b"), ("/a", "")] {
        let Err(error) = start(path, cookie).await else {
            panic!("{path} {cookie} is let through");
        };
        assert_eq!(error.kind(), sockeye::ErrorKind::Config, "{path} {cookie}");
    }
    assert!(start("/a/", "io").await.is_ok());
}

/// In real time, since a drain waits for the workers, whose threads have no clock that a test could move.
#[tokio::test]
async fn a_drain_closes_websockets_with_its_code_so_that_clients_connect_anew() {
    let (client, mut heard) = default_server().await;
    let mut websocket = client.websocket(&websocket_path(PATH)).await;
    text(&mut websocket).await;
    let mut drain = sockeye::Drain::default();
    drain.code = CloseCode::SERVICE_RESTART;
    drain.retry = None;
    let receive = async { soon(websocket.recv()).await.is_err() };
    let (is_closed, _) = tokio::join!(receive, client.drain(drain));
    assert!(is_closed);
    assert_eq!(websocket.closed().unwrap().code, CloseCode::SERVICE_RESTART);
    closed(&mut heard).await;
}
