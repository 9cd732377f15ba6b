//! The welcome page in the states that a visitor meets: a restarted server, a flood, the back button, wrong input.

use serde_json::json;
use sockeye_checks::{Browser, Port, Process, Server, Tab, sockeye};

use crate::conversation::LIMIT;

#[test]
fn the_page_comes_back_when_the_server_says_and_goes_on_as_before() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let port = Port::reserve();
    let address = port.addr().to_string();
    let start =
        || Server::start_with(&["--listen", &address, "--dev", "--drain-retry-after", "4s"]);
    let Some(server) = start() else { return };
    let tab = open(&browser, &server);
    tab.click("#echo .every");
    tab.until("document.querySelectorAll('#echo .log .same').length > 0");
    // Each change of a word is read aloud.
    tab.evaluate(COUNT_WORDS);
    server.stop();
    for panel in ["#echo", "#hub"] {
        tab.until(&format!(
            "document.querySelector('{panel} .word').textContent === 'Connection lost'"
        ));
        tab.until(&format!(
            "/^Retrying in [1-9][0-9]* s$/.test(document.querySelector('{panel} .countdown').textContent)"
        ));
    }
    // `retry_ms` of the Close frame: the delay, and a part of the spread. Whatever hurries the page, it obeys.
    assert_eq!(
        tab.evaluate("panels[0].retry.notBefore > panels[0].retry.openedAt"),
        true
    );
    assert_eq!(
        tab.evaluate("panels[0].retry.notBefore - panels[0].ended.at >= 4000"),
        true
    );
    tab.evaluate("dispatchEvent(new Event('online'))");
    assert_eq!(tab.evaluate("panels[0].socket.readyState"), 3);
    assert_eq!(
        tab.evaluate("document.querySelector('#echo .end-code').textContent"),
        "1012"
    );
    // The server isn't back yet; attempts go on without a word.
    tab.click("#echo .reconnect");
    tab.until("panels[0].retry.failures > 1");
    let Some(_server) = start() else { return };
    for panel in ["#echo", "#hub"] {
        tab.until(&format!(
            "document.querySelector('{panel}').dataset.state === 'open'"
        ));
    }
    // "Send the time every second" is still ticked, and does it.
    tab.until("panels[0].tally.received > 0");
    let words = tab.evaluate("window.words['#echo']");
    assert_eq!(words, json!(["Connection lost", "Open"]));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

/// The words that the state of each panel has gone through.
const COUNT_WORDS: &str = "(() => {
    window.words = {};
    for (const panel of ['#echo', '#hub']) {
        window.words[panel] = [];
        const word = document.querySelector(`${panel} .word`);
        new MutationObserver(() => window.words[panel].push(word.textContent)).observe(word, { childList: true });
    }
})()";

#[test]
fn a_page_dials_again_by_the_rules_of_the_javascript_client() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = open(&browser, &server);
    let facts = tab.evaluate(DIAL_AGAIN);
    for (name, expected) in [
        ("begins", json!("suspend connect")),
        (
            "an attempt has ten seconds",
            json!(["", "suspend lost", 250]),
        ),
        ("after the delay", json!(["", "suspend connect"])),
        ("a short connection is a failure more", json!(500)),
        ("a long one begins the count anew", json!(250)),
        ("delays have a maximum", json!(15_000)),
        ("on top of what the server asks for", json!(2250)),
        ("a network that returns, not before", json!([2000, ""])),
        ("then", json!(["", "suspend connect"])),
        ("a mistaken server", json!(3_600_250)),
        ("other words", json!(250)),
        ("somebody looks", json!(500)),
        ("the network is lost", json!("suspend lost")),
        ("it returns during an attempt", json!("suspend connect")),
        ("a hidden tab, and a sleep", json!(["", "suspend lost"])),
        ("the clock is set back", json!([6, 6])),
        ("stopped", json!(["", ""])),
        ("left", json!(["suspend", ""])),
        ("returned to", json!("suspend connect")),
    ] {
        assert_eq!(facts[name], expected, "{name}");
    }
}

