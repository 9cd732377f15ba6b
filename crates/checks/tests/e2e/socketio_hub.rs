//! The binary's `/socket.io/`: the hub by npm `socket.io-client` in Node and in Chromium and by PyPI `python-socketio`, beside npm
//! `centrifuge` and the API.

use std::process::Command;

use serde_json::{Value, json};
use sockeye_checks::{Browser, Process, Server, need};
use tempfile::TempDir;

use crate::conversation::{LIMIT, facts, the};

const SECRET: &str = "a secret for tokens, long enough";

const CONFIGURATION: &str = r#"
[http_api]
key = "s3cret"

[client.token]
hmac_secret_key = "a secret for tokens, long enough"

[channel.without_namespace]
history_size = 100
history_ttl = "300s"
force_recovery = true
presence = true
join_leave = true
force_push_join_leave = true
allow_subscribe_for_client = true
allow_publish_for_client = true
allow_history_for_client = true
allow_presence_for_client = true

[[channel.namespaces]]
name = "closed"
"#;

const MODES: [(&str, &str); 3] = [
    ("polling", "polling"),
    ("websocket", "websocket"),
    ("upgrade", "websocket"),
];

fn start() -> Option<(Server, TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let server = Server::start(&["--config", file.to_str().unwrap()])?;
    Some((server, directory))
}

/// Has a peer talk to `server`. Returns what it saw.
#[track_caller]
fn seen(mut peer: Command, server: &Server, arguments: &[&str]) -> Vec<Value> {
    peer.arg(format!("http://127.0.0.1:{}", server.port()))
        .args(arguments);
    let ended = Process::start("the client", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    facts(&ended)
}

fn error(code: u32, message: &str) -> Value {
    json!({ "code": code, "message": message, "temporary": false })
}

#[test]
fn a_page_with_only_socketio_shares_channels_with_the_sdk_and_the_api() {
    for (mode, carried) in MODES {
        let (Some(peer), Some((server, _directory))) = (need::node("socketio_hub.mjs"), start())
        else {
            return;
        };
        let facts = seen(peer, &server, &[mode, SECRET, "s3cret"]);
        let greeting = json!({ "text": "Grüße", "list": [1, null] });
        for expected in [
            json!({ "fact": "refused", "message": "bad request", "data": { "code": 3501 }, "active": false }),
            json!({ "fact": "connected", "client": "string", "expires": false, "recovered": false }),
            json!({ "fact": "subscribed", "offset": 0, "epoch": true, "recoverable": true, "publications": [] }),
            json!({ "fact": "again", "error": error(105, "already subscribed") }),
            json!({ "fact": "joined", "place": "news", "user": "ann", "own": true }),
            json!({ "fact": "other", "user": "ben" }),
            json!({ "fact": "from_ben", "channel": "news", "data": { "text": "from ben" }, "offset": 1, "user": "ben" }),
            json!({ "fact": "from_api", "data": ["from the API"], "meta": { "offset": 2, "tags": { "kind": "api" } } }),
            json!({ "fact": "published", "answer": {} }),
            json!({ "fact": "heard", "heard": [[{ "text": "from ben" }, "ben"], [["from the API"], null], [greeting, "ann"]] }),
            json!({ "fact": "presence", "users": ["ann", "ben"], "stats": { "num_clients": 2, "num_users": 2 } }),
            json!({ "fact": "history", "first": [1, 2], "second": [3], "offset": 3 }),
            json!({ "fact": "bytes", "same": true, "listed": "AAH+/w==" }),
            json!({ "fact": "mixed", "error": error(107, "bad request") }),
            json!({ "fact": "unknown", "error": error(102, "unknown channel") }),
            json!({ "fact": "closed", "error": error(103, "permission denied") }),
            json!({ "fact": "wrong", "error": error(107, "bad request") }),
            json!({ "fact": "recovered", "recovered": true, "data": ["missed"] }),
            json!({ "fact": "carried", "transport": carried }),
            json!({ "fact": "unsubscribed", "args": ["raw", { "code": 2000, "reason": "server unsubscribe" }] }),
            json!({ "fact": "lost", "reason": "transport close", "other": true }),
            json!({ "fact": "ended", "closing": { "code": 4500, "reason": "go away" }, "reason": "io server disconnect", "active": false }),
            json!({ "fact": "same", "same": true }),
        ] {
            assert!(
                facts.contains(&expected),
                "{mode}: {expected} in {facts:#?}"
            );
        }
        let refreshed = the(&facts, "refreshed");
        assert_eq!(refreshed["expires"], true, "{mode}: {refreshed}");
        let stopped = server.stop();
        assert_eq!(stopped.code, Some(0), "{}", stopped.transcript());
    }
}

#[test]
fn the_client_in_python_shares_channels_with_and_without_asyncio() {
    for kind in ["sync", "asyncio"] {
        for (mode, carried) in MODES {
            let (Some(peer), Some(server)) = (
                need::python("talk_socketio_hub.py"),
                Server::start(&["--dev"]),
            ) else {
                return;
            };
            let facts = seen(peer, &server, &[kind, mode]);
            for expected in [
                json!({ "fact": "subscribed", "offset": 0 }),
                json!({ "fact": "data", "same": true }),
                json!({ "fact": "published", "answer": {} }),
                json!({ "fact": "bytes", "same": true }),
                json!({ "fact": "history", "offset": 2 }),
                json!({ "fact": "refused", "answer": { "error": error(102, "unknown channel") } }),
                json!({ "fact": "carried", "transport": carried }),
            ] {
                assert!(
                    facts.contains(&expected),
                    "{kind} {mode}: {expected} in {facts:#?}"
                );
            }
        }
    }
}

/// What a page does.
const CONVERSATION: &str = r#"(async () => {
    const socket = io({ transports: TRANSPORTS });
    const [connected] = await new Promise((resolve, reject) => {
        socket.once("connected", (...args) => resolve(args));
        socket.once("connect_error", reject);
    });
    const { engine } = socket.io;
    const ask = (...args) => socket.timeout(20000).emitWithAck(...args);
    const subscribed = await ask("subscribe", "page");
    const received = new Promise((resolve) => socket.once("publication", (...args) => resolve(args)));
    const published = await ask("publish", "page", new Uint8Array([0, 255]));
    const [channel, data] = await received;
    if (engine.transport.name !== "LAST") {
        await new Promise((resolve) => engine.once("upgrade", resolve));
    }
    const carried = engine.transport.name;
    socket.disconnect();
    return { carried, offset: subscribed.offset, published, channel, data: [...new Uint8Array(data)], client: typeof connected.client };
})()"#;

