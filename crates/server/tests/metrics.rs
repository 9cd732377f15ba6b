//! `/metrics` of the binary: who may see it, and what changes when something happens.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sockeye::WebSocket;
use support::{Server, talk};

const CONFIGURATION: &str = r#"
dev = true

[http_api]
key = "s3cret"

[prometheus]
enabled = true
require_key = false
"#;

fn start(configuration: &str) -> Server {
    let files = [("sockeye.toml", configuration)];
    Server::start_with(&["serve", "--listen", "127.0.0.1:0"], &files)
}

/// Returns the metrics by name and labels, as Prometheus' text format writes them.
fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.http("GET /metrics HTTP/1.1\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let format = "content-type: text/plain; version=0.0.4";
    assert!(head.to_lowercase().contains(format), "{head}");
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn order(server: &Server, method: &str, params: &Value) -> Value {
    let body = params.to_string();
    let answer = server.http(&format!("POST /api/{method} HTTP/1.1\r\n\r\n").replace(
        "\r\n\r\n",
        &format!(
            "\r\nX-API-Key: s3cret\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    ));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

async fn subscriber(server: &Server, channel: &str) -> WebSocket {
    let mut websocket = sockeye::connect(server.ws("/connection/websocket"))
        .await
        .unwrap();
    let frame = format!(
        "{}\n{}",
        json!({ "id": 1, "connect": { "name": "js" } }),
        json!({ "id": 2, "subscribe": { "channel": channel } })
    );
    websocket.send(frame).await.unwrap();
    for _ in 0..2 {
        websocket.recv().await.unwrap().expect("a reply");
    }
    websocket
}

#[test]
fn it_is_off_by_default() {
    let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
    let answer = server.http("GET /metrics HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn it_asks_for_the_key_of_the_api() {
    let configuration = "[http_api]\nkey = \"s3cret\"\n\n[prometheus]\nenabled = true\nhandler_prefix = \"/inner/metrics\"\n";
    let server = start(configuration);
    for (field, status) in [
        ("", 401),
        ("X-API-Key: wrong\r\n", 401),
        ("X-API-Key: s3cret\r\n", 200),
        // What `authorization: {type: apikey, credentials: KEY}` of a scrape configuration sends.
        ("Authorization: apikey s3cret\r\n", 200),
    ] {
        let request = "GET /inner/metrics HTTP/1.1\r\n\r\n";
        let request = request.replacen("\r\n\r\n", &format!("\r\n{field}\r\n"), 1);
        let answer = server.http(&request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    let answer = server.http("GET /metrics HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn names_begin_with_the_prefix_that_dashboards_expect() {
    let configuration = format!("{CONFIGURATION}name_prefix = \"centrifugo\"\n");
    let server = start(&configuration);
    talk(async {
        let _websocket = subscriber(&server, "news").await;
        order(&server, "publish", &json!({ "channel": "news", "data": 1 }));
        order(&server, "presence", &json!({ "channel": "" }));
        let metrics = metrics(&server);
        for name in [
            "centrifugo_node_num_clients",
            "centrifugo_node_num_users",
            "centrifugo_node_num_subscriptions",
            "centrifugo_node_num_channels",
            "centrifugo_node_num_nodes",
            "centrifugo_node_messages_sent_count{type=\"publication\"}",
            "centrifugo_node_messages_received_count{type=\"publication\"}",
            "centrifugo_client_command_duration_seconds_histogram_count{method=\"connect\"}",
            "centrifugo_client_recover{recovered=\"yes\",has_recovered_publications=\"yes\"}",
            "centrifugo_client_connections_accepted{transport=\"websocket\",client_name=\"js\"}",
            "centrifugo_client_connections_inflight{transport=\"websocket\",client_name=\"js\"}",
            "centrifugo_client_subscriptions_inflight{client_name=\"js\"}",
            "centrifugo_client_ping_pong_duration_seconds_count{transport=\"websocket\"}",
            "centrifugo_transport_messages_sent{transport=\"websocket\",frame_type=\"connect\"}",
            "centrifugo_transport_messages_sent_size{transport=\"websocket\",frame_type=\"connect\"}",
            "centrifugo_transport_messages_received{transport=\"websocket\",frame_type=\"subscribe\"}",
            "centrifugo_transport_messages_received_size{transport=\"websocket\",frame_type=\"subscribe\"}",
            "centrifugo_api_command_duration_seconds_histogram_count{method=\"publish\",protocol=\"http\"}",
            "centrifugo_api_command_errors_total{error=\"107\",method=\"presence\",protocol=\"http\"}",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
        ] {
            assert!(metrics.contains_key(name), "no {name} in {metrics:#?}");
        }
        assert!(
            metrics
                .keys()
                .all(|name| { name.starts_with("centrifugo_") || name.starts_with("process_") })
        );
    });
}

#[test]
fn counts_change_when_something_happens() {
    let server = start(CONFIGURATION);
    talk(async {
        let before = metrics(&server);
        assert_eq!(before["sockeye_websocket_connections"], 0.0);
        assert_eq!(before["sockeye_node_num_clients"], 0.0);
        let mut first = subscriber(&server, "news").await;
        let second = subscriber(&server, "news").await;
        let published = order(&server, "publish", &json!({ "channel": "news", "data": 1 }));
        assert_eq!(published["result"]["offset"], json!(1));
        let push = first.recv().await.unwrap().expect("the publication");
        let push = push.as_bytes().len();
        let during = metrics(&server);
        assert_eq!(during["sockeye_websocket_connections"], 2.0);
        assert_eq!(during["sockeye_node_num_subscriptions"], 2.0);
        let sent = "{transport=\"websocket\",frame_type=\"push_publication\"}";
        assert_eq!(
            during[&format!("sockeye_transport_messages_sent{sent}")],
            2.0
        );
        assert_eq!(
            during[&format!("sockeye_transport_messages_sent_size{sent}")],
            2.0 * push as f64
        );
        assert_eq!(
            during["sockeye_node_publish_to_delivery_seconds_count"],
            1.0
        );
        let api = "sockeye_api_command_duration_seconds_histogram_count{method=\"publish\",protocol=\"http\"}";
        assert_eq!(during[api], 1.0);
        assert!(during["sockeye_memory_budget_limit_bytes"] > 1e6);
        drop(second);
        first.send("nonsense").await.unwrap();
        while first.recv().await.is_ok_and(|message| message.is_some()) {}
        // The server closes its side a moment after the client has seen it.
        let closed =
            "sockeye_transport_outgoing_close_count{transport=\"websocket\",code=\"3501\"}";
        let after = loop {
            let after = metrics(&server);
            if after["sockeye_websocket_connections"] == 0.0 && after.contains_key(closed) {
                break after;
            }
        };
        assert_eq!(after["sockeye_node_num_clients"], 0.0);
        assert_eq!(
            after["sockeye_client_num_server_disconnects{code=\"3501\"}"],
            1.0
        );
        assert_eq!(after[closed], 1.0);
        let ended = |cause| after[&format!("sockeye_websocket_endings_total{{cause=\"{cause}\"}}")];
        assert_eq!(ended("clean") + ended("unclean"), 2.0);
    });
}

#[test]
fn a_slow_reader_counts_as_one() {
    let configuration = format!("{CONFIGURATION}\n[client]\nqueue_max_size = \"16KiB\"\n");
    let server = start(&configuration);
    talk(async {
        // It reads nothing from now on.
        let _slow = subscriber(&server, "news").await;
        let name = "sockeye_client_num_server_disconnects{code=\"3008\"}";
        let data = "x".repeat(32 << 10);
        while metrics(&server).get(name) != Some(&1.0) {
            order(
                &server,
                "publish",
                &json!({ "channel": "news", "data": data }),
            );
        }
    });
}

#[test]
fn what_clients_say_makes_no_labels() {
    let server = start(CONFIGURATION);
    talk(async {
        let _websocket = subscriber(&server, "news").await;
        let before: Vec<String> = metrics(&server).into_keys().collect();
        // Kept, since each end would count too.
        let mut open = Vec::new();
        for number in 0..20 {
            let mut websocket = sockeye::connect(server.ws("/connection/websocket"))
                .await
                .unwrap();
            let connect = json!({ "name": "js", "version": format!("{number}") });
            let frame = format!(
                "{}\n{}",
                json!({ "id": 1, "connect": connect }),
                json!({ "id": 2, "subscribe": { "channel": format!("c{number}") } })
            );
            websocket.send(frame).await.unwrap();
            for _ in 0..2 {
                websocket.recv().await.unwrap().expect("a reply");
            }
            open.push(websocket);
            order(&server, &format!("made_up_{number}"), &json!({}));
        }
        let after: Vec<String> = metrics(&server).into_keys().collect();
        assert_eq!(before, after);
    });
}