/// Has a page's Reconnection go through what happens to it, with a clock and random numbers of the test's own.
const DIAL_AGAIN: &str = r#"(() => {
    let time = Date.now();
    Date.now = () => time;
    Math.random = () => 0.5;
    const log = [], facts = {};
    const took = () => log.splice(0).join(' ');
    const retry = new panels[0].retry.constructor({
        connect: () => log.push('connect'),
        suspend: () => log.push('suspend'),
        lost: () => (log.push('lost'), retry.handleClose()),
        changed() {},
    });
    const after = (milliseconds) => (time += milliseconds, retry.tick(), took());
    const open = () => (retry.now(), retry.handleOpen(), took());
    const wait = () => retry.at - time;

    retry.now();
    facts['begins'] = took();
    facts['an attempt has ten seconds'] = [after(9_999), after(1), wait()];
    facts['after the delay'] = [after(249), after(1)];
    retry.handleOpen();
    time += 9_999;
    retry.handleClose();
    facts['a short connection is a failure more'] = wait();
    after(500);
    retry.handleOpen();
    time += 10_000;
    retry.handleClose();
    facts['a long one begins the count anew'] = wait();
    for (let number = 0; number < 10; number += 1) retry.handleClose();
    facts['delays have a maximum'] = wait();
    open();
    retry.handleClose('restart (retry_ms=2000)');
    facts['on top of what the server asks for'] = wait();
    dispatchEvent(new Event('online'));
    facts['a network that returns, not before'] = [wait(), took()];
    facts['then'] = [after(1_999), after(1)];
    open();
    retry.handleClose('retry_ms=99999999999');
    facts['a mistaken server'] = wait();
    open();
    retry.handleClose('xretry_ms=5000 retry_ms=1x');
    facts['other words'] = wait();
    open();
    for (let number = 0; number < 3; number += 1) retry.handleClose();
    document.dispatchEvent(new Event('visibilitychange'));
    facts['somebody looks'] = wait();
    open();
    dispatchEvent(new Event('offline'));
    facts['the network is lost'] = took();
    retry.now();
    took();
    dispatchEvent(new Event('online'));
    facts['it returns during an attempt'] = took();
    open();
    after(0);
    facts['a hidden tab, and a sleep'] = [after(74_999), after(75_000)];
    open();
    retry.handleClose('retry_ms=5000');
    const { seconds } = retry;
    time -= 3_600_000;
    facts['the clock is set back'] = [seconds, retry.seconds];
    open();
    retry.stop();
    for (const event of ['offline', 'online']) dispatchEvent(new Event(event));
    facts['stopped'] = [took(), after(100_000)];
    open();
    dispatchEvent(new PageTransitionEvent('pagehide'));
    retry.handleClose();
    facts['left'] = [took(), after(100_000)];
    dispatchEvent(new PageTransitionEvent('pageshow'));
    facts['returned to'] = took();
    return facts;
})()"#;

#[test]
fn a_page_from_the_back_forward_cache_is_connected() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = browser.stranger();
    for (path, connected) in [
        (
            "/",
            "panels.every((panel) => panel.root.dataset.state === 'open')",
        ),
        ("/chat", "document.body.dataset.state === 'online'"),
        (
            "/login",
            "document.querySelector('main').dataset.state === 'waiting'",
        ),
    ] {
        tab.open(&page(&server, path));
        tab.until(connected);
        tab.evaluate(
            "addEventListener('pageshow', ({ persisted }) => (window.isFromCache = persisted))",
        );
        tab.open("about:blank");
        tab.back();
        tab.until(&format!(
            "location.pathname === '{path}' && window.isFromCache === true"
        ));
        tab.until(connected);
        assert_eq!(
            tab.evaluate("document.querySelectorAll('.note.bad, .broke').length"),
            0,
            "{path}"
        );
    }
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn an_echo_that_comes_late_is_not_called_different() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = open(&browser, &server);
    tab.evaluate(
        "(() => {
            const [{ socket }] = panels;
            const { onmessage } = socket;
            const held = [];
            socket.onmessage = (event) => held.push(event);
            for (let number = 0; number < 300; number += 1) panels[0].send(`message ${number}`);
            window.release = () => held.length === 300 && (held.forEach(onmessage), socket.onmessage = onmessage, true);
        })()",
    );
    tab.until("window.release()");
    tab.until("document.querySelectorAll('#echo .log .same').length > 0");
    let different = tab.evaluate("document.querySelectorAll('#echo .log .different').length");
    assert_eq!(different, 0);
    // A lone surrogate can't be sent: what comes is what went.
    tab.evaluate("panels[0].log.clear(), panels[0].send('a\\ud800')");
    tab.until("document.querySelectorAll('#echo .log .same').length === 1");
}

