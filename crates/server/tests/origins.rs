//! What the log says of those who are not let in, or not believed.

mod support;

use support::Server;

const HANDSHAKE: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// Asks for a WebSocket that isn't granted.
fn ask(server: &Server, path: &str, fields: &str) -> String {
    // A second `Connection` is added, so that the answer ends.
    server.http(&format!(
        "GET {path} HTTP/1.1\r\n{HANDSHAKE}\r\nConnection: Upgrade\r\n{fields}\r\n\r\n"
    ))
}

#[test]
fn a_page_that_is_refused_is_told_in_the_log_with_what_helps_and_not_each_time() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--log-format", "text"]);
    for _ in 0..5 {
        let answer = ask(&server, "/login/ws", "Origin: https://shop.example");
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    assert!(server.banner.contains("  configuration: no file"));
    let host = server.addrs[0].clone();
    server.signal("TERM");
    let (_, stderr) = server.wait();
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| line.contains("a page of another origin was refused"))
        .collect();
    assert!((1..5).contains(&lines.len()), "{stderr}");
    for part in [
        "WARN",
        "https://shop.example",
        &host,
        "/login/ws",
        "set public_url to \"https://shop.example\"",
        "docs/howto/origins.md",
    ] {
        assert!(lines[0].contains(part), "{part}: {stderr}");
    }
}

#[test]
fn a_page_that_may_not_use_the_hub_is_told_with_the_setting() {
    for path in [
        "/connection/websocket",
        "/connection/uni_websocket",
        "/connection/sockjs/websocket",
        "/connection/sse",
    ] {
        let server = Server::start(&["--listen", "127.0.0.1:0", "--log-format", "text"]);
        let answer = match path {
            "/connection/sse" => server.http(&format!(
                "GET {path}?cf_connect=%7B%7D HTTP/1.1\r\nOrigin: https://shop.example\r\n\r\n"
            )),
            path => ask(&server, path, "Origin: https://shop.example"),
        };
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
        server.signal("TERM");
        let (_, stderr) = server.wait();
        let advice = "if it is yours, add \"https://shop.example\" to client.allowed_origins; if a";
        assert!(stderr.contains(advice), "{path}: {stderr}");
    }
}

#[test]
fn a_proxy_that_passes_on_what_cannot_be_believed_is_told_in_the_log() {
    let trusted = ["--listen", "127.0.0.1:0", "--trusted-proxies", "127.0.0.1"];
    let server = Server::start(&trusted);
    let page = "GET /health/live HTTP/1.1\r\nForwarded: for\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    assert!(server.http(page).starts_with("HTTP/1.1 200 "));
    server.signal("TERM");
    let (_, stderr) = server.wait();
    let line = stderr
        .lines()
        .find(|line| line.contains("Forwarded is malformed"));
    assert!(line.is_some_and(|line| line.contains("WARN")), "{stderr}");
}
