//! The hub with back ends: clients of its API, applications that decide, and what reads its document and its metrics.

use std::process::Command;

use serde_json::json;
use sockeye_checks::{Process, Server, blocks_of_page, need, replaced};
use tempfile::TempDir;

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

[[channel.namespaces]]
name = "board"
subscription_type = "map"
map = { mode = "persistent" }
"#;

/// The fields of each order's request.
const ORDER_FIELDS: [(&str, &str); 20] = [
    (
        "publish",
        "channel data b64data skip_history tags idempotency_key version version_epoch",
    ),
    (
        "broadcast",
        "channels data b64data skip_history tags idempotency_key version version_epoch",
    ),
    (
        "subscribe",
        "channel user client session data b64data info b64info expire_at override recover_since",
    ),
    ("unsubscribe", "channel user client session"),
    ("disconnect", "user client session disconnect whitelist"),
    ("refresh", "user client session expired expire_at info"),
    ("presence", "channel"),
    ("presence_stats", "channel"),
    ("history", "channel limit since reverse"),
    ("history_remove", "channel"),
    (
        "map_publish",
        "channel key key_mode data b64data tags idempotency_key version version_epoch",
    ),
    ("map_remove", "channel key idempotency_key"),
    (
        "map_read_state",
        "channel key cursor limit revision_offset revision_epoch",
    ),
    (
        "map_read_stream",
        "channel limit since_offset since_epoch reverse",
    ),
    ("map_stats", "channel"),
    ("map_clear", "channel"),
    ("channels", "pattern"),
    ("info", ""),
    ("rpc", ""),
    ("batch", "commands parallel"),
];

/// Starts a server with the configuration. The directory must outlive it.
fn start() -> Option<(Server, TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let server = Server::start(&["--config", file.to_str().unwrap()])?;
    Some((server, directory))
}

