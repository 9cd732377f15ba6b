//! The chat's page in the states that people meet: odd names and addresses, damaged storage, haste, outages, many rooms.

use serde_json::{Value, json};
use sockeye_checks::{Browser, Connectivity, Port, Server, Tab};

use crate::chat::{heard, say};

#[test]
fn a_name_is_kept_once_the_server_has_accepted_it() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = browser.stranger();
    for name in ["👩\u{200D}🚀🚀", "می\u{200C}خواهم"] {
        open(&tab, &server, "");
        rename(&tab, name);
        tab.until(&format!(
            "me.name === {name:?} && localStorage.getItem('name') === me.name"
        ));
        open(&tab, &server, "");
        assert_eq!(tab.evaluate("me.name"), name);
    }
    // One that the server refuses is told, and locks nobody out.
    rename(&tab, "a\u{200B}b");
    tab.until("document.querySelector('.me .error').textContent === 'That did not work: it is empty or has invisible characters.'");
    tab.until("document.querySelector('.me input').getAttribute('aria-invalid') === 'true'");
    assert_eq!(
        tab.evaluate("localStorage.getItem('name')"),
        "می\u{200C}خواهم"
    );
    open(&tab, &server, "");
    assert_eq!(tab.evaluate("me.name"), "می\u{200C}خواهم");
    // Not even if it is stored.
    tab.evaluate("localStorage.setItem('name', 'a\\u200bb')");
    open(&tab, &server, "");
    assert_eq!(tab.evaluate("localStorage.getItem('name')"), Value::Null);
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn an_odd_address_and_damaged_storage_are_no_obstacle() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = browser.stranger();
    open(&tab, &server, "#100%");
    tab.until("current.title === '100%' && current.joined");
    for (key, value) in [
        ("rooms", "[\"tea\",7,null,\"\"]"),
        ("rooms", "{"),
        ("rooms", "7"),
        ("read", "{"),
        ("read", "[[]]"),
        ("read", "{\"r:lobby\":7}"),
        ("language", "?"),
    ] {
        tab.evaluate(&format!("localStorage.setItem('{key}', {value:?})"));
        open(&tab, &server, "");
        assert_eq!(tab.errors(), Vec::<String>::new(), "{key} {value}");
    }
    assert_eq!(
        tab.evaluate("[...conversations.keys()].includes('r:7')"),
        false
    );
}

#[test]
fn messages_in_haste_are_all_sent_in_their_order() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Bob"),
    );
    for number in 0..60 {
        // At most fifty wait: a person can't type so fast, a test can.
        ann.until("pending.size < 50");
        say(&ann, &format!("message {number}"));
    }
    bob.until(&heard("message 59"));
    ann.until("pending.size === 0 && document.querySelectorAll('.log em').length === 0");
    let expected: Vec<_> = (0..60).map(|number| format!("message {number}")).collect();
    for tab in [&ann, &bob] {
        assert_eq!(texts(tab), json!(expected));
    }
}

#[test]
fn a_message_that_arrives_takes_nothing_away() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Bob"),
    );
    ann.until("document.querySelector('.people button')?.textContent === 'Bob'");
    for selector in [".people button", ".conversations button"] {
        ann.evaluate(&format!("document.querySelector('{selector}').focus()"));
        say(&bob, &format!("beside {selector}"));
        ann.until(&heard(&format!("beside {selector}")));
        assert_eq!(
            ann.evaluate(&format!("document.activeElement.matches('{selector}')")),
            true
        );
    }
}

#[test]
fn what_is_unread_is_marked_after_a_reload_too() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Bob"),
    );
    for tab in [&ann, &bob] {
        join(tab, "tea");
    }
    say(&bob, "read");
    ann.until(&heard("read"));
    ann.until("current.unread === 0");
    ann.click(".conversations li:first-child button");
    ann.open("about:blank");
    say(&bob, "unread, one");
    say(&bob, "unread, two");
    bob.until("pending.size === 0");
    open(&ann, &server, "");
    ann.until("conversations.get('r:tea').joined");
    ann.until("document.querySelector('.unread')?.textContent === '2'");
    assert_eq!(ann.evaluate("document.title"), "(2) Chat · Sockeye");
    ann.click(".conversations li:last-child button");
    ann.until("document.title === 'Chat · Sockeye'");
    assert_eq!(texts(&ann), json!(["read", "unread, one", "unread, two"]));
}

