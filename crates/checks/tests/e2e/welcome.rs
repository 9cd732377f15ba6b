//! The welcome page, in a browser, after the first start of `sockeye`.

use std::fs;

use serde_json::json;
use sockeye_checks::{Browser, Port, Server, Tab, sockeye};

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
    // Chat and login are on the first screen, and the experiments are folded away.
    for (card, path) in [("chat", "/chat"), ("login", "/login")] {
        assert_eq!(
            tab.evaluate(&format!("(({{ pathname, textContent }}, {{ bottom }}) => [pathname, textContent.length > 10, bottom < 300])(...((link) => [link, link.getBoundingClientRect()])(document.querySelector('.top [href=\"{path}\"]')))")),
            json!([path, true, true]),
            "{card}"
        );
    }
    assert_eq!(
        tab.evaluate("document.querySelectorAll('details[open]').length"),
        0
    );
    // The server's figures, over a WebSocket of their own: this one and the echo.
    tab.until("document.querySelector('.l-sessions').textContent === '2'");
    tab.until("/^[0-9]+$/.test(document.querySelector('.l-rate').textContent)");
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
    // Each has a colour.
    let hues = one.evaluate("[...document.querySelectorAll('#hub .people .who')].map(({ style }) => style.getPropertyValue('--hue'))");
    for hue in hues.as_array().expect("two people") {
        let hue: u32 = hue.as_str().expect("text").parse().expect("degrees");
        assert!(hue < 360, "{hue}");
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
        "/^Retrying in [1-4] s$/.test(document.querySelector('#hub .countdown').textContent)",
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
fn a_visitor_with_a_token_has_the_rights_that_it_gives() {
    let secret = "a secret of tokens, which is long";
    let Some((browser, server)) = scene(&[
        "--client-token-hmac-secret-key",
        secret,
        "--channel-without-namespace-allow-subscribe-for-client",
        "on",
        "--channel-without-namespace-presence",
        "on",
        "--channel-without-namespace-allow-presence-for-subscriber",
        "on",
    ]) else {
        return;
    };
    let (Some(right), Some(wrong)) = (token(secret), token("another secret, as long as that"))
    else {
        return;
    };
    let tab = open(&browser, &server);
    tab.until("document.querySelector('#hub .word').textContent === 'Token needed'");
    let error = "document.querySelector('#hub .token .error').textContent";
    assert_eq!(tab.evaluate(error), "");
    for refused in ["no token", &wrong] {
        tab.fill("#hub .token input", refused);
        tab.press("#hub .token input", "Enter");
        tab.until(&format!(
            "{error} === 'The server does not accept this token.'"
        ));
        assert_eq!(text(&tab, "#hub .end-code"), "3500");
        tab.until("document.activeElement.matches('#hub .token input')");
        // As it was before.
        tab.evaluate("panels[1].token = undefined, panels[1].draw()");
        assert_eq!(tab.evaluate(error), "");
    }
    tab.fill("#hub .token input", &right);
    tab.press("#hub .token input", "Enter");
    subscribed(&tab);
    tab.until("document.activeElement.matches('#hub .text')");
    tab.until("document.querySelector('#hub .people .who')?.textContent === 'ann'");
    // Nothing but the page keeps it.
    assert_eq!(tab.evaluate("JSON.stringify(localStorage)"), "{}");
    // A connection that is lost needs nobody to type it again.
    let client = tab.evaluate("panels[1].client");
    tab.evaluate("panels[1].socket.close()");
    tab.until(&format!(
        "panels[1].isSubscribed && panels[1].client !== {client}"
    ));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

/// Returns a token for a connection of Ann's.
fn token(secret: &str) -> Option<String> {
    let mut command = sockeye("token", &["connection", "--user", "ann"])?;
    let made = command.env("SOCKEYE_CLIENT_TOKEN_HMAC_SECRET_KEY", secret);
    let made = made.output().expect("the command runs").stdout;
    let token = String::from_utf8(made).expect("a token");
    assert!(token.contains('.'), "{token}");
    Some(token.trim().to_owned())
}

#[test]
fn the_strip_counts_the_messages_of_all_clients() {
    let Some((browser, server)) = scene(&["--dev"]) else {
        return;
    };
    let (watcher, sender) = (open(&browser, &server), open(&browser, &server));
    subscribed(&sender);
    watcher.evaluate(
        "window.rates = [], new MutationObserver(() => rates.push(Number(document.querySelector('.l-rate').textContent)))\
         .observe(document.querySelector('.l-rate'), { childList: true })",
    );
    // By the echo, and by the hub: far more than two pages send of their own accord.
    for panel in [0, 1] {
        watcher.evaluate("rates.length = 0");
        sender.evaluate(&format!("for (let number = 0; number < 500; number += 1) panels[{panel}].send(`message ${{number}}`)"));
        watcher.until("rates.reduce((sum, rate) => sum + rate, 0) > 100");
    }
}

#[test]
fn what_is_shown_can_be_copied() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab =
        browser.stranger_with(&json!({ "permissions": ["clipboard-read", "clipboard-write"] }));
    tab.open(&page(&server));
    tab.until("panels[0].samples.length === 1");
    tab.click(".copy");
    tab.until("document.querySelector('.copy').textContent === '✓'");
    let copied = "navigator.clipboard.readText()";
    assert_eq!(tab.evaluate(copied), text(&tab, ".snippet"));
    tab.fill("#echo .text", "{\"a\":  1}");
    tab.press("#echo .text", "Enter");
    tab.click("#echo .log summary");
    tab.click("#echo .log details button");
    tab.until("document.querySelector('#echo .log details button').textContent === '✓'");
    // As it was sent, not as it is laid out.
    assert_eq!(tab.evaluate(copied), "{\"a\":  1}");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_log_can_be_filtered_and_paused() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    let shown = "[...document.querySelectorAll('#echo .log li')].filter((item) => item.checkVisibility()).map((item) => item.querySelector('.body').textContent)";
    let count = |count: u32| tab.until(&format!("({shown}).length === {count}"));
    let send = |message: &str| {
        tab.fill("#echo .text", message);
        tab.press("#echo .text", "Enter");
        tab.until("panels[0].pending.size === 0");
    };
    // What is far inside a long text is found too.
    let long = format!("{}needle", "x".repeat(1000));
    for message in ["Apple", "pear", &long] {
        send(message);
    }
    count(3);
    tab.fill("#echo .filter", "APP");
    assert_eq!(tab.evaluate(shown), json!(["Apple"]));
    tab.fill("#echo .filter", "needle");
    count(1);
    // What comes later is looked through as well.
    tab.fill("#echo .filter", "app");
    send("apple pie");
    send("plum");
    count(2);
    tab.fill("#echo .filter", "nothing has this");
    let empty = "getComputedStyle(document.querySelector('#echo .log'), '::before').content";
    assert_eq!(tab.evaluate(empty), "\"Nothing here.\"");
    tab.fill("#echo .filter", "");
    count(5);
    // Paused, the log stays as it is; in the other language it is drawn once.
    tab.click("#echo .pause");
    send("while paused");
    frame(&tab);
    count(5);
    tab.click("[data-language=zh]");
    count(6);
    assert_eq!(text(&tab, "#echo .pause"), "暂停");
    send("while paused too");
    frame(&tab);
    count(6);
    // Cleared it is empty, paused or not.
    tab.click("#echo .clear");
    count(0);
    send("at last");
    tab.click("#echo .pause");
    tab.until(&format!("({shown}).join() === 'at last'"));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

/// Waits until the page has drawn what is to be drawn.
#[track_caller]
fn frame(tab: &Tab<'_>) {
    tab.evaluate(
        "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))",
    );
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
    // Each code has a sentence, in the list and where it ended.
    assert_eq!(
        text(&tab, "#echo .end-about"),
        "Up to the application. Channels: 3500–3999 and 4500–4999 are final."
    );
    let codes = tab.evaluate("[...document.querySelectorAll('#echo .codes div')].map(({ children }) => [children[0].textContent, children[1].textContent])");
    assert_eq!(codes.as_array().expect("codes").len(), 13);
    assert_eq!(codes[10], json!(["1012", "The server restarts."]));
    assert_eq!(codes[12][0], "3000–4999");
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
    assert_eq!(
        tab.evaluate(
            "[...document.querySelectorAll('.tabs button')].map(({ textContent }) => textContent)"
        ),
        json!(["Terminal", "Browser, Node", "Python", "Go", "Rust", "curl"])
    );
    tab.click("text=Go");
    let snippet = text(&tab, ".snippet");
    assert!(
        snippet.contains(&format!("websocket.Dial(ctx, \"{echo}\", nil)")),
        "{snippet}"
    );
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
