//! The hub with the SDKs that people use, unchanged.

use serde_json::json;
use sockeye_checks::{Process, Server, need};

use crate::conversation::{LIMIT, facts, the};

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
"#;

/// Runs the whole scenario of the JavaScript SDK over one transport.
fn javascript(transport: &str, more: &[&str]) {
    let Some(mut peer) = need::node("centrifuge.mjs") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let Some(server) = Server::start(&["--config", file.to_str().unwrap()]) else {
        return;
    };
    peer.arg(format!("http://127.0.0.1:{}", server.port()))
        .args(["--transport", transport])
        .args(["--secret", "a secret for tokens, long enough"])
        .args(["--api-key", "s3cret"])
        .args(more);
    let ended = Process::start("the SDK", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let talked = the(&facts, "talked");
    let numbers =
        [1, 2, 3, 4].map(|number| json!({ "data": { "number": number }, "offset": number }));
    assert_eq!(talked["got"], json!(numbers));
    assert_eq!(talked["history"], json!([1, 2, 3, 4]));
    assert_eq!(talked["users"], json!(["ann"]));
    assert_eq!(talked["stats"]["numClients"], json!(1));
    let refused = the(&facts, "refused");
    assert_eq!(
        (&refused["unknown"], &refused["rpc"]),
        (&json!(102), &json!(108))
    );
    let recovered = the(&facts, "recovered");
    assert_eq!(recovered["numbers"], json!([1, 2, 3, 4, 5, 6, 7, 8, 9]));
    let last = recovered["subscribed"].as_array().unwrap().last().unwrap();
    assert_eq!(*last, json!({ "wasRecovering": true, "recovered": true }));
    assert_eq!(
        the(&facts, "heard")["heard"],
        json!(["join bob", "leave bob"])
    );
    assert_eq!(
        the(&facts, "direct")["direct"],
        json!([["direct", 1], ["more", 2]])
    );
    assert_eq!(the(&facts, "refreshed")["state"], json!("connected"));
    the(&facts, "end");
}

#[test]
fn javascript_over_websocket() {
    javascript("websocket", &[]);
}

#[test]
fn javascript_over_websocket_with_protobuf() {
    javascript("websocket", &["--protobuf"]);
}

#[test]
fn javascript_over_an_http_stream() {
    javascript("http_stream", &[]);
}

#[test]
fn javascript_over_server_sent_events() {
    javascript("sse", &[]);
}
