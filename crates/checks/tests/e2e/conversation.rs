//! The conversation that every peer has with `sockeye`, and what must be true of it.
//!
//! A peer prints one line of JSON per fact: how the connection was opened, that every message came back as it
//! was, that a ping was answered, with which code and reason it ended.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sockeye_checks::{Ended, Process, Server, sockeye};

/// Whether permessage-deflate is to be agreed on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deflate {
    Off,
    On,
}

/// Has a peer dial `server`.
#[track_caller]
pub(crate) fn peer_dials(
    mut peer: Command,
    server: Server,
    arguments: &[&str],
    deflate: Deflate,
) -> Vec<Value> {
    peer.arg(server.url("/echo")).args(arguments);
    if deflate == Deflate::On {
        peer.arg("--deflate");
    }
    let ended = Process::start("the peer", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    assert_agreed(&facts, deflate);
    assert_echoed(&facts);
    assert_closed(&facts, 4001, "再见");
    let stopped = server.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.transcript());
    facts
}

/// Has `sockeye connect --echo` dial a peer, and returns what both saw; `None` without a binary.
#[track_caller]
pub(crate) fn peer_listens(
    mut peer: Command,
    peer_arguments: &[&str],
    path: &str,
    arguments: &[&str],
    deflate: Deflate,
) -> Option<(Vec<Value>, Ended)> {
    peer.args(peer_arguments);
    let mut dial = vec!["--echo", "-v"];
    if deflate == Deflate::On {
        peer.arg("--deflate");
    } else {
        dial.push("--deflate=off");
    }
    let mut peer = Process::start("the peer", &mut peer, LIMIT);
    let listening = peer.wait_for_text("listening");
    let listening: Value = serde_json::from_str(&listening).expect("a line of JSON");
    let url = format!("{}{path}", listening["url"].as_str().expect("an address"));
    dial.push(&url);
    dial.extend(arguments);
    let dialled = Process::start("sockeye connect", &mut sockeye("connect", &dial)?, LIMIT).wait();
    let ended = peer.wait();
    assert_eq!(
        ended.code,
        Some(0),
        "{}\n{}",
        ended.transcript(),
        dialled.transcript()
    );
    let facts = facts(&ended);
    assert_agreed(&facts, deflate);
    assert_echoed(&facts);
    // The client's answer carries the code that it got.
    assert_eq!(the(&facts, "closed")["code"], 4002);
    let seen = dialled.transcript();
    assert!(seen.contains("4002") && seen.contains("够了"), "{seen}");
    // "The peer closed with another code" than 1000, 1001 and 1012, says `sockeye connect --help`.
    assert_eq!(dialled.code, Some(1), "{seen}");
    Some((facts, dialled))
}

/// Returns the only fact of a kind.
#[track_caller]
pub(crate) fn the<'a>(facts: &'a [Value], kind: &str) -> &'a Value {
    let found = facts.iter().find(|fact| fact["fact"] == kind);
    found.unwrap_or_else(|| panic!("no fact {kind:?} in {facts:#?}"))
}

/// Returns what a peer printed.
pub(crate) fn facts(ended: &Ended) -> Vec<Value> {
    ended
        .out()
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Asserts that every message came back as it was. `peers/messages.mjs` and `peers/messages.py` say why these are sent.
#[track_caller]
pub(crate) fn assert_echoed(facts: &[Value]) {
    let echoes: Vec<&Value> = facts.iter().filter(|fact| fact["fact"] == "echo").collect();
    let expected = [
        ("text", "Grüße, 你好, 🐟".len()),
        ("text", 0),
        ("binary", 256),
        ("text", 125),
        ("text", 126),
        ("text", 65536),
        ("text", 1 << 20),
        ("binary", 1 << 20),
    ];
    let expected = expected
        .map(|(kind, bytes)| json!({ "fact": "echo", "kind": kind, "bytes": bytes, "same": true }));
    assert_eq!(echoes, expected.iter().collect::<Vec<_>>());
}

/// Asserts that the closing handshake went through: the code and the reason of the peer came back.
#[track_caller]
pub(crate) fn assert_closed(facts: &[Value], code: u16, reason: &str) {
    let closed = the(facts, "closed");
    let expected = (&json!(code), &json!(reason));
    assert_eq!((&closed["code"], &closed["reason"]), expected);
}

#[track_caller]
fn assert_agreed(facts: &[Value], deflate: Deflate) {
    let extensions = the(facts, "open")["extensions"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    match deflate {
        Deflate::Off => assert_eq!(extensions, ""),
        Deflate::On => assert!(
            extensions.starts_with("permessage-deflate"),
            "{extensions:?}"
        ),
    }
}

/// A limit that only a failure reaches: seconds are enough, but the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
