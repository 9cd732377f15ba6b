//! Every page in every state, looked at by axe-core: both languages, light and dark, a desk and a phone. Over https with HTTP/2.

use std::fs;

use serde_json::json;
use sockeye_checks::{Browser, Certificate, Server, Tab, need};

#[test]
fn the_welcome_page_is_accessible() {
    let Some(scene) = Scene::start(&["--dev", "--public-url", "https://sockeye.example"]) else {
        return;
    };
    let tab = scene.open("/");
    tab.until("panels[0].samples.length === 1 && panels[1].isSubscribed");
    tab.evaluate("panels[0].send('{\"hello\":1}'), panels[0].send(new ArrayBuffer(20), 'file.bin'), panels[1].send('to all')");
    tab.until("document.querySelectorAll('.same').length === 3 && document.querySelectorAll('#hub .log .own').length === 1");
    scene.check(&tab, "welcome-open");
    tab.evaluate(
        "document.querySelectorAll('details > summary').forEach((summary) => summary.click())",
    );
    tab.until("document.querySelector('#hub .there').textContent !== ''");
    tab.evaluate("document.querySelector('#echo .kind').value = 'json'");
    tab.fill("#echo .text", "{a}");
    tab.press("#echo .text", "Enter");
    tab.click("#echo .shut");
    tab.until("document.querySelector('#echo').dataset.state === 'closed'");
    scene.check(&tab, "welcome-closed");
    // As if the server had said when to come back.
    tab.evaluate("panels[1].handleClose({ code: 1006, reason: 'retry_ms=900000', wasClean: false }), panels[1].suspend()");
    tab.until("document.querySelector('#hub .countdown').textContent !== ''");
    scene.check(&tab, "welcome-lost");
    let nothing = scene.open("/nothing");
    scene.check(&nothing, "not-found");
}

#[test]
fn the_welcome_page_of_a_server_that_asks_for_tokens_is_accessible() {
    let Some(scene) = Scene::start(&[]) else {
        return;
    };
    let tab = scene.open("/");
    tab.until("panels[0].samples.length === 1");
    tab.until("!document.querySelector('#hub .needs').hidden");
    scene.check(&tab, "welcome-token");
}

#[test]
fn the_chat_is_accessible() {
    let Some(scene) = Scene::start(&[]) else {
        return;
    };
    let (ann, bob) = (scene.enter("Ann"), scene.enter("Bob"));
    for (tab, text) in [(&ann, "hello"), (&bob, "see https://example.com/")] {
        tab.fill(".compose .text", text);
        tab.press(".compose .text", "Enter");
    }
    ann.until("document.querySelectorAll('.log .text').length === 2");
    scene.check(&ann, "chat-online");
    ann.evaluate("complain('.me', () => texts.problem(reason('bad_field'))), complain('.join', () => texts.problem(reason('too_many_rooms'))), complain('.compose', () => texts.tooLong(2))");
    ann.evaluate("HEARD.ERROR({ code: 'busy' }), HEARD.ERROR({ code: 'mailbox_full' }), current.note('gap'), current.note('missed', 2), current.note('dropped', 3)");
    ann.evaluate("link.isOnline = false, send('waits'), send('fails'), link.isOnline = true");
    ann.evaluate("HEARD.ERROR({ code: 'too_long', id: [...pending.keys()].at(-1) })");
    ann.until("document.querySelectorAll('.pending, .failed').length === 2");
    scene.check(&ann, "chat-errors");
    ann.click(".people button");
    bob.open("about:blank");
    ann.until("conversations.get('r:lobby').people.length === 1");
    ann.fill(".compose .text", "for later");
    ann.press(".compose .text", "Enter");
    ann.until("[...document.querySelectorAll('.log em')].length > 0");
    scene.check(&ann, "chat-private");
    ann.evaluate(
        "for (const conversation of [...conversations.values()]) forgetConversation(conversation)",
    );
    ann.until("document.querySelector('.compose').hidden");
    scene.check(&ann, "chat-nowhere");
    ann.evaluate("link.lose(1012, 'retry_ms=900000')");
    scene.check(&ann, "chat-lost");
}

