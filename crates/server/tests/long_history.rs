//! A consumer that was away for long: it pages through the log at its own pace, then goes live without a gap.

mod support;

use std::{collections::HashSet, fmt::Write as _, thread};

use serde_json::{Value, json};
use sockeye::WebSocket;
use support::{Server, http, talk};

const FILE: &str = r#"
listen = ["127.0.0.1:0"]
data = "data"
[http_api]
key = "s3cret"
[client]
insecure = true
# This client answers no pings.
ping_interval = "1h"
[channel.without_namespace]
history_size = 200000
history_ttl = "168h"
force_recovery = true
allow_subscribe_for_client = true
allow_history_for_client = true
"#;

/// Publications while the consumer is away. A kilobyte each: a hundred times what the server may add to its memory.
const AWAY: u64 = 100_000;

/// Publications while the consumer catches up.
const MEANWHILE: u64 = 2_000;

/// Most publications in a page, and of a recovery, by default.
const PAGE: usize = 300;

/// Bytes. What reading the history may add to the server's memory.
const GROWTH_MAX: u64 = 48 << 20;

#[test]
fn a_consumer_catches_up_with_a_long_history_and_goes_live_without_a_gap() {
    let server = Server::start_with(&[], &[("sockeye.toml", FILE)]);
    let address = server.addrs[0].clone();
    publish(&address, 0..AWAY, 50);
    let memory_before = memory(server.process_id());
    let publisher = {
        let address = address.clone();
        thread::spawn(move || publish(&address, AWAY..AWAY + MEANWHILE, 20))
    };
    let mut memory_most = 0;
    let seen = talk(async {
        let mut consumer = Consumer::connect(&server).await;
        while !consumer.subscribe_if_near().await {
            consumer.page().await;
            memory_most = memory_most.max(memory(server.process_id()));
        }
        while consumer.seen.len() < (AWAY + MEANWHILE) as usize {
            consumer.receive().await;
        }
        consumer.seen
    });
    publisher.join().unwrap();
    // Each publication has the next offset, and each was seen once.
    let offsets = seen.iter().map(|(offset, _)| *offset);
    assert!(offsets.eq(1..=AWAY + MEANWHILE));
    let numbers: HashSet<u64> = seen.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, (0..AWAY + MEANWHILE).collect());
    let downwards = talk(async {
        let mut consumer = Consumer::connect(&server).await;
        while consumer.page_down().await {
            memory_most = memory_most.max(memory(server.process_id()));
        }
        consumer.seen
    });
    assert!(downwards.iter().eq(seen.iter().rev()));
    let growth = memory_most.saturating_sub(memory_before);
    assert!(growth < GROWTH_MAX, "{} MiB more", growth >> 20);
}

/// A client that remembers what it has seen.
struct Consumer {
    websocket: WebSocket,
    next_id: u32,
    epoch: String,
    /// Offsets, and what the publications say.
    seen: Vec<(u64, u64)>,
    /// Publications in the last page.
    last_page: usize,
    is_live: bool,
}

impl Consumer {
    async fn connect(server: &Server) -> Self {
        let url = server.ws("/connection/websocket");
        let mut consumer = Self {
            websocket: sockeye::connect(url).await.unwrap(),
            next_id: 1,
            epoch: String::new(),
            seen: vec![],
            last_page: PAGE,
            is_live: false,
        };
        consumer.ask("connect", json!({})).await;
        consumer
    }

    /// Sends a command, and returns what the reply says.
    async fn ask(&mut self, what: &str, request: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let command = json!({"id": id, what: request}).to_string();
        self.websocket.send(command).await.unwrap();
        loop {
            for object in self.objects().await {
                if object["id"] == json!(id) {
                    assert!(object["error"].is_null(), "{object}");
                    return object[what].clone();
                }
                self.take_push(&object);
            }
        }
    }

    async fn objects(&mut self) -> Vec<Value> {
        let message = self.websocket.recv().await.unwrap().expect("a message");
        let text = message.as_text().expect("text");
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    fn take_push(&mut self, object: &Value) {
        assert!(object["push"]["unsubscribe"].is_null(), "{object}");
        if self.is_live && object["push"]["pub"].is_object() {
            self.take(&object["push"]["pub"]);
        }
    }

    fn take(&mut self, publication: &Value) {
        let offset = publication["offset"].as_u64().unwrap();
        let number = publication["data"]["n"].as_u64().unwrap();
        self.seen.push((offset, number));
    }

    fn since(&self) -> Value {
        let offset = self.seen.last().map_or(0, |(offset, _)| *offset);
        json!({"offset": offset, "epoch": self.epoch})
    }

    /// Reads the next page.
    async fn page(&mut self) {
        let request = json!({"channel": "news", "limit": PAGE, "since": self.since()});
        self.take_page(request).await;
    }

    /// Reads the page below. Returns false if there is none.
    async fn page_down(&mut self) -> bool {
        let mut request = json!({"channel": "news", "limit": PAGE, "reverse": true});
        if !self.seen.is_empty() {
            request["since"] = self.since();
        }
        self.take_page(request).await;
        self.last_page > 0
    }

    async fn take_page(&mut self, request: Value) {
        let history = self.ask("history", request).await;
        self.epoch = history["epoch"].as_str().unwrap().to_owned();
        let page = history["publications"].as_array().unwrap();
        assert!(page.len() <= PAGE);
        self.last_page = page.len();
        page.iter().for_each(|publication| self.take(publication));
    }

    /// Subscribes from the last publication on, if a recovery may hold the rest. Returns whether it did.
    async fn subscribe_if_near(&mut self) -> bool {
        if self.last_page == PAGE {
            return false;
        }
        let since = self.since();
        let request = json!({
            "channel": "news", "recover": true, "offset": since["offset"], "epoch": since["epoch"],
        });
        let subscribed = self.ask("subscribe", request).await;
        if subscribed["recovered"] != json!(true) {
            // The publisher was faster. What comes live is of no use yet.
            self.ask("unsubscribe", json!({"channel": "news"})).await;
            self.last_page = PAGE;
            return false;
        }
        self.is_live = true;
        let missed = subscribed["publications"].as_array();
        missed.into_iter().flatten().for_each(|it| self.take(it));
        true
    }

    async fn receive(&mut self) {
        for object in self.objects().await {
            self.take_push(&object);
        }
    }
}

/// Publishes numbers through the API, `batch` in one request.
fn publish(address: &str, mut numbers: std::ops::Range<u64>, batch: usize) {
    let filler = "x".repeat(1000);
    while !numbers.is_empty() {
        let commands: Vec<Value> = numbers
            .by_ref()
            .take(batch)
            .map(|number| {
                json!({"publish": {"channel": "news", "data": {"n": number, "text": filler}}})
            })
            .collect();
        let body = json!({ "commands": commands }).to_string();
        let mut request = String::from("POST /api/batch HTTP/1.1\r\nX-API-Key: s3cret\r\n");
        _ = write!(request, "Content-Length: {}\r\n\r\n{body}", body.len());
        let answer = http(address, &request);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains("\"error\""), "{answer}");
    }
}

/// Returns the process memory (RSS) of a process, in bytes.
fn memory(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}
