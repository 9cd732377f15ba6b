//! Chromium: a real browser, its own WebSocket, real pages.

use serde_json::json;
use sockeye_checks::{Browser, Certificate, Server, Tab};

use crate::conversation::Deflate;

/// Sends all kinds of messages to the echo endpoint at `URL`, and prints what came back.
const CONVERSATION: &str = r#"(async () => {
    const socket = new WebSocket("URL");
    socket.binaryType = "arraybuffer";
    const next = (name) => new Promise((resolve, reject) => {
        socket.addEventListener(name, resolve, { once: true });
        socket.addEventListener("error", () => reject(new Error("connection failed")), { once: true });
    });
    await next("open");
    const noise = new Uint8Array(1 << 20);
    for (let at = 0; at < noise.length; at += 65536) {
        crypto.getRandomValues(noise.subarray(at, at + 65536));
    }
    const same = (sent, got) => typeof sent === "string"
        ? sent === got
        : sent.length === got.byteLength && new Uint8Array(got).every((byte, at) => byte === sent[at]);
    const echoed = [];
    for (const message of ["Grüße, 你好, 🐟", "", "d".repeat(1 << 20), noise, new Uint8Array(0)]) {
        socket.send(message);
        echoed.push(same(message, (await next("message")).data));
    }
    const extensions = socket.extensions;
    socket.close(4001, "再见");
    const { code, reason, wasClean } = await next("close");
    return { echoed, extensions, code, reason, wasClean };
})()"#;

#[test]
fn a_page_talks_to_its_own_server() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tab = browser.tab();
    let page = server.url("/").replace("ws://", "http://");
    assert_eq!(tab.open(&page)["status"], 200);
    assert_talks(&tab, &server.url("/echo"), Deflate::On);
    // The welcome page has an echo endpoint of its own.
    assert_talks(&tab, &server.url("/"), Deflate::On);
}

#[test]
fn a_page_from_elsewhere_talks_to_the_server_without_deflate() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&["--deflate", "off"]) else {
        return;
    };
    // An empty page has no origin: Chromium sends "null".
    assert_talks(&browser.tab(), &server.url("/echo"), Deflate::Off);
}

#[test]
fn a_page_talks_over_tls() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(browser) = Browser::start(&["--ignore-certificate-errors"]) else {
        return;
    };
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    let tab = browser.tab();
    // Without a page from there first, Chromium has no HTTP/2 connection to use and asks for an Upgrade.
    assert_talks(&tab, &server.url("/echo"), Deflate::On);
}

#[test]
fn a_page_sees_why_the_server_closes() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tab = browser.tab();
    let url = server.url("/echo");
    tab.evaluate(&format!(
        r#"new Promise((resolve) => {{
            window.ending = null;
            const socket = new WebSocket("{url}");
            socket.onopen = resolve;
            socket.onclose = ({{ code, reason, wasClean }}) => {{ window.ending = {{ code, reason, wasClean }}; }};
        }})"#
    ));
    let stopped = server.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.transcript());
    tab.until("window.ending !== null");
    let ending = tab.evaluate("window.ending");
    assert_eq!(
        (&ending["code"], &ending["wasClean"]),
        (&json!(1012), &json!(true))
    );
    // The time after which to reconnect, for programs.
    let reason = ending["reason"].as_str().unwrap_or_default();
    let time = reason.strip_prefix("restart retry_ms=");
    let time: u64 = time.and_then(|time| time.parse().ok()).expect(reason);
    assert!((1000..=6000).contains(&time), "{reason}");
}

#[test]
fn a_message_over_the_limit_is_refused_with_1009() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let code = browser.tab().evaluate(&format!(
        r#"new Promise((resolve) => {{
            const socket = new WebSocket("{}");
            socket.onopen = () => socket.send("x".repeat((16 << 20) + 1));
            socket.onclose = ({{ code }}) => resolve(code);
        }})"#,
        server.url("/echo")
    ));
    assert_eq!(code, 1009);
}

#[track_caller]
fn assert_talks(tab: &Tab<'_>, url: &str, deflate: Deflate) {
    let seen = tab.evaluate(&CONVERSATION.replace("URL", url));
    let mut expected = json!({
        "echoed": [true, true, true, true, true],
        "code": 4001,
        "reason": "再见",
        "wasClean": true,
    });
    expected["extensions"] = seen["extensions"].clone();
    assert_eq!(seen, expected);
    let extensions = seen["extensions"].as_str().unwrap_or_default();
    let agreed = extensions.starts_with("permessage-deflate");
    assert_eq!(agreed, deflate == Deflate::On, "{extensions:?}");
    assert_eq!(tab.errors(), Vec::<String>::new());
}