#[test]
fn one_room_too_many_is_refused_and_not_listed() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = enter(&browser, &server, "Ann");
    for number in 1..20 {
        join(&tab, &format!("room {number}"));
    }
    tab.fill(".join input", "one more");
    tab.press(".join input", "Enter");
    tab.until("document.querySelector('.join .error').textContent === 'That did not work: you are in as many rooms as possible. Leave one first.'");
    tab.until("document.querySelectorAll('.conversations li').length === 20");
    let rooms = tab.evaluate("JSON.parse(localStorage.getItem('rooms')).length");
    assert_eq!(rooms, 20);
    // The message box is in view however many conversations there are, and on a phone the current one's tab.
    tab.evaluate("for (let number = 0; number < 8; number += 1) open(`p:${crypto.randomUUID()}`, `Person ${number}`)");
    tab.until("document.querySelectorAll('.conversations li').length === 28");
    tab.click(".conversations li:nth-child(27) button");
    for selector in [".compose .text", "[aria-current=true]"] {
        in_view(&tab, selector);
    }
    // A phone shows the conversation with the message box at the bottom, or the list with the current conversation in view.
    tab.resize(390, 844);
    in_view(&tab, ".compose .text");
    tab.click(".back");
    in_view(&tab, "[aria-current=true]");
    assert_eq!(
        tab.evaluate("document.activeElement.getAttribute('aria-current')"),
        "true"
    );
    tab.click(".conversations li:nth-child(2) button");
    in_view(&tab, ".compose .text");
    assert_eq!(
        tab.evaluate("document.activeElement.className"),
        "quiet back"
    );
}

#[test]
fn days_are_told_apart() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = enter(&browser, &server, "Ann");
    say(&tab, "today");
    tab.until(&heard("today"));
    assert_eq!(
        tab.evaluate("document.querySelectorAll('.log .day').length"),
        0
    );
    tab.evaluate("current.lines.unshift({ mine: false, name: 'Bob', address: 'b', text: 'long ago', time: Date.UTC(2020, 1, 2, 12), seq: 0, state: 'sent' }), changed()");
    tab.until("document.querySelectorAll('.log .day').length === 2");
    let days = tab.evaluate("[...document.querySelectorAll('.log .day, .log .text')].map(({ textContent }) => textContent)");
    assert_eq!(days[0], "Sunday, February 2, 2020");
    assert_eq!((&days[1], &days[3]), (&json!("long ago"), &json!("today")));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn who_logs_out_is_somebody_else_afterwards() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = enter(&browser, &server, "Ann");
    assert_eq!(
        tab.evaluate("document.querySelector('.as').textContent"),
        "Ann"
    );
    let address = tab.evaluate("me.address");
    tab.click(".out");
    tab.wait_for_dialog(
        "Log out? Unless another device is logged in as you, this identity is lost.",
    );
    tab.until("typeof me === 'object' && me.address !== '' && me.name !== 'Ann'");
    assert_ne!(tab.evaluate("me.address"), address);
    assert_eq!(tab.errors(), Vec::<String>::new());
}

/// Waits until an element is within the window.
#[track_caller]
fn in_view(tab: &Tab<'_>, selector: &str) {
    tab.until(&format!(
        "(({{ top, bottom, left, right, width }}) => width > 0 && top >= 0 && bottom <= innerHeight && left >= 0 && right <= innerWidth)\
         (document.querySelector('{selector}').getBoundingClientRect())"
    ));
}

#[test]
fn what_is_written_in_an_outage_stands_where_the_server_says() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Bob"),
    );
    say(&ann, "one");
    bob.until(&heard("one"));
    bob.evaluate("retry.tick = () => {}, link.socket.close()");
    bob.until("document.body.dataset.state === 'lost'");
    say(&bob, "three");
    say(&ann, "two");
    ann.until("pending.size === 0");
    bob.click(".now");
    bob.until("pending.size === 0 && link.isOnline");
    for tab in [&ann, &bob] {
        tab.until(&heard("three"));
        assert_eq!(texts(tab), json!(["one", "two", "three"]));
    }
}

