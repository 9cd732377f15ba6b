//! The welcome page, in a browser, after the first start of `sockeye`.

use std::fs;

use serde_json::json;
use sockeye_checks::{Browser, Port, Server, Tab};

#[test]
fn the_page_begins_with_a_round_trip_and_a_message_box_that_has_the_focus() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = browser.stranger();
    tab.open(&page(&server));
    tab.until("document.querySelectorAll('#echo .log .same').length === 1");
    tab.until("/^[0-9.]+ ms$/.test(document.querySelector('#echo .last').textContent)");
    assert_eq!(
        tab.evaluate("document.activeElement.matches('#echo .text')"),
        true
    );
    // The server's figures, over a WebSocket of their own: this one and the echo.
    tab.until("document.querySelector('.l-sessions').textContent === '2'");
    tab.until("/^0:00:[0-9]{2}$/.test(document.querySelector('.l-uptime').textContent)");
    assert_eq!(text(&tab, ".l-version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_page_echoes_text_json_hex_and_a_file() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    let same = |count: u32| {
        tab.until(&format!(
            "document.querySelectorAll('#echo .log .same').length === {count}"
        ));
    };
    let choose = |kind: &str| {
        tab.evaluate(&format!(
            "document.querySelector('#echo .kind').value = '{kind}'"
        ));
    };
    tab.fill("#echo .text", "Grüße, 你好");
    tab.click("#echo .compose button");
    same(1);
    // A message and its echo are one row.
    assert_eq!(
        tab.evaluate("document.querySelectorAll('#echo .log li').length"),
        1
    );
    choose("json");
    tab.fill("#echo .text", "{\"a\": [1]}");
    tab.press("#echo .text", "Enter");
    same(2);
    tab.click("#echo .log summary");
    tab.until("document.querySelector('#echo .log pre').textContent === '{\\n  \"a\": [\\n    1\\n  ]\\n}'");
    tab.fill("#echo .text", "{a}");
    tab.press("#echo .text", "Enter");
    tab.until("document.querySelector('#echo .error').textContent === 'This is not JSON.'");
    choose("hex");
    tab.fill("#echo .text", "48 65 6C6c 6f 20 00 ff 21");
    tab.press("#echo .text", "Enter");
    same(3);
    tab.evaluate("[...document.querySelectorAll('#echo .log summary')].at(-1).click()");
    tab.until("[...document.querySelectorAll('#echo .log pre')].at(-1).textContent === '0000  48 65 6c 6c 6f 20 00 ff  Hello ..\\n0008  21                       !\\n'");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("all-bytes.bin");
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    fs::write(&file, bytes).expect("a file can be written");
    tab.choose("#echo input[type=file]", &file.display().to_string());
    same(4);
    // The arrow keys bring back what was sent.
    for (key, expected) in [
        ("ArrowUp", "48 65 6C6c 6f 20 00 ff 21"),
        ("ArrowUp", "{\"a\": [1]}"),
        ("ArrowDown", "48 65 6C6c 6f 20 00 ff 21"),
        ("ArrowDown", ""),
    ] {
        tab.press("#echo .text", key);
        assert_eq!(
            tab.evaluate("document.querySelector('#echo .text').value"),
            expected
        );
    }
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn what_one_visitor_publishes_all_see_and_who_comes_later_has_the_history() {
    let Some((browser, server)) = scene(&["--dev"]) else {
        return;
    };
    let (one, two) = (open(&browser, &server), open(&browser, &server));
    for tab in [&one, &two] {
        subscribed(tab);
        tab.until("document.querySelectorAll('#hub .people li').length === 2");
        assert_eq!(
            tab.evaluate("document.querySelectorAll('#hub .people .own').length"),
            1
        );
    }
    publish(&one, "to everybody");
    for tab in [&one, &two] {
        tab.until(&heard("to everybody", 1));
    }
    assert_eq!(
        one.evaluate("document.querySelectorAll('#hub .log .own').length"),
        1
    );
    assert_eq!(
        two.evaluate("document.querySelectorAll('#hub .log .own').length"),
        0
    );
    // JSON is published as JSON.
    two.evaluate("document.querySelector('#hub .kind').value = 'json'");
    publish(&two, "{\"a\": 1}");
    one.until(&heard("{\"a\":1}", 2));
    let three = open(&browser, &server);
    three.until(&heard("to everybody", 1));
    three.until(&heard("{\"a\":1}", 2));
    assert_eq!(
        three.evaluate("document.querySelector('#hub .log li:last-child .body').textContent"),
        "Subscribed to lobby at offset 2."
    );
    // Another channel is another history.
    three.fill("#hub .channel", "tea room");
    three.click("#hub .join");
    subscribed(&three);
    three.until("location.hash === '#channel=tea+room'");
    one.until("document.querySelectorAll('#hub .people li').length === 2");
    publish(&three, "tea?");
    three.until(&heard("tea?", 1));
    // Its address opens it.
    let four = browser.stranger();
    let address = three.evaluate("location.href");
    four.open(address.as_str().expect("an address"));
    subscribed(&four);
    four.until(&heard("tea?", 1));
    for tab in [&one, &two, &three, &four] {
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn a_visitor_who_cuts_the_connection_gets_what_was_missed() {
    let Some((browser, server)) = scene(&["--dev"]) else {
        return;
    };
    let tab = open(&browser, &server);
    subscribed(&tab);
    publish(&tab, "before");
    tab.until(&heard("before", 1));
    tab.click("#hub .cut");
    tab.until("document.querySelector('#hub .word').textContent === 'Closed'");
    tab.until(
        "/^Retrying in [1-3] s$/.test(document.querySelector('#hub .countdown').textContent)",
    );
    tab.until(&noted("Recovered 3, offsets 2 to 4: nothing is missing."));
    subscribed(&tab);
    let offsets = "panels[1].log.lines.flatMap(({ offset }) => offset ?? [])";
    assert_eq!(tab.evaluate(offsets), json!([1, 2, 3, 4]));
    publish(&tab, "after");
    tab.until(&heard("after", 5));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn a_history_that_is_gone_is_told() {
    let port = Port::reserve();
    let address = port.addr().to_string();
    let start = || Server::start_with(&["--listen", &address, "--dev"]);
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = start() else { return };
    let tab = open(&browser, &server);
    subscribed(&tab);
    publish(&tab, "before");
    tab.until(&heard("before", 1));
    server.stop();
    tab.until("document.querySelector('#hub .word').textContent === 'Connection lost'");
    let Some(_server) = start() else { return };
    tab.until("document.querySelector('#hub').dataset.state === 'open'");
    tab.until(&noted("Not recovered: the history from before is gone."));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn where_clients_need_a_token_the_page_says_what_to_do() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    tab.until("document.querySelector('#hub .word').textContent === 'Token needed'");
    assert_eq!(text(&tab, "#hub .needs code"), "sockeye serve --dev");
    assert!(text(&tab, "#hub .needs").contains("client.allow_anonymous_connect_without_token"));
    let shown = "['.needs', '.compose', '.dev', '.log'].map((part) => document.querySelector(`#hub ${part}`).checkVisibility())";
    assert_eq!(tab.evaluate(shown), json!([true, false, false, false]));
    // It doesn't even try.
    assert_eq!(tab.evaluate("panels[1].socket === undefined"), true);
}

#[test]
fn anonymous_clients_have_the_rights_of_the_channel_and_no_more() {
    let Some((browser, server)) = scene(&[
        "--client-allow-anonymous-connect-without-token",
        "on",
        "--channel-without-namespace-allow-subscribe-for-client",
        "on",
        "--channel-without-namespace-allow-subscribe-for-anonymous",
        "on",
    ]) else {
        return;
    };
    let tab = open(&browser, &server);
    subscribed(&tab);
    tab.until(&noted(
        "No history (history_size, history_ttl), so nothing is recovered.",
    ));
    publish(&tab, "may I?");
    tab.until(&noted("The server refuses it: permission denied (103)."));
    assert_eq!(
        tab.evaluate("document.querySelector('#hub .dev').hidden"),
        true
    );
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn a_code_opens_the_channel_on_a_phone() {
    let Some((browser, server)) = scene(&["--dev", "--public-url", "https://ws.example"]) else {
        return;
    };
    let tab = open(&browser, &server);
    subscribed(&tab);
    tab.click("#hub .phone summary");
    tab.until("document.querySelector('#hub .there').href === 'https://ws.example/#channel=lobby'");
    tab.until(
        "document.querySelector('#hub .qr path').getAttribute('d').startsWith('M4 4h7v1h-7z')",
    );
    let Some(server) = Server::start(&["--dev"]) else {
        return;
    };
    let tab = open(&browser, &server);
    subscribed(&tab);
    tab.click("#hub .phone summary");
    // No phone reaches this address.
    tab.until("document.querySelector('#hub .phone [data-text=loopback]').checkVisibility()");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_page_shows_how_the_connection_ended_and_dials_again() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    tab.click("#echo .closing summary");
    tab.fill("#echo .code", "4321");
    tab.fill("#echo .reason", "够了");
    tab.click("#echo .shut");
    tab.until("document.querySelector('#echo').dataset.state === 'closed'");
    assert_eq!(text(&tab, "#echo .end-code"), "4321");
    assert_eq!(text(&tab, "#echo .end-reason"), "够了");
    assert_eq!(text(&tab, "#echo .end-by"), "this page");
    tab.click("#echo .reconnect");
    tab.until("document.querySelector('#echo').dataset.state === 'open'");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_page_shows_how_programs_speak_to_the_server() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    let echo = server.url("/echo");
    assert_eq!(
        text(&tab, ".snippet"),
        format!("echo hello | sockeye connect {echo}")
    );
    tab.click("text=Python");
    let snippet = text(&tab, ".snippet");
    assert!(
        snippet.contains(&format!("connect(\"{echo}\")")),
        "{snippet}"
    );
    assert_eq!(tab.evaluate("document.activeElement.textContent"), "Python");
}

#[test]
fn the_page_speaks_chinese_and_fits_on_a_phone() {
    let Some((browser, server)) = scene(&["--dev"]) else {
        return;
    };
    let tab = open(&browser, &server);
    assert_eq!(text(&tab, "#hub h2"), "Channels");
    tab.click("[data-language=zh]");
    assert_eq!(text(&tab, "#hub h2"), "频道");
    // The narrowest screen in use.
    tab.resize(320, 640);
    let too_wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth");
    assert!(
        too_wide.as_i64().is_some_and(|pixels| pixels <= 0),
        "{too_wide} pixels too wide"
    );
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    let others = tab.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => name)\
         .filter((name) => new URL(name).host !== location.host && !name.startsWith('data:'))",
    );
    assert_eq!(others, json!([]));
}

fn scene(arguments: &[&str]) -> Option<(Browser, Server)> {
    Some((Browser::start(&[])?, Server::start(arguments)?))
}

fn page(server: &Server) -> String {
    server.url("/?lang=en").replace("ws://", "http://")
}

/// Opens the page, and waits until the echo has answered. Its log is empty then.
#[track_caller]
fn open<'a>(browser: &'a Browser, server: &Server) -> Tab<'a> {
    let tab = browser.stranger();
    assert_eq!(tab.open(&page(server))["status"], 200);
    tab.until("panels[0].samples.length === 1");
    tab.evaluate("panels[0].log.clear()");
    tab
}

#[track_caller]
fn subscribed(tab: &Tab<'_>) {
    tab.until("document.querySelector('#hub .word').textContent === 'Subscribed'");
}

#[track_caller]
fn publish(tab: &Tab<'_>, message: &str) {
    tab.fill("#hub .text", message);
    tab.press("#hub .text", "Enter");
}

/// Whether the channel's log has this publication, with its offset.
fn heard(message: &str, offset: u32) -> String {
    format!(
        "[...document.querySelectorAll('#hub .log li')].some((item) => item.textContent.includes({message:?}) && item.textContent.includes('#{offset} '))"
    )
}

/// Whether the channel's log has this remark.
fn noted(remark: &str) -> String {
    format!(
        "[...document.querySelectorAll('#hub .note .body')].some(({{ textContent }}) => textContent === {remark:?})"
    )
}

#[track_caller]
fn text(tab: &Tab<'_>, selector: &str) -> String {
    let text = tab.evaluate(&format!("document.querySelector({selector:?}).textContent"));
    text.as_str().expect("text").to_owned()
}