#[test]
fn the_chat_that_asks_for_a_token_is_accessible() {
    let Some(scene) = Scene::start(&["--chat-token", "s3cret"]) else {
        return;
    };
    let tab = scene.open("/chat");
    tab.until("document.body.dataset.state === 'refused'");
    scene.check(&tab, "chat-token");
    tab.fill(".token input", "wrong");
    tab.press(".token input", "Enter");
    tab.until("document.querySelector('.token .error').textContent !== ''");
    scene.check(&tab, "chat-token-wrong");
}

#[test]
fn the_login_page_is_accessible() {
    let Some(scene) = Scene::start(&[]) else {
        return;
    };
    let tab = scene.open("/login");
    tab.until("document.querySelector('main').dataset.state === 'waiting'");
    tab.evaluate("document.querySelector('details').open = true");
    scene.check(&tab, "login-unreachable");
    tab.evaluate("isUnreachable = false, isKnown = true, show('waiting')");
    scene.check(&tab, "login-waiting");
    for state in [
        "scanned",
        "done",
        "denied",
        "expired",
        "asksReplace",
        "lost",
        "loggedOut",
    ] {
        tab.evaluate(&format!("show('{state}', 'Ann')"));
        scene.check(&tab, &format!("login-{state}"));
    }
}

#[test]
fn the_page_that_confirms_a_login_is_accessible() {
    let Some(scene) = Scene::start(&[]) else {
        return;
    };
    let screen = scene.open("/login");
    screen.until("document.querySelector('main').dataset.state === 'waiting'");
    let url = screen.evaluate("document.querySelector('.address').href");
    let phone = scene.browser.stranger();
    phone.open(url.as_str().expect("an address"));
    phone.until("document.querySelector('main').dataset.state === 'asking'");
    scene.check(&phone, "confirm-asking");
    phone.evaluate("complain('name')");
    scene.check(&phone, "confirm-name");
    for (state, text) in [
        ("confirmed", "confirmed"),
        ("refused", "refused"),
        ("gone", "expired"),
        ("gone", "new_code"),
    ] {
        phone.evaluate(&format!("show('{state}', '{text}')"));
        scene.check(&phone, &format!("confirm-{text}"));
    }
}

#[test]
fn forced_colours_leave_the_state_and_what_is_current_visible() {
    let Some(scene) = Scene::start(&[]) else {
        return;
    };
    for (path, current) in [
        ("/", "[aria-pressed=true]"),
        ("/chat", "[aria-current=true]"),
    ] {
        let tab = scene.open(path);
        tab.media(&json!({ "forcedColors": "active" }));
        tab.until("document.querySelector('[data-state=open], [data-state=online]') !== null");
        let dot = "getComputedStyle(document.querySelector('.dot')).backgroundColor !== 'rgba(0, 0, 0, 0)'";
        tab.until(dot);
        let outline = format!("getComputedStyle(document.querySelector('{current}')).outlineStyle");
        tab.until(&format!("document.querySelector('{current}') !== null"));
        assert_eq!(tab.evaluate(&outline), "solid", "{path}");
        tab.picture(&format!("forced-colours{}", path.replace('/', "-")));
    }
}

#[test]
fn every_page_works_with_the_keyboard_alone() {
    let Some(scene) = Scene::start(&[]) else {
        return;
    };
    // What can be reached and has a label, in the order of the page; nothing traps the focus.
    for path in ["/", "/chat", "/login"] {
        let tab = scene.open(path);
        tab.until("document.querySelector('[data-state=open], [data-state=online], [data-state=waiting]') !== null");
        let expected = tab.evaluate(
            "[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')].filter((item) => item.checkVisibility() && item.type !== 'hidden').length",
        );
        tab.evaluate("window.reached = new Set(), document.addEventListener('focusin', ({ target }) => reached.add(target))");
        for _ in 0..expected.as_u64().expect("a count") + 2 {
            tab.key("Tab");
        }
        assert_eq!(tab.evaluate("reached.size"), expected, "{path}");
    }
}

/// A browser and a server, and axe-core.
struct Scene {
    browser: Browser,
    server: Server,
    axe: String,
    _certificate: Certificate,
}