#[test]
fn an_outage_is_told_once() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let port = Port::reserve();
    let address = port.addr().to_string();
    let start = || Server::start_with(&["--listen", &address]);
    let Some(server) = start() else { return };
    let ann = enter(&browser, &server, "Ann");
    ann.evaluate(
        "window.words = [], new MutationObserver(() => words.push(document.querySelector('.word').textContent))\
         .observe(document.querySelector('.word'), { childList: true })",
    );
    drop(server);
    ann.until("retry.failures > 3");
    let Some(_server) = start() else { return };
    ann.until("document.body.dataset.state === 'online'");
    assert_eq!(
        ann.evaluate("window.words"),
        json!(["Connection lost.", "Connected"])
    );
    // The page obeys the server about when to come back.
    ann.evaluate("link.lose(1012, 'restart retry_ms=60000')");
    ann.evaluate("dispatchEvent(new Event('online'))");
    assert_eq!(
        ann.evaluate("[link.socket, retry.seconds > 50]"),
        json!([null, true])
    );
    // Left and returned to, it is connected.
    ann.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))");
    ann.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))");
    ann.until("document.body.dataset.state === 'online'");
    assert_eq!(ann.errors(), Vec::<String>::new());
}

#[test]
fn a_network_that_returns_is_used_at_once() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let ann = enter(&browser, &server, "Ann");
    ann.network(Connectivity::Lost);
    // The browser says so, long before the connection breaks.
    ann.until("document.body.dataset.state === 'lost'");
    say(&ann, "written without a network");
    // Long after this test, unless something tells the page.
    ann.evaluate("retry.at = Date.now() + 1000 * 1000");
    ann.network(Connectivity::There);
    ann.until("pending.size === 0 && link.isOnline");
    assert_eq!(texts(&ann), json!(["written without a network"]));
}

#[test]
fn a_wrong_token_is_told_and_a_right_one_kept() {
    let Some((browser, server)) = scene(&["--chat-token", "s3cret"]) else {
        return;
    };
    let tab = browser.stranger();
    tab.open(&page(&server, ""));
    tab.until("document.querySelector('.word').textContent === 'Token needed'");
    tab.fill(".token input", "wrong");
    tab.press(".token input", "Enter");
    tab.until("document.querySelector('.word').textContent === 'Wrong token'");
    assert_eq!(
        tab.evaluate("document.querySelector('.token .error').textContent"),
        "The server doesn’t accept this token."
    );
    assert_eq!(
        tab.evaluate("localStorage.getItem('chat_token')"),
        Value::Null
    );
    tab.fill(".token input", "s3cret");
    tab.press(".token input", "Enter");
    tab.until("document.body.dataset.state === 'online'");
    tab.until("localStorage.getItem('chat_token') === 's3cret'");
    open(&tab, &server, "");
}

#[test]
fn who_leaves_the_last_room_sees_where_to_go() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, _bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Bob"),
    );
    ann.click(".leave");
    ann.until("document.querySelector('.people button')?.textContent === 'Bob'");
    assert_eq!(
        ann.evaluate("document.activeElement.matches('.join input')"),
        true
    );
    ann.click(".people button");
    ann.until("document.querySelector('h2').textContent === 'Private chat with Bob'");
    // The field is not red because it is empty again.
    join(&ann, "lobby");
    assert_eq!(
        ann.evaluate("document.querySelector('.join input').matches(':user-invalid')"),
        false
    );
}

