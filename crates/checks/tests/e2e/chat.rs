//! The chat's own page, with two people, and a server that is killed meanwhile.

use sockeye_checks::{Browser, Port, Server, Tab};

#[test]
fn two_people_talk_in_a_room_and_alone() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let ann = enter(browser.stranger(), &server, "Ann");
    let bob = enter(browser.stranger(), &server, "鲍勃");
    ann.until("document.querySelector('.people').textContent.includes('鲍勃')");
    say(&ann, "hello <b>everybody</b>");
    bob.until(&heard("hello <b>everybody</b>"));
    ann.click(".people button");
    say(&ann, "just between us");
    bob.until("document.querySelectorAll('.conversations button').length === 2");
    bob.until("document.querySelector('.unread')?.textContent === '1'");
    bob.click(".conversations li:last-child button");
    bob.until(&heard("just between us"));
    for tab in [&ann, &bob] {
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn the_page_survives_a_killed_server_and_shows_what_it_missed() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data").display().to_string();
    let port = Port::reserve();
    let address = port.addr().to_string();
    let start = || Server::start_with(&["--listen", &address, "--data", &data]);
    let Some(server) = start() else { return };
    let ann = enter(browser.stranger(), &server, "Ann");
    let bob = enter(browser.stranger(), &server, "Bob");
    ann.until("document.querySelectorAll('.people li').length === 2");
    say(&ann, "before");
    bob.until(&heard("before"));
    // Bob's page stays away for a while, by itself or because its network is gone.
    bob.evaluate("retry.tick = () => {}");
    // kill -9.
    drop(server);
    for tab in [&ann, &bob] {
        tab.until("document.body.dataset.state === 'lost'");
        tab.until("/[1-9][0-9]* s/.test(document.querySelector('.countdown').textContent)");
    }
    say(&ann, "while nobody listened");
    ann.until("document.querySelectorAll('.log .pending').length === 1");
    let Some(_server) = start() else { return };
    ann.until("document.body.dataset.state === 'online'");
    ann.until("document.querySelectorAll('.log .pending').length === 0");
    say(&ann, "only Bob is missing");
    ann.until("pending.size === 0");
    bob.click(".now");
    bob.until(&heard("only Bob is missing"));
    bob.until(
        "document.querySelector('.missed')?.textContent === '2 messages while you were away'",
    );
    for tab in [&ann, &bob] {
        let said = tab.evaluate(
            "[...document.querySelectorAll('.log .text')].map(({ textContent }) => textContent)",
        );
        let expected = ["before", "while nobody listened", "only Bob is missing"];
        assert_eq!(said, serde_json::json!(expected));
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn who_comes_back_later_finds_what_was_said() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let ann = enter(browser.stranger(), &server, "Ann");
    let bob = enter(browser.stranger(), &server, "Bob");
    ann.until("document.querySelectorAll('.people li').length === 2");
    ann.click(".people button");
    bob.open("about:blank");
    ann.until("conversations.get('r:lobby').people.length === 1");
    say(&ann, "for later");
    ann.until(
        "document.querySelector('.log em')?.textContent === 'will be delivered when Bob is back'",
    );
    for _ in 0..2 {
        let bob = reopen(&bob, &server);
        bob.click(".conversations li:last-child button");
        bob.until(&heard("for later"));
        let count = bob.evaluate("document.querySelectorAll('.log .theirs').length");
        assert_eq!(count, 1);
    }
}

#[test]
fn the_page_speaks_chinese_and_fits_on_a_phone() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tab = enter(browser.stranger(), &server, "安");
    say(&tab, &"长".repeat(300));
    tab.click("[data-language=zh]");
    tab.until("document.querySelector('h1').textContent === '聊天'");
    tab.until("document.querySelector('.state').textContent.trim() === '已连接'");
    tab.resize(390, 844);
    let too_wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth");
    assert!(too_wide.as_i64().is_some_and(|pixels| pixels <= 0));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn a_chat_with_a_token_asks_for_it() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&["--chat-token", "s3cret"]) else {
        return;
    };
    let tab = browser.stranger();
    tab.open(&page(&server));
    tab.until("document.body.dataset.state === 'refused'");
    tab.fill(".token input", "s3cret");
    tab.click(".token button");
    tab.until("document.body.dataset.state === 'online'");
}

/// Opens the page under a name, and waits until it has joined its room.
#[track_caller]
fn enter<'a>(tab: Tab<'a>, server: &Server, name: &str) -> Tab<'a> {
    assert_eq!(tab.open(&page(server))["status"], 200);
    tab.until("current?.joined === true");
    tab.fill(".me input", name);
    tab.press(".me input", "Enter");
    tab.until(&format!("me.name === '{name}'"));
    tab
}

#[track_caller]
fn reopen<'a, 'b>(tab: &'a Tab<'b>, server: &Server) -> &'a Tab<'b> {
    tab.open("about:blank");
    tab.open(&page(server));
    tab.until("current?.joined === true");
    tab
}

#[track_caller]
pub(crate) fn say(tab: &Tab<'_>, text: &str) {
    tab.fill(".compose .text", text);
    tab.press(".compose .text", "Enter");
}

pub(crate) fn heard(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('.log .text')].some(({{ textContent }}) => textContent === '{text}')"
    )
}

fn page(server: &Server) -> String {
    // English, whatever this machine's language is.
    server.url("/chat?lang=en").replace("ws://", "http://")
}
