//! Clients of Socket.IO that send what none may send, or more than they should: the others are served.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;
use sockeye_checks::Server;

use crate::sockjs::address;

/// What stands between two packets of a payload.
const SEPARATOR: &str = "\u{1e}";

/// Asks, and returns status and body.
fn ask(to: SocketAddr, method: &str, target: &str, fields: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n{fields}\r\n"
    );
    // A server that refuses a large body need not read it.
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// A client that polls.
struct Polling {
    to: SocketAddr,
    target: String,
    /// Packets that have come and weren't looked at.
    packets: Vec<String>,
}

impl Polling {
    fn open(to: SocketAddr) -> Self {
        let target = "/socket.io/?EIO=4&transport=polling";
        let (status, open) = ask(to, "GET", target, "", "");
        assert_eq!(status, 200, "{open}");
        let open: Value = serde_json::from_str(&open[1..]).unwrap();
        let id = open["sid"].as_str().unwrap();
        Self {
            to,
            target: format!("{target}&sid={id}"),
            packets: Vec::new(),
        }
    }

    /// A client in the namespace of the hub.
    fn connect(to: SocketAddr) -> Self {
        let mut client = Self::open(to);
        client.post("40");
        client.wait_for("42[\"connected\"");
        client
    }

    fn post(&self, payload: &str) -> u16 {
        ask(self.to, "POST", &self.target, "", payload).0
    }

    /// Receives once. Returns whether the session goes on.
    fn poll(&mut self) -> bool {
        let (status, body) = ask(self.to, "GET", &self.target, "", "");
        if status == 200 {
            self.packets
                .extend(body.split(SEPARATOR).map(str::to_owned));
        }
        status == 200 && self.packets.last().is_some_and(|last| last != "1")
    }

    /// Receives until a packet begins so, and returns it.
    fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            let mut packets = self.packets.iter();
            if let Some(at) = packets.position(|packet| packet.starts_with(beginning)) {
                return self.packets.drain(..=at).next_back().unwrap();
            }
            assert!(
                self.poll(),
                "the end before {beginning}: {:?}",
                self.packets
            );
        }
    }

    /// Asks for the position of a channel that it may read.
    fn is_served(&mut self) {
        assert_eq!(self.post("427[\"history\",\"a\",{}]"), 200);
        let answer = self.wait_for("437");
        assert!(answer.starts_with("437[{\"publications\":[]"), "{answer}");
    }

    /// Receives until the session has ended.
    fn ends(mut self) {
        while self.poll() {}
    }
}

fn start(more: &[&str]) -> Option<Server> {
    let options = [
        "--dev",
        "--http-api-key",
        "s3cret",
        "--address-posts-per-minute",
        "10000000",
        "--address-handshakes-per-second",
        "100000",
    ];
    Server::start(&[&options[..], more].concat())
}

