//! The welcome page, in a browser, after the first start of `sockeye`.

use std::fs;

use sockeye_checks::{Browser, Server, Tab};

#[test]
fn the_page_echoes_text_and_a_file_and_measures_the_way() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    tab.fill("#echo .text", "Grüße, 你好");
    tab.click("#echo .compose button");
    tab.until("document.querySelectorAll('#echo .log .same').length === 1");
    tab.until("/^[0-9.]+ ms$/.test(document.querySelector('#echo .last').textContent)");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("all-bytes.bin");
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    fs::write(&file, bytes).expect("a file can be written");
    tab.choose("#echo input[type=file]", &file.display().to_string());
    tab.until("document.querySelectorAll('#echo .log .same').length === 2");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_room_reaches_another_tab_and_the_sender() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let (one, two) = (open(&browser, &server), open(&browser, &server));
    one.fill("#room .text", "to everybody");
    one.click("#room .compose button");
    for tab in [&one, &two] {
        tab.until("document.querySelector('#room .log').textContent.includes('to everybody')");
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn the_page_shows_how_the_connection_ended_and_dials_again() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    tab.fill("#echo .code", "4321");
    tab.fill("#echo .reason", "够了");
    tab.click("#echo .shut");
    tab.until("document.querySelector('#echo').dataset.state === 'closed'");
    assert_eq!(text(&tab, "#echo .end-code"), "4321");
    assert_eq!(text(&tab, "#echo .end-reason"), "够了");
    tab.click("#echo .reconnect");
    tab.until("document.querySelector('#echo').dataset.state === 'open'");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_page_speaks_chinese_and_fits_on_a_phone() {
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    assert_eq!(text(&tab, "#room h2"), "Broadcast room");
    tab.click("[data-language=zh]");
    assert_eq!(text(&tab, "#room h2"), "广播室");
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
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tab = open(&browser, &server);
    let others = tab.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => name)\
         .filter((name) => new URL(name).host !== location.host && !name.startsWith('data:'))",
    );
    assert_eq!(others, serde_json::json!([]));
}

/// Opens the page and waits until both its panels are connected.
#[track_caller]
fn open<'a>(browser: &'a Browser, server: &Server) -> Tab<'a> {
    let tab = browser.tab();
    let page = server.url("/").replace("ws://", "http://");
    assert_eq!(tab.open(&page)["status"], 200);
    tab.until(
        "['echo', 'room'].every((id) => document.getElementById(id)?.dataset.state === 'open')",
    );
    tab
}

#[track_caller]
fn text(tab: &Tab<'_>, selector: &str) -> String {
    let text = tab.evaluate(&format!("document.querySelector({selector:?}).textContent"));
    text.as_str().expect("text").to_owned()
}
