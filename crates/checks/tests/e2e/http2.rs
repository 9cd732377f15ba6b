//! WebSocket over HTTP/2 (RFC 8441), as Python's `h2` and Chromium do it.

use serde_json::Value;
use sockeye_checks::{Browser, Certificate, Process, Server, need};

use crate::conversation::{LIMIT, assert_closed, assert_echoed, facts, the};

#[test]
fn h2_talks_to_the_server() {
    let Some(mut peer) = need::python("h2_talk.py") else {
        return;
    };
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    peer.args([&server.port().to_string(), "/echo", &chain]);
    let ended = Process::start("h2", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    assert_eq!(the(&facts, "tls")["alpn"], "h2");
    // RFC 8441 section 3: the server says that it can.
    assert_eq!(the(&facts, "settings")["connect_protocol"], 1);
    // Section 5: 200 in place of 101, and no Sec-WebSocket-Accept.
    assert_eq!(the(&facts, "open")["status"], "200");
    assert_eq!(the(&facts, "open")["has_accept"], false);
    assert_echoed(&facts);
    assert_eq!(the(&facts, "pong")["text"], "are you there?");
    assert_closed(&facts, 4001, "再见");
    // Section 5: the end of the connection is the end of the stream.
    the(&facts, "ended");
}

#[test]
fn chromium_uses_http2_where_it_has_such_a_connection() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("net.json");
    let log_argument = format!("--log-net-log={}", log.display());
    let Some(browser) = Browser::start(&["--ignore-certificate-errors", &log_argument]) else {
        return;
    };
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    let port = server.port();

    let tab = browser.tab();
    let opened = tab.open(&format!("https://localhost:{port}/"));
    assert_eq!(
        (&opened["status"], &opened["version"]),
        (&200.into(), &"h2".into())
    );
    let answer = tab.evaluate(&format!(
        r#"new Promise((resolve, reject) => {{
            const socket = new WebSocket("wss://localhost:{port}/echo");
            socket.onerror = () => reject(new Error("no connection"));
            socket.onopen = () => socket.send("over HTTP/2");
            socket.onmessage = ({{ data }}) => {{ socket.close(4003, "done"); socket.answer = data; }};
            socket.onclose = ({{ code, wasClean }}) => resolve([socket.answer, code, wasClean]);
        }})"#
    ));
    assert_eq!(answer, serde_json::json!(["over HTTP/2", 4003, true]));
    browser.quit();

    // The browser's own log shows that it has sent an extended CONNECT, and no Upgrade.
    let text = std::fs::read_to_string(&log).expect("Chromium's log");
    let log: Value = serde_json::from_str(&text).expect("a complete log");
    assert!(
        text.contains(":protocol: websocket"),
        "no extended CONNECT in {} events",
        count(&log)
    );
    assert!(!text.contains("Upgrade: websocket"));
}

fn count(log: &Value) -> usize {
    log["events"].as_array().map_or(0, Vec::len)
}