#[test]
fn the_api_does_what_its_openapi_document_says() {
    let Some(mut peer) = need::python("openapi.py") else {
        return;
    };
    let Some((server, _directory)) = start() else {
        return;
    };
    peer.arg(format!("http://127.0.0.1:{}", server.port()))
        .arg("s3cret");
    let ended = Process::start("the validator", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let fields = &the(&facts, "orders")["fields"];
    for (order, expected) in ORDER_FIELDS {
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        expected.sort_unstable();
        assert_eq!(fields[order], json!(expected), "{order}");
    }
    assert_eq!(fields.as_object().unwrap().len(), ORDER_FIELDS.len());
    let keys = the(&facts, "keys");
    assert_eq!(
        keys["with"],
        json!({ "field": 200, "authorization": 200, "query": 200 })
    );
    assert_eq!(keys["without"], json!(401));
}

#[test]
fn what_the_server_counts_is_the_text_format_of_prometheus() {
    let Some(mut peer) = need::python("metrics.py") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    let configuration = format!("{CONFIGURATION}\n[prometheus]\nenabled = true\n");
    std::fs::write(&file, configuration).unwrap();
    let Some(server) = Server::start(&["--config", file.to_str().unwrap()]) else {
        return;
    };
    peer.arg(format!("http://127.0.0.1:{}/metrics", server.port()))
        .arg("s3cret");
    let ended = Process::start("the parser", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let metrics = the(&facts, "metrics");
    assert_eq!(metrics["clients"].as_f64(), Some(0.0));
    assert_eq!(metrics["without_help"], json!([]));
    assert_eq!(metrics["wrong_histograms"], json!([]));
    let types = &metrics["types"];
    for (name, kind) in [
        ("sockeye_node_num_clients", "gauge"),
        // The parser takes the end of a counter's name off.
        ("sockeye_websocket_endings", "counter"),
        ("sockeye_client_recover", "counter"),
        ("sockeye_node_publish_to_delivery_seconds", "histogram"),
        ("process_resident_memory_bytes", "gauge"),
    ] {
        assert_eq!(types[name], json!(kind), "{name}");
    }
}

/// Lets a back end give each order, and compares the answers.
#[track_caller]
fn orders_are_carried_out(peer: Option<Command>) {
    let Some(mut peer) = peer else {
        return;
    };
    let Some((server, _directory)) = start() else {
        return;
    };
    peer.arg(format!("http://127.0.0.1:{}/api", server.port()))
        .arg("s3cret");
    let ended = Process::start("the back end", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let published = the(&facts, "published");
    assert_eq!(
        (&published["offset"], &published["refused"]),
        (&json!(1), &json!(102))
    );
    assert_eq!(published["history"], json!([1, 2]));
    assert_eq!(the(&facts, "batch")["offsets"], json!([3, 4]));
    let asked = the(&facts, "asked");
    assert_eq!(
        (&asked["presence"], &asked["channels"]),
        (&json!({}), &json!({}))
    );
    assert_eq!((&asked["clients"], &asked["nodes"]), (&json!(0), &json!(1)));
    assert_eq!(the(&facts, "refused")["refused"], json!(true));
}

#[test]
fn a_python_back_end_gives_orders() {
    orders_are_carried_out(need::python("hub_api.py"));
}

#[test]
fn a_javascript_back_end_gives_orders() {
    orders_are_carried_out(need::node("hub_api.mjs"));
}

/// HUB 4, scenario 34: where a ping's deadline for writing stays behind, it ends the HTTP/2 stream later.
#[test]
fn pings_leave_no_deadline_behind_on_an_http2_stream() {
    let options = [
        ["--client-insecure", "on"],
        ["--uni-sse-enabled", "on"],
        ["--client-ping-interval", "1s"],
        ["--client-pong-timeout", "500ms"],
        ["--http-send-timeout", "1s"],
        ["--http-api-key", "s3cret"],
        [
            "--channel-without-namespace-allow-subscribe-for-client",
            "on",
        ],
    ];
    let (Some(mut curl), Some(server)) = (need::curl(), Server::start(&options.concat())) else {
        return;
    };
    let origin = format!("http://127.0.0.1:{}", server.port());
    curl.args([
        "--silent",
        "--show-error",
        "--no-buffer",
        "--http2-prior-knowledge",
    ])
    .args(["--write-out", "HTTP/%{http_version} "])
    .arg(format!(
        "{origin}/connection/uni_sse?cf_connect=%7B%22subs%22:%7B%22news%22:%7B%7D%7D%7D"
    ));
    let mut stream = Process::start("curl", &mut curl, LIMIT);
    stream.wait_for_text("\"news\"");
    // Longer than any of the deadlines.
    for _ in 0..5 {
        stream.wait_for("a ping", |line| (line.text == "data: {}").then_some(()));
    }
    let mut order = need::curl().expect("it was there");
    let body = json!({ "channel": "news", "data": "after the pings" });
    let order = order
        .args(["--silent", "--header", "X-API-Key: s3cret", "--data"])
        .arg(body.to_string())
        .arg(format!("{origin}/api/publish"));
    let answer = order.output().unwrap();
    assert_eq!(answer.stdout, b"{\"result\":{}}\n");
    stream.wait_for_text("after the pings");
    // The server ends the stream when it stops, and curl says by which version it came.
    drop(server);
    let ended = stream.wait();
    assert!(
        ended.transcript().contains("HTTP/2 "),
        "{}",
        ended.transcript()
    );
}

/// Starts the server of the page about hooks, with a back end of the page, and runs the SDK.
fn hooked(language: &str, file: &str, back_end: impl Fn(&str) -> Option<Command>) {
    const PAGE: &str = "authorise-with-your-back-end.md";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file);
    let first = |language: &str| blocks_of_page(PAGE, language).swap_remove(0);
    std::fs::write(&path, first(language)).unwrap();
    let Some(mut command) = back_end(path.to_str().unwrap()) else {
        return;
    };
    let mut back_end = Process::start("the back end", command.env("PORT", "0"), LIMIT);
    let line = back_end.wait_for_text("listening on ");
    let port = line.rsplit(' ').next().unwrap();
    let mut configuration = first("toml");
    for hook in ["connect", "subscribe", "publish", "rpc"] {
        let endpoint = |port: &str| format!("http://127.0.0.1:{port}/sockeye/{hook}");
        configuration = replaced(&configuration, &endpoint("3000"), &endpoint(port));
    }
    // The machine may be busy with other tests.
    let slow = configuration.replace("endpoint =", "timeout = \"60s\"\nendpoint =");
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, slow).unwrap();
    let Some(mut peer) = need::node("hooked.mjs") else {
        return;
    };
    let Some(server) = Server::start(&["--config", file.to_str().unwrap()]) else {
        return;
    };
    peer.arg(server.url("/connection/websocket"));
    let ended = Process::start("the SDK", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let of = |name: &str, keys: [&str; 2]| keys.map(|key| the(&facts, name)[key].clone());
    assert_eq!(
        of("stranger", ["code", "reason"]),
        [json!(4501), json!("log in first")]
    );
    assert_eq!(
        of("empty", ["code", "message"]),
        [json!(400), json!("say something")]
    );
    let got = json!([{ "data": { "from": "ann", "text": "hello" }, "name": "Ann" }]);
    let answer = json!({ "method": "whoami", "user": "ann" });
    assert_eq!(of("ann", ["got", "answer"]), [got, answer]);
    assert_eq!(
        of("bob", ["code", "reason"]),
        [json!(403), json!("not your room")]
    );
    the(&facts, "end");
}

#[test]
fn a_back_end_in_javascript_decides() {
    hooked("js", "back_end.mjs", need::node);
}

#[test]
fn a_back_end_in_python_decides() {
    hooked("py", "back_end.py", need::python);
}