impl Scene {
    #[track_caller]
    fn start(arguments: &[&str]) -> Option<Self> {
        let axe = need::package_file("axe-core/axe.min.js")?;
        let certificate = Certificate::new();
        let (chain, key) = (certificate.chain(), certificate.key());
        let browser = Browser::start(&["--ignore-certificate-errors"])?;
        let server =
            Server::start(&[&["--tls-cert", &chain, "--tls-key", &key], arguments].concat())?;
        Some(Self {
            browser,
            server,
            axe: fs::read_to_string(axe).expect("a script"),
            _certificate: certificate,
        })
    }

    #[track_caller]
    fn open(&self, path: &str) -> Tab<'_> {
        let tab = self.browser.stranger();
        let url = self.server.url(path).replace("wss://", "https://");
        assert_eq!(tab.open(&format!("{url}?lang=en"))["version"], "h2");
        tab
    }

    #[track_caller]
    fn enter(&self, name: &str) -> Tab<'_> {
        let tab = self.open("/chat");
        tab.until("current?.joined === true");
        tab.fill(".me input", name);
        tab.press(".me input", "Enter");
        tab.until(&format!("me.name === '{name}'"));
        tab
    }

    /// Looks at a state of a page.
    #[track_caller]
    fn check(&self, tab: &Tab<'_>, name: &str) {
        if tab.evaluate("typeof axe") == "undefined" {
            tab.evaluate(&self.axe);
        }
        for language in ["zh", "en"] {
            tab.evaluate(&format!(
                "document.querySelector('[data-language={language}]').click()"
            ));
            for scheme in ["light", "dark"] {
                tab.media(&json!({ "colorScheme": scheme }));
                for (width, height) in [(1280, 900), (390, 844)] {
                    tab.resize(width, height);
                    let place = format!("{name}-{language}-{scheme}-{width}");
                    assert_eq!(tab.evaluate(AXE), json!([]), "{place}");
                    let too_wide =
                        tab.evaluate("document.documentElement.scrollWidth - innerWidth");
                    assert!(
                        too_wide.as_i64().is_some_and(|pixels| pixels <= 0),
                        "{place}"
                    );
                    tab.picture(&place);
                }
            }
            if language == "zh" {
                assert_eq!(tab.evaluate(UNTRANSLATED), json!([]), "{name}");
            }
        }
        // A phone shows less at once.
        tab.resize(1280, 900);
        assert_eq!(tab.errors(), Vec::<String>::new(), "{name}");
    }
}

/// The rules that a state breaks, and where. Waits for the frame in which it is drawn.
const AXE: &str = "new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
    .then(() => axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }))
    .then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target, any }) => `${id}: ${target} ${any[0]?.message ?? ''}`)))";

/// Texts of the Chinese page that are not Chinese: they don't come from its table.
const UNTRANSLATED: &str = r#"(() => {
    // Names, addresses, code and what people have written.
    const free = 'code, pre, bdi, time, script, style, noscript, template, title, [lang=en], .text, li:not(.note) > .body, .endpoints dt, .d-url, .d-extensions, .d-subprotocol, .end-reason, .address, .tag, .browser, .ip, .there, textarea';
    const words = /WebSocket|Sockeye|KiB|MiB|\bB\b|\bms\b|\bIP\b|Cookie|trusted-proxies|client\.[a-z_]+|history_[a-z]+|--[a-z-]+|JSON|Node|lobby|Ann|Bob|guest-[0-9a-f]+|new_code|hello|to all/g;
    const found = [];
    const look = (text, place) => {
        if (/[A-Za-z]{2,}/.test((text ?? '').replace(words, ''))) found.push(`${place}: ${text}`);
    };
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { parentElement, textContent } = walker.currentNode;
        if (!parentElement.closest(free)) look(textContent, parentElement.className || parentElement.localName);
    }
    for (const item of document.querySelectorAll('*')) {
        if (item.closest('noscript, script, svg.mark')) continue;
        for (const name of ['aria-label', 'placeholder', 'title']) look(item.getAttribute(name), `${item.className} ${name}`);
    }
    return found;
})()"#;