#[test]
fn a_flood_leaves_the_page_usable() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = open(&browser, &server);
    tab.evaluate(WATCH);
    let calm = delay_of_keys(&tab);
    let (layouts, frames) = (tab.layouts(), count(&tab, "allFrames"));
    let publisher = browser.stranger();
    publisher.open(&page(&server, "/nothing"));
    publisher.evaluate(FLOOD);
    tab.until("panels[1].position?.offset > 1000");
    let delay = delay_of_keys(&tab);
    tab.until("panels[1].position?.offset >= 26000");
    // On a machine that has much else to do, a key waits without a flood too.
    assert!(
        delay <= f64::max(100.0, 3.0 * calm),
        "{delay} ms, without the flood {calm} ms"
    );
    let layouts = tab.layouts() - layouts;
    let frames = count(&tab, "allFrames") - frames;
    assert!(
        layouts <= frames + frames / 4 + 20,
        "{layouts} layouts in {frames} frames"
    );
    // It was drawn, and that was counted.
    assert!(layouts > 0);
    let lines = count(&tab, "document.querySelectorAll('#hub .log li').length");
    assert!(lines <= 200, "{lines} lines");
    tab.until("panels[1].isSubscribed");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_messages_of_a_bench_are_counted_and_leave_the_page_usable() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = open(&browser, &server);
    tab.evaluate(
        "window.seen = 0, new MutationObserver(() => (window.seen += Number(document.querySelector('.l-rate').textContent)))\
         .observe(document.querySelector('.l-rate'), { childList: true })",
    );
    let echo = server.url("/echo");
    let arguments = [&*echo, "--connections", "4", "--duration", "120s"];
    let Some(mut command) = sockeye("bench", &arguments) else {
        return;
    };
    // Dropped, it ends before its time.
    let _bench = Process::start("the bench", &mut command, LIMIT);
    tab.until("window.seen >= 26000");
    for panel in ["#echo", "#hub"] {
        tab.fill(&format!("{panel} .text"), "beside a bench");
        tab.press(&format!("{panel} .text"), "Enter");
        tab.until(&format!("[...document.querySelectorAll('{panel} .log li .body')].some(({{ textContent }}) => textContent.endsWith('beside a bench'))"));
    }
    tab.until("panels[0].pending.size === 0");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

/// Presses keys. Returns how long half of them waited for the page's next frame, in milliseconds, as the page sees it.
#[track_caller]
fn delay_of_keys(tab: &Tab<'_>) -> f64 {
    tab.evaluate("window.delays = [], document.querySelector('#echo .text').focus()");
    for _ in 0..20 {
        tab.key("x");
    }
    tab.until("window.delays.length === 20");
    let delay = "window.delays.sort((one, other) => one - other)[10]";
    tab.evaluate(delay).as_f64().expect("milliseconds")
}

#[track_caller]
fn count(tab: &Tab<'_>, script: &str) -> u64 {
    tab.evaluate(script).as_u64().expect("a count")
}