#[test]
fn what_people_write_is_shown_as_they_mean_it() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Ann"),
    );
    ann.until("/^ [0-9a-f]{4}$/.test(document.querySelector('.people button .tag')?.textContent)");
    say(&bob, "see https://example.com/a?b=c. <b>سلام</b>");
    ann.until("document.querySelector('.log .text a')?.href === 'https://example.com/a?b=c'");
    let link = ann.evaluate("(({ target, rel, textContent }) => [target, rel, textContent])(document.querySelector('.log a'))");
    assert_eq!(
        link,
        json!(["_blank", "noopener noreferrer", "https://example.com/a?b=c"])
    );
    assert_eq!(
        ann.evaluate("document.querySelector('.log .text').dir"),
        "auto"
    );
    assert_eq!(
        ann.evaluate("document.querySelectorAll('.log b b, .log .text b').length"),
        0
    );
    // Times of another day have their date.
    ann.evaluate("current.hear({ from: { address: 'x', name: 'Old' }, text: 'long ago', time: Date.UTC(2020, 0, 2, 12), seq: 0 })");
    ann.until("[...document.querySelectorAll('.log time')].some(({ textContent }) => textContent.includes('2020'))");
    // Lines stay lines, and too much is told before it is sent.
    ann.fill(".compose .text", "one\ntwo");
    ann.evaluate("document.querySelector('.compose .text').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))");
    assert_eq!(ann.evaluate("pending.size"), 0);
    ann.press(".compose .text", "Enter");
    bob.until(&heard("one\\ntwo"));
    ann.fill(".compose .text", &"😀".repeat(2003));
    ann.until("document.querySelector('.compose .error').textContent === '3 characters too long.'");
    ann.press(".compose .text", "Enter");
    assert_eq!(
        ann.evaluate("[...document.querySelector('.compose .text').value].length"),
        2003
    );
    ann.fill(".compose .text", &"😀".repeat(2000));
    ann.press(".compose .text", "Enter");
    bob.until("document.querySelectorAll('.log .theirs').length === 2");
    // Errors speak the language of the page.
    ann.click("[data-language=zh]");
    ann.evaluate("HEARD.ERROR({ code: 'mailbox_full', message: 'they are offline' }), HEARD.ERROR({ code: 'new_code' })");
    ann.until("document.querySelector('.log').textContent.includes('操作未成功：对方不在线，且待收的消息过多。')");
    ann.until(
        "document.querySelector('.log').textContent.includes('服务器拒绝了请求（new_code）')",
    );
    assert_eq!(
        ann.evaluate("document.querySelector('.people').textContent.includes('（我）')"),
        true
    );
    for tab in [&ann, &bob] {
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn who_reads_above_is_told_of_new_messages() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Bob"),
    );
    for number in 0..30 {
        say(&bob, &format!("line {number}"));
    }
    ann.until(&heard("line 29"));
    ann.until("document.querySelector('.newer').hidden");
    ann.evaluate("document.querySelector('.log').scrollTop = 0");
    ann.until("!isAtEnd");
    say(&bob, "news");
    ann.until("!document.querySelector('.newer').hidden");
    assert_eq!(ann.evaluate("document.querySelector('.log').scrollTop"), 0);
    ann.click(".newer");
    ann.until("document.querySelector('.newer').hidden && isAtEnd");
}

#[test]
fn a_private_message_is_delivered_when_its_receiver_is_back() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (ann, bob) = (
        enter(&browser, &server, "Ann"),
        enter(&browser, &server, "Bob"),
    );
    ann.until("document.querySelectorAll('.people li').length === 2");
    ann.click(".people button");
    bob.open("about:blank");
    ann.until("conversations.get('r:lobby').people.length === 1");
    say(&ann, "for later");
    ann.until(
        "document.querySelector('.log em')?.textContent === 'will be delivered when Bob is back'",
    );
    open(&bob, &server, "");
    ann.until("document.querySelectorAll('.log em').length === 0");
    bob.until("document.querySelector('.unread')?.textContent === '1'");
}

fn scene(arguments: &[&str]) -> Option<(Browser, Server)> {
    Some((Browser::start(&[])?, Server::start(arguments)?))
}

fn page(server: &Server, fragment: &str) -> String {
    // English, whatever this machine speaks.
    let url = server.url("/chat?lang=en").replace("ws://", "http://");
    format!("{url}{fragment}")
}

/// Opens the page anew and waits until it is in its room.
#[track_caller]
fn open(tab: &Tab<'_>, server: &Server, fragment: &str) {
    tab.open("about:blank");
    tab.open(&page(server, fragment));
    tab.until("current?.joined === true");
}

#[track_caller]
fn enter<'a>(browser: &'a Browser, server: &Server, name: &str) -> Tab<'a> {
    let tab = browser.stranger();
    open(&tab, server, "");
    rename(&tab, name);
    tab.until(&format!("me.name === '{name}'"));
    tab
}

#[track_caller]
fn rename(tab: &Tab<'_>, name: &str) {
    tab.fill(".me input", name);
    tab.press(".me input", "Enter");
}

#[track_caller]
fn join(tab: &Tab<'_>, room: &str) {
    tab.fill(".join input", room);
    tab.press(".join input", "Enter");
    tab.until(&format!("current?.title === '{room}' && current.joined"));
}

#[track_caller]
fn texts(tab: &Tab<'_>) -> Value {
    tab.evaluate(
        "[...document.querySelectorAll('.log .text')].map(({ textContent }) => textContent)",
    )
}
