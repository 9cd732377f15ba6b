//! The server's pages over HTTPS, where browsers use HTTP/2. `login.rs` has the login's page.

use sockeye_checks::{Browser, Certificate, Server, Tab};

#[test]
fn welcome_page_and_chat_work_over_https_with_http2() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(browser) = Browser::start(&["--ignore-certificate-errors"]) else {
        return;
    };
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    let open = |path: &str| -> Tab<'_> {
        let tab = browser.stranger();
        let url = server.url(path).replace("wss://", "https://");
        let opened = tab.open(&url);
        assert_eq!(
            (&opened["status"], &opened["version"]),
            (&200.into(), &"h2".into())
        );
        tab
    };
    let welcome = open("/?lang=en");
    welcome.until("document.querySelector('#echo').dataset.state === 'open'");
    welcome.fill("#echo .text", "Grüße, 你好");
    welcome.click("#echo .compose button");
    // The first is the one with which the page begins.
    welcome.until("document.querySelectorAll('#echo .log .same').length === 2");
    let (ann, bob) = (open("/chat?lang=en"), open("/chat?lang=en"));
    for (tab, name) in [(&ann, "Ann"), (&bob, "Bob")] {
        tab.until("current?.joined === true");
        tab.fill(".me input", name);
        tab.press(".me input", "Enter");
        tab.until(&format!("me.name === '{name}'"));
    }
    ann.fill(".compose .text", "hello");
    ann.press(".compose .text", "Enter");
    bob.until("document.querySelector('.log').textContent.includes('hello')");
    // The browser has taken the cookies: the next visit is the same person's.
    let address = ann.evaluate("me.address");
    let url = server.url("/chat?lang=en").replace("wss://", "https://");
    ann.open(&url);
    ann.until("me.address !== ''");
    assert_eq!(ann.evaluate("me.address"), address);
    for tab in [&welcome, &ann, &bob] {
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn a_page_asked_for_without_tls_says_what_is_wrong() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(browser) = Browser::start(&[]) else {
        return;
    };
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    let tab = browser.tab();
    let opened = tab.open(&server.url("/").replace("wss://", "http://"));
    assert_eq!(opened["status"], 400);
    assert_eq!(
        tab.evaluate("document.body.textContent.trim()"),
        "this port speaks TLS: use https:// or wss://"
    );
}