/// Publishes 26,000 messages, as fast as they are answered.
const FLOOD: &str = "new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/connection/websocket`);
    let id = 1;
    const burst = () => {
        const commands = [];
        for (let number = 0; number < 50; number += 1) commands.push(JSON.stringify({ id: ++id, publish: { channel: 'lobby', data: `message ${id}` } }));
        socket.send(commands.join('\\n'));
    };
    socket.onopen = () => socket.send(JSON.stringify({ id: 1, connect: {} }));
    socket.onmessage = ({ data }) => {
        if (!data.includes(`\"id\":${id},`)) return;
        if (id === 1) resolve();
        if (id <= 26000) burst();
    };
})";

/// Counts frames, and measures how long a key waits for its answer.
const WATCH: &str = "(() => {
    window.allFrames = 0;
    const count = () => { window.allFrames += 1; requestAnimationFrame(count); };
    requestAnimationFrame(count);
    window.delays = [];
    document.addEventListener('keydown', ({ timeStamp }) => requestAnimationFrame(() => window.delays.push(performance.now() - timeStamp)), true);
})()";

#[test]
fn the_round_trips_shown_are_those_of_a_bare_websocket() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = open(&browser, &server);
    assert_eq!(tab.evaluate("crossOriginIsolated"), true);
    // In turns, so that a busy machine is busy for both; the fastest of many, in which nothing else had a turn. The busier the machine,
    // the more it takes until both had such a one.
    let times = tab.evaluate(
        "(async () => {
            const bare = new WebSocket(panels[0].url);
            await new Promise((resolve) => (bare.onopen = resolve));
            const form = document.querySelector('#echo .compose'), text = document.querySelector('#echo .text');
            const { received } = panels[0];
            const bares = [], shown = [];
            for (let round = 0; round < 300 || (round < 5000 && Math.min(...shown) > 1.5 * Math.min(...bares)); round += 1) {
                const sent = performance.now();
                bare.send('hello');
                await new Promise((resolve) => (bare.onmessage = resolve));
                bares.push(performance.now() - sent);
                text.value = 'hello';
                form.requestSubmit();
                await new Promise((resolve) => (panels[0].received = (...message) => resolve(received.apply(panels[0], message))));
                shown.push(panels[0].samples.at(-1));
            }
            return [Math.min(...bares), Math.min(...shown)];
        })()",
    );
    let [bare, shown] = [0, 1].map(|index| times[index].as_f64().expect("milliseconds"));
    assert!(shown <= 1.5 * bare, "{shown} ms shown, {bare} ms bare");
    // A large message measures the bandwidth, and stays out of the figures.
    let count = tab.evaluate("panels[0].samples.length");
    tab.evaluate("panels[0].send(new ArrayBuffer(1 << 20), 'large')");
    tab.until("[...document.querySelectorAll('#echo .log .same')].length > 0 && panels[0].pending.size === 0");
    assert_eq!(tab.evaluate("panels[0].samples.length"), count);
}