#[test]
fn what_no_client_may_send_ends_its_own_connection_alone() {
    let Some(server) = start(&[]) else { return };
    let to = address(&server);
    let mut good = Polling::connect(to);
    let deep = format!(
        "42[\"publish\",\"a\",{}{}]",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    for packet in [
        // GHSA-677m-j7p3-52f9 (CVE-2026-33151): so many attachments were waited for.
        "45100000-[\"publish\",\"a\",{\"_placeholder\":true,\"num\":0}]",
        // GHSA-2m8v-j782-fhvr (CVE-2026-69185).
        "450-[\"publish\",\"a\"]",
        // GHSA-qm95-pgcg-qqfq (CVE-2022-2421).
        "451-[\"publish\",\"a\",{\"_placeholder\":true,\"num\":\"splice\"}]\u{1e}bAAA=",
        // GHSA-cqmj-92xf-r6r9 (CVE-2023-32695).
        "42[{\"toString\":\"\"}]",
        // GHSA-25hc-qcg6-38wj (CVE-2024-38355).
        "42[\"disconnecting\"]",
        "42/__proto__,[\"publish\",\"a\",1]",
        "40",
        "bAAA=",
        &deep,
    ] {
        let bad = Polling::connect(to);
        bad.post(packet);
        bad.ends();
        good.is_served();
    }
    // GHSA-gr94-w7qr-f4j3: the name of a session was looked up in an object.
    let target = "/socket.io/?EIO=4&transport=polling&sid=__proto__";
    let (status, body) = ask(to, "GET", target, "", "");
    assert_eq!(
        (status, &*body),
        (400, "{\"code\":1,\"message\":\"Session ID unknown\"}")
    );
    // A key of an object is a key, whatever its name.
    assert_eq!(
        good.post("428[\"publish\",\"b\",{\"__proto__\":{\"a\":1}}]"),
        200
    );
    assert_eq!(good.wait_for("438"), "438[{}]");
}

#[test]
fn thousands_of_unknown_namespaces_are_refused_and_leave_nothing() {
    // socket.io#4772, #4602.
    let Some(mut server) = start(&[]) else { return };
    let to = address(&server);
    let mut client = Polling::open(to);
    let before = server.process().private_memory_bytes();
    for round in 0..20 {
        let packets: Vec<_> = (0..500)
            .map(|number| format!("40/{round}-{number},"))
            .collect();
        assert_eq!(client.post(&packets.join(SEPARATOR)), 200);
        client.wait_for(&format!(
            "44/{round}-499,{{\"message\":\"Invalid namespace\"}}"
        ));
    }
    let grown = server
        .process()
        .private_memory_bytes()
        .saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    client.post("40");
    client.wait_for("42[\"connected\"");
    client.is_served();
}

#[test]
fn a_client_that_asks_and_never_reads_is_ended_and_holds_little() {
    // socketioxide#273, socket.io#2064, engine.io#420.
    let Some(mut server) = start(&[]) else { return };
    let to = address(&server);
    let mut good = Polling::connect(to);
    let bad = Polling::connect(to);
    let before = server.process().private_memory_bytes();
    let payload = vec!["421[\"presence\",\"a\"]"; 1_000].join(SEPARATOR);
    let mut posts = 0;
    while bad.post(&payload) == 200 {
        posts += 1;
        assert!(posts < 10_000, "it goes on for ever");
    }
    let grown = server
        .process()
        .private_memory_bytes()
        .saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    good.is_served();
}

#[test]
fn a_subscriber_that_does_not_poll_is_ended_and_the_others_receive() {
    let Some(server) = start(&[]) else { return };
    let to = address(&server);
    let mut good = Polling::connect(to);
    let slow = Polling::connect(to);
    for client in [&good, &slow] {
        assert_eq!(client.post("429[\"subscribe\",\"a\"]"), 200);
    }
    good.wait_for("439");
    let data = "x".repeat(60_000);
    for number in 0..40 {
        let body = format!("{{\"channel\":\"a\",\"data\":\"{number} {data}\"}}");
        let key = "X-API-Key: s3cret\r\nContent-Type: application/json\r\n";
        assert_eq!(ask(to, "POST", "/api/publish", key, &body).0, 200);
        let beginning = format!("42[\"publication\",\"a\",\"{number} ");
        good.wait_for(&beginning);
    }
    slow.ends();
    assert_eq!(good.post("427[\"presence_stats\",\"a\"]"), 200);
    assert_eq!(
        good.wait_for("437"),
        "437[{\"num_clients\":1,\"num_users\":1}]"
    );
}

#[test]
fn sessions_have_a_limit_and_what_is_beyond_it_is_told_to_come_back() {
    let Some(server) = start(&["--socketio-sessions-max", "20"]) else {
        return;
    };
    let to = address(&server);
    let open: Vec<_> = (0..20).map(|_| Polling::open(to)).collect();
    let target = "/socket.io/?EIO=4&transport=polling";
    for _ in 0..5 {
        assert_eq!(ask(to, "GET", target, "", "").0, 503);
    }
    let mut first = open.into_iter().next().unwrap();
    first.post("40");
    first.wait_for("42[\"connected\"");
    first.is_served();
}
