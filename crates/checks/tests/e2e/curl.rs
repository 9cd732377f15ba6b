//! curl, which shows the HTTP that it gets.

use std::process::{Command, Stdio};

use sockeye_checks::{Ended, Process, Server, need};

use crate::conversation::LIMIT;

#[test]
fn the_answer_to_an_upgrade_is_101_with_the_accept_of_the_example_key() {
    let Some(curl) = need::curl() else { return };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let ended = upgrade(curl, &server, "/echo", &["Sec-WebSocket-Version: 13"]);
    let head = head(&ended);
    assert_eq!(head[0], "HTTP/1.1 101 Switching Protocols");
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    assert_eq!(
        field(&head, "connection").map(str::to_lowercase).as_deref(),
        Some("upgrade")
    );
    // The example of RFC 6455 section 1.3.
    assert_eq!(
        field(&head, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(field(&head, "sec-websocket-extensions"), None);
    assert_eq!(field(&head, "sec-websocket-protocol"), None);
}

#[test]
fn another_version_is_answered_with_426_and_the_version_that_is_spoken() {
    let Some(curl) = need::curl() else { return };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let ended = upgrade(curl, &server, "/echo", &["Sec-WebSocket-Version: 12"]);
    let head = head(&ended);
    assert!(head[0].starts_with("HTTP/1.1 426 "), "{head:?}");
    // RFC 6455 section 4.4.
    assert_eq!(field(&head, "sec-websocket-version"), Some("13"));
}

#[test]
fn an_upgrade_on_an_unknown_path_is_answered_with_404() {
    let Some(curl) = need::curl() else { return };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let ended = upgrade(curl, &server, "/nowhere", &["Sec-WebSocket-Version: 13"]);
    assert!(
        head(&ended)[0].starts_with("HTTP/1.1 404 "),
        "{}",
        ended.transcript()
    );
}

#[test]
fn a_plain_request_gets_the_welcome_page() {
    let Some(mut curl) = need::curl() else { return };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let url = server.url("/").replace("ws://", "http://");
    curl.args(["--silent", "--include", "--http1.1", "--noproxy", "*", &url]);
    let ended = Process::start("curl", &mut curl, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let head = head(&ended);
    assert!(head[0].starts_with("HTTP/1.1 200 "), "{head:?}");
    assert!(field(&head, "content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(ended.out().iter().any(|line| line.contains("<html")));
}

#[test]
fn curls_own_websocket_talks_to_the_server() {
    let Some(mut curl) = need::curl() else { return };
    if !speaks_websocket() {
        // Most builds of curl have no WebSocket, so that this isn't a failure.
        eprintln!("skipped: this curl does not speak ws://");
        return;
    }
    let Some(server) = Server::start(&[]) else {
        return;
    };
    curl.args(["--silent", "--include", "--noproxy", "*", "--max-time", "2"]);
    curl.arg(server.url("/echo"));
    let ended = Process::start("curl", &mut curl, LIMIT).wait();
    assert_eq!(head(&ended)[0], "HTTP/1.1 101 Switching Protocols");
}

/// Asks for an upgrade by hand, with the key of RFC 6455 section 1.3, and leaves after the answer's head.
fn upgrade(mut curl: Command, server: &Server, path: &str, headers: &[&str]) -> Ended {
    let url = server.url(path).replace("ws://", "http://");
    // One second of silence ends it: after a 101 curl would wait for the end of the body.
    curl.args([
        "--silent",
        "--include",
        "--no-buffer",
        "--http1.1",
        "--noproxy",
        "*",
    ]);
    curl.args([
        "--max-time",
        "1",
        "--header",
        "Upgrade: websocket",
        "--header",
        "Connection: Upgrade",
    ]);
    curl.args(["--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]);
    for header in headers {
        curl.args(["--header", header]);
    }
    Process::start("curl", curl.arg(url), LIMIT).wait()
}

fn head(ended: &Ended) -> Vec<String> {
    let out = ended.out();
    let lines = out.iter().take_while(|line| !line.is_empty());
    let head: Vec<String> = lines.map(|line| (*line).to_owned()).collect();
    assert!(!head.is_empty(), "no answer\n{}", ended.transcript());
    head
}

fn field<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let mut fields = head[1..].iter().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

fn speaks_websocket() -> bool {
    let version = Command::new("curl")
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let version = version.map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version).into_owned();
    let protocols = version.lines().find(|line| line.starts_with("Protocols:"));
    protocols.is_some_and(|line| line.split_whitespace().any(|word| word == "ws"))
}