#[test]
fn what_a_visitor_does_wrong_is_told() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = open(&browser, &server);
    tab.click("#echo .closing summary");
    tab.fill("#echo .code", "1001");
    assert_eq!(
        tab.evaluate("document.querySelector('#echo .code').validationMessage"),
        "Use 1000, or a code from 3000 to 4999."
    );
    // Line breaks stay, and Enter sends.
    tab.fill("#echo .text", "two\nlines");
    tab.press("#echo .text", "Enter");
    tab.until("document.querySelector('#echo .log .same') && [...document.querySelectorAll('#echo .body')].at(-1).textContent === 'two\\nlines'");
    // While an input method composes, Enter chooses a word.
    tab.evaluate(
        "document.querySelector('#echo .text').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))",
    );
    // What is too long to be shown is cut, which is told; no emoji is split.
    tab.evaluate("panels[0].send('x' + '😀'.repeat(1500))");
    tab.until("document.querySelectorAll('#echo .log .same').length === 2");
    let shown = tab.evaluate("[...document.querySelectorAll('#echo .body')].at(-1).textContent");
    let shown = shown.as_str().expect("text");
    assert!(
        shown.ends_with("😀… (5.9 KiB in all)") && !shown.contains('\u{FFFD}'),
        "{shown}"
    );
    // Closed, Enter says so and the text stays.
    tab.fill("#echo .code", "1000");
    tab.click("#echo .shut");
    tab.until("document.querySelector('#echo').dataset.state === 'closed'");
    tab.fill("#echo .text", "not sent");
    tab.press("#echo .text", "Enter");
    tab.until(&noted("Not connected, so nothing was sent."));
    assert_eq!(
        tab.evaluate("document.querySelector('#echo .text').value"),
        "not sent"
    );
    // A connection that never opened was not closed.
    tab.evaluate("panels[0].url = 'ws://127.0.0.1:1/'");
    tab.click("#echo .reconnect");
    tab.until(&noted("Could not connect."));
    // The log follows the language.
    tab.click("[data-language=zh]");
    tab.until(&noted("无法连接到服务器。"));
    tab.until(&noted("尚未连接，消息未发送。"));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn close_stays_where_it_is_and_reconnect_leads_to_the_message_box() {
    let Some((browser, server)) = scene() else {
        return;
    };
    let tab = open(&browser, &server);
    tab.click("#echo .closing summary");
    let place = "(({ x, y }) => [x + scrollX, y + scrollY])(document.querySelector('#echo .shut').getBoundingClientRect())";
    let before = tab.evaluate(place);
    tab.evaluate("document.querySelector('#echo .shut').focus()");
    tab.key("Enter");
    tab.until("document.querySelector('#echo').dataset.state === 'closed'");
    tab.until("!document.querySelector('#echo .ending').hidden");
    assert_eq!(
        tab.evaluate("document.activeElement.matches('#echo .shut')"),
        true
    );
    assert_eq!(tab.evaluate(place), before);
    tab.evaluate("document.querySelector('#echo .reconnect').focus()");
    tab.key("Enter");
    tab.until("document.querySelector('#echo').dataset.state === 'open'");
    tab.until("document.querySelector('#echo .ending').hidden");
    // The button is gone.
    assert_eq!(
        tab.evaluate("document.activeElement.matches('#echo .text')"),
        true
    );
}

#[test]
fn every_page_is_one_compressed_request() {
    let Some((browser, server)) = scene() else {
        return;
    };
    for path in ["/", "/chat", "/login", "/login/confirm", "/nothing"] {
        let tab = browser.stranger();
        let status = tab.open(&page(&server, path))["status"].clone();
        assert_eq!(status, if path == "/nothing" { 404 } else { 200 }, "{path}");
        let sizes = tab.evaluate(
            "(({ encodedBodySize, decodedBodySize }) => [encodedBodySize, decodedBodySize])(performance.getEntriesByType('navigation')[0])",
        );
        let [sent, whole] = [0, 1].map(|index| sizes[index].as_u64().expect("bytes"));
        assert!(
            0 < sent && sent <= 16_000 && sent < whole / 2,
            "{path}: {sent} of {whole} bytes"
        );
        let documents = tab.evaluate(
            "performance.getEntriesByType('resource').filter(({ initiatorType }) => initiatorType !== 'fetch').length",
        );
        assert_eq!(documents, 0, "{path}");
    }
    let tab = browser.tab();
    tab.open(&page(&server, "/chat/"));
    assert_eq!(tab.evaluate("location.pathname"), "/chat");
}

fn scene() -> Option<(Browser, Server)> {
    Some((Browser::start(&[])?, Server::start(&["--dev"])?))
}

/// Whether the echo panel's log has this remark.
fn noted(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#echo .note .body')].some(({{ textContent }}) => textContent === '{text}')"
    )
}

fn page(server: &Server, path: &str) -> String {
    server.url(path).replace("ws://", "http://")
}

/// Opens the page, and waits until the echo has answered and the channel is entered. Their logs are empty then.
#[track_caller]
fn open<'a>(browser: &'a Browser, server: &Server) -> Tab<'a> {
    let tab = browser.stranger();
    assert_eq!(tab.open(&page(server, "/?lang=en"))["status"], 200);
    tab.until("panels[0].samples.length === 1 && panels[1].isSubscribed");
    tab.evaluate("panels.forEach(({ log }) => log.clear())");
    tab
}
