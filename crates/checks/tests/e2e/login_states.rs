//! The login's pages in the states that people meet: an address that no phone reaches, a phone, a late scan, a name that is refused.

use serde_json::{Value, json};
use sockeye_checks::{Browser, Port, Server, Tab};

use crate::login::{scan, state};

#[test]
fn a_visitor_of_a_loopback_address_learns_how_a_phone_reaches_the_server() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let tab = browser.stranger();
    for host in ["127.0.0.1", "localhost"] {
        tab.open("about:blank");
        tab.open(&page(&server, host));
        state(&tab, "waiting");
        assert_eq!(
            shown(&tab),
            json!({ "code": false, "unreachable": true, "phone": false }),
            "{host}"
        );
        let command = format!("sockeye serve --listen 0.0.0.0:{}", server.port());
        assert_eq!(
            tab.evaluate("document.querySelector('.unreachable code').textContent"),
            command
        );
    }
    // Under a name that others can resolve, the code is shown.
    tab.open(&page(&server, "sockeye.test"));
    state(&tab, "waiting");
    assert_eq!(
        shown(&tab),
        json!({ "code": true, "unreachable": false, "phone": false })
    );
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn a_code_leads_to_the_public_address_and_a_phone_there_confirms() {
    let port = Port::reserve();
    let Some(browser) = Browser::start(&["--host-resolver-rules=MAP sockeye.test 127.0.0.1"])
    else {
        return;
    };
    let public = format!("http://sockeye.test:{}", port.addr().port());
    let address = port.addr().to_string();
    let Some(server) = Server::start_with(&["--listen", &address, "--public-url", &public]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    // The browser's own address is one that no phone reaches.
    let url = show(&screen, &server);
    assert_eq!(
        shown(&screen),
        json!({ "code": true, "unreachable": false, "phone": false })
    );
    assert!(
        url.starts_with(&format!("{public}/login/confirm#")),
        "{url}"
    );
    scan(&phone, &url);
    phone.fill(".yes input", "Ann");
    phone.click(".yes .primary");
    state(&screen, "done");
    assert_eq!(screen.errors(), Vec::<String>::new());
}

#[test]
fn a_phone_is_sent_to_a_computer_and_may_have_the_code_all_the_same() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let phone = browser.stranger_with(&json!({
        "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile/15E148 Safari/604.1",
    }));
    phone.open(&page(&server, "sockeye.test"));
    state(&phone, "waiting");
    assert_eq!(
        shown(&phone),
        json!({ "code": false, "unreachable": false, "phone": true })
    );
    phone.click(".anyway");
    assert_eq!(
        shown(&phone),
        json!({ "code": true, "unreachable": false, "phone": false })
    );
}

#[test]
fn a_scan_gives_time_to_type_a_name() {
    let Some((browser, server)) = scene(&["--login-lifetime", "60s"]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    let before = screen.evaluate("expires").as_f64().expect("a time");
    // Later than the code came.
    screen.until("Date.now() > expires - 59900");
    scan(&phone, &url);
    state(&screen, "scanned");
    let after = screen.evaluate("expires").as_f64().expect("a time");
    assert!(after > before, "{after} after {before}");
    phone.click(".no");
    state(&screen, "denied");
    assert_eq!(word(&screen), "Declined on your phone.");
    assert_eq!(word(&phone), "Declined. The browser was not logged in.");
}

#[test]
fn a_code_that_expired_while_nobody_looked_is_replaced() {
    let Some((browser, server)) = scene(&["--login-lifetime", "2s"]) else {
        return;
    };
    let screen = browser.stranger();
    show(&screen, &server);
    screen.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })");
    state(&screen, "expired");
    screen.evaluate(
        "delete document.visibilityState, document.dispatchEvent(new Event('visibilitychange'))",
    );
    state(&screen, "waiting");
}

#[test]
fn a_name_that_is_refused_can_be_mended() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    scan(&phone, &url);
    phone.fill(".yes input", "a\u{200B}b");
    phone.click(".yes .primary");
    phone.until("document.querySelector('.error').textContent === 'This name is too long, or has invisible characters.'");
    assert_eq!(phone.evaluate("localStorage.getItem('name')"), Value::Null);
    // In the other language too.
    phone.click("[data-language=zh]");
    phone.until("document.querySelector('.error').textContent === '名字过长，或含有不可见字符。'");
    phone.fill(".yes input", "👩\u{200D}🚀🚀");
    phone.click(".yes .primary");
    state(&screen, "done");
    state(&phone, "confirmed");
    assert_eq!(word(&phone), "登录成功，可以收起手机了。");
    assert_eq!(
        phone.evaluate("localStorage.getItem('name')"),
        "👩\u{200D}🚀🚀"
    );
    assert_eq!(phone.evaluate("document.activeElement.className"), "word");
}

#[test]
fn the_page_comes_back_from_the_back_forward_cache() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let screen = browser.stranger();
    let url = show(&screen, &server);
    screen.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))");
    screen.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))");
    screen.until(&format!(
        "document.querySelector('.address').href !== {url:?}"
    ));
    state(&screen, "waiting");
    assert_eq!(screen.errors(), Vec::<String>::new());
}

fn scene(arguments: &[&str]) -> Option<(Browser, Server)> {
    let browser = Browser::start(&["--host-resolver-rules=MAP sockeye.test 127.0.0.1"])?;
    Some((browser, Server::start(arguments)?))
}

fn page(server: &Server, host: &str) -> String {
    format!("http://{host}:{}/login?lang=en", server.port())
}

/// Opens the login page and waits for its code. The address that is in it.
#[track_caller]
fn show(screen: &Tab<'_>, server: &Server) -> String {
    screen.open(&page(server, "127.0.0.1"));
    state(screen, "waiting");
    let url = screen.evaluate("document.querySelector('.address').href");
    url.as_str().expect("an address").to_owned()
}

#[track_caller]
fn word(tab: &Tab<'_>) -> String {
    let word = tab.evaluate("document.querySelector('.word').textContent");
    word.as_str().expect("a word").to_owned()
}

/// What of the page is seen.
#[track_caller]
fn shown(tab: &Tab<'_>) -> Value {
    tab.evaluate(
        "Object.fromEntries(['code', 'unreachable', 'phone'].map((part) => [part, document.querySelector(`.${part}`).checkVisibility()]))",
    )
}