#[test]
fn the_client_in_a_browser_publishes_and_receives() {
    let (Some(browser), Some(script)) = (
        Browser::start(&[]),
        need::package_file("socket.io-client/dist/socket.io.js"),
    ) else {
        return;
    };
    let script = std::fs::read_to_string(script).expect("the script");
    let script = script.replace("</script", "<\\/script");
    for (mode, carried) in MODES {
        let Some(server) = Server::start(&["--dev"]) else {
            return;
        };
        let page = format!("http://127.0.0.1:{}/a-page", server.port());
        let tab = browser.tab();
        let html = format!("<!doctype html><title>Socket.IO</title><script>{script}</script>");
        tab.serve_text(&page, &html);
        tab.open(&page);
        let transports = match mode {
            "upgrade" => json!(["polling", "websocket"]),
            mode => json!([mode]),
        };
        let conversation = CONVERSATION
            .replace("TRANSPORTS", &transports.to_string())
            .replace("LAST", carried);
        let expected = json!({ "carried": carried, "offset": 0, "published": {}, "channel": "page", "data": [0, 255], "client": "string" });
        assert_eq!(tab.evaluate(&conversation), expected, "{mode}");
    }
}

/// Recovery is on, and a history keeps ten publications.
const RECOVERY: &str = r#"
[http_api]
key = "s3cret"

[client.token]
hmac_secret_key = "a secret for tokens, long enough"

[socketio]
recovery = "on"

[channel.without_namespace]
history_size = 10
history_ttl = "300s"
force_recovery = true
allow_subscribe_for_client = true

[[channel.namespaces]]
name = "live"
allow_subscribe_for_client = true
"#;

fn recovering(more: &[&str]) -> Option<(Server, TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, RECOVERY).unwrap();
    let server = Server::start(&[&["--config", file.to_str().unwrap()], more].concat())?;
    Some((server, directory))
}

/// socket.io#4880, #5538, #5282, #5419.
#[test]
fn a_connection_that_was_lost_comes_back_exactly_or_begins_anew() {
    for mode in ["polling", "websocket"] {
        let (Some(peer), Some((server, _directory))) =
            (need::node("socketio_recovery.mjs"), recovering(&[]))
        else {
            return;
        };
        let facts = seen(peer, &server, &[mode, SECRET, "s3cret"]);
        for expected in [
            json!({ "fact": "pid", "length": 20 }),
            json!({ "fact": "empty", "recovered": true, "told": true, "same": true }),
            json!({ "fact": "zero", "recovered": true, "told": true, "seen": [] }),
            json!({ "fact": "missed", "recovered": true, "told": true, "same": true }),
            json!({ "fact": "again", "recovered": true, "told": true }),
            json!({ "fact": "left", "recovered": true, "told": true }),
            json!({ "fact": "seen", "news": ["news 1", "news 2", "news 3", "news 4", "news 5"], "chat": ["chat a"] }),
            json!({ "fact": "taken", "recovered": true, "same": true, "code": 4509, "reason": "io server disconnect" }),
            json!({ "fact": "newer", "seen": ["news 6"], "older": 6 }),
            json!({ "fact": "stolen", "recovered": false, "same": false, "lives": true }),
            json!({ "fact": "pruned", "recovered": false, "told": false, "same": false }),
            json!({ "fact": "afresh", "seen": ["news after"] }),
            json!({ "fact": "forged", "recovered": false }),
            json!({ "fact": "live", "recovered": false, "told": false, "same": false }),
            json!({ "fact": "gone", "recovered": false, "told": false, "same": false }),
        ] {
            assert!(
                facts.contains(&expected),
                "{mode}: {expected} in {facts:#?}"
            );
        }
    }
}

#[test]
fn a_connection_comes_back_after_kill_9_and_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, RECOVERY).unwrap();
    let options = [
        "--config",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ];
    let Some(mut server) = Server::start(&options) else {
        return;
    };
    let Some(mut peer) = need::node("socketio_recovery.mjs") else {
        return;
    };
    let address = format!("127.0.0.1:{}", server.port());
    peer.arg(format!("http://{address}"))
        .args(["websocket", SECRET, "s3cret", "restart"]);
    let mut peer = Process::start("the client", &mut peer, LIMIT);
    peer.wait_for_text("ready");
    server.process().kill();
    drop(server);
    let again = [&options[..], &["--listen", &address]].concat();
    let _server = Server::start_with(&again).expect("a server");
    let ended = peer.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    for expected in [
        json!({ "fact": "restarted", "recovered": true, "told": true, "same": true }),
        json!({ "fact": "seen", "news": ["news 1", "news 2", "news 3", "news 4"], "chat": ["chat a"] }),
    ] {
        assert!(facts.contains(&expected), "{expected} in {facts:#?}");
    }
}
