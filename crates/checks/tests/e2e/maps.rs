//! Maps with the SDK of JavaScript, unchanged.

use serde_json::json;
use sockeye_checks::{Process, Server, need};

use crate::conversation::{LIMIT, facts, the};

const CONFIGURATION: &str = r#"
[http_api]
key = "s3cret"

[client]
insecure = true

[[channel.namespaces]]
name = "kept"
subscription_type = "map"
allowed_delta_types = ["fossil"]
allow_tags_filter = true

[channel.namespaces.map]
mode = "persistent"
stream_size = 20
min_page_size = 1

[[channel.namespaces]]
name = "short"
subscription_type = "map"

[channel.namespaces.map]
mode = "ephemeral"
key_ttl = "1s"

[[channel.namespaces]]
name = "here"
subscription_type = "map_clients"

[channel.namespaces.map]
mode = "ephemeral"
key_ttl = "60s"

[[channel.namespaces]]
name = "room"
map_clients_presence_channel_prefix = "here:"
"#;

fn run(more: &[&str]) {
    let Some(mut peer) = need::node("maps.mjs") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let Some(server) = Server::start(&["--config", file.to_str().unwrap()]) else {
        return;
    };
    peer.arg(format!("http://127.0.0.1:{}", server.port()))
        .args(["--api-key", "s3cret"])
        .args(more);
    let ended = Process::start("the SDK", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let read = the(&facts, "read");
    assert_eq!((&read["same"], &read["syncs"]), (&json!(true), &json!(1)));
    let changed = the(&facts, "changed");
    assert_eq!(
        (&changed["same"], &changed["deltas"]),
        (&json!(true), &json!(true))
    );
    let recovered = the(&facts, "recovered");
    assert_eq!(recovered["recovered"], true);
    // The entries were not read anew.
    assert_eq!(
        (&recovered["same"], &recovered["syncs"]),
        (&json!(true), &json!(0))
    );
    let anew = the(&facts, "anew");
    assert_eq!(
        (&anew["same"], &anew["recovered"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(the(&facts, "gone")["entries"], 0);
    assert_eq!(the(&facts, "filtered")["keys"], json!(["a", "c"]));
    the(&facts, "end");
}

#[test]
fn a_page_shows_a_map_over_websocket() {
    run(&[]);
}

#[test]
fn a_page_shows_a_map_with_protobuf() {
    run(&["--protobuf"]);
}

#[test]
fn a_page_shows_a_map_over_an_http_stream() {
    run(&["--transport", "http_stream"]);
}
