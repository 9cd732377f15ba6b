//! Every page in every state, looked at by axe-core: both languages, light and dark, a desk and a phone, over https with
//! HTTP/2 and over http.

use std::fs;

use serde_json::{Value, json};
use sockeye_checks::{Browser, Certificate, Server, Tab, need};

#[test]
fn the_welcome_page_is_accessible() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(
            scheme,
            &["--dev", "--public-url", "https://sockeye.example"],
        ) else {
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
        // Looked through, with nothing to be found, and paused.
        tab.fill("#echo .filter", "nothing has this");
        tab.fill("#hub .filter", "all");
        for panel in ["#echo", "#hub"] {
            tab.click(&format!("{panel} .pause"));
        }
        tab.click("text=Go");
        scene.check(&tab, "welcome-filtered");
        // As if the server had said when to come back.
        tab.evaluate("panels[1].handleClose({ code: 1006, reason: 'retry_ms=900000', wasClean: false }), panels[1].retry.suspend()");
        tab.until("document.querySelector('#hub .countdown').textContent !== ''");
        scene.check(&tab, "welcome-lost");
        let nothing = scene.open("/nothing");
        scene.check(&nothing, "not-found");
    }
}

#[test]
fn the_welcome_page_of_a_server_that_asks_for_tokens_is_accessible() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(scheme, &[]) else {
            return;
        };
        let tab = scene.open("/");
        tab.until("panels[0].samples.length === 1");
        tab.until("!document.querySelector('#hub .needs').hidden");
        scene.check(&tab, "welcome-token");
        tab.fill("#hub .token input", "no token");
        tab.press("#hub .token input", "Enter");
        tab.until("document.querySelector('#hub .token .error').textContent !== ''");
        scene.check(&tab, "welcome-token-wrong");
    }
}

#[test]
fn the_chat_is_accessible() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(scheme, &[]) else {
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
        // What is a room and what is a person is said too, and not by `#` and `@`.
        let spoken = "[...document.querySelectorAll('.conversations button')].map((button) => {
            const said = button.cloneNode(true);
            said.querySelectorAll('[aria-hidden=true]').forEach((item) => item.remove());
            return said.textContent;
        })";
        assert_eq!(
            ann.evaluate(spoken),
            json!(["Room lobby", "Private chat Bob"])
        );
        scene.check(&ann, "chat-private");
        ann.evaluate(
        "for (const conversation of [...conversations.values()]) forgetConversation(conversation)",
    );
        ann.until("document.querySelector('.compose').hidden");
        scene.check(&ann, "chat-nowhere");
        ann.evaluate("link.lose(1012, 'retry_ms=900000')");
        scene.check(&ann, "chat-lost");
    }
}

#[test]
fn the_chat_that_asks_for_a_token_is_accessible() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(scheme, &["--chat-token", "s3cret"]) else {
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
}

#[test]
fn the_login_page_is_accessible() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(scheme, &[]) else {
            return;
        };
        let tab = scene.open("/login");
        tab.until("document.querySelector('main').dataset.state === 'waiting'");
        tab.evaluate("document.querySelector('details').open = true");
        scene.check(&tab, "login-unreachable");
        tab.evaluate("isUnreachable = false, isKnown = true, show('waiting')");
        scene.check(&tab, "login-waiting");
        for state in [
            "connecting",
            "scanned",
            "taking",
            "failed",
            "kept",
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
        let phone = scene.open_with(
        "/login",
        &json!({ "isMobile": true, "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile/15E148 Safari/604.1" }),
    );
        phone.until("document.querySelector('main').dataset.state === 'waiting'");
        scene.check(&phone, "login-phone");
    }
}

#[test]
fn the_page_that_confirms_a_login_is_accessible() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(scheme, &[]) else {
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
        phone.evaluate("complain('too_many')");
        scene.check(&phone, "confirm-too-many");
        for (state, text) in [
            ("confirmed", "confirmed"),
            ("refused", "refused"),
            ("gone", "expired"),
            ("gone", "taken"),
            ("gone", "noTicket"),
            ("gone", "new_code"),
        ] {
            phone.evaluate(&format!("show('{state}', '{text}')"));
            scene.check(&phone, &format!("confirm-{text}"));
        }
    }
}

#[test]
fn forced_colours_leave_the_state_and_what_is_current_visible() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(scheme, &[]) else {
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
            let outline =
                format!("getComputedStyle(document.querySelector('{current}')).outlineStyle");
            tab.until(&format!("document.querySelector('{current}') !== null"));
            assert_eq!(tab.evaluate(&outline), "solid", "{path}");
            tab.picture(&format!("forced-colours{}", path.replace('/', "-")));
        }
    }
}

#[test]
fn every_page_works_with_the_keyboard_alone() {
    for scheme in BOTH {
        let Some(scene) = Scene::start(scheme, &[]) else {
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
            assert_eq!(tab.evaluate(HIDDEN_RINGS), json!([]), "{path}");
        }
    }
}

#[test]
fn a_login_and_a_message_need_no_mouse() {
    let Some(scene) = Scene::start(Scheme::Https, &[]) else {
        return;
    };
    let screen = scene.open("/login");
    screen.until("document.querySelector('main').dataset.state === 'waiting'");
    let url = screen.evaluate("document.querySelector('.address').href");
    let phone = scene.browser.stranger();
    phone.open(url.as_str().expect("an address"));
    phone.until("document.querySelector('main').dataset.state === 'asking'");
    tab_to(&phone, ".yes input");
    for key in ["A", "n", "n", "Enter"] {
        phone.key(key);
    }
    phone.until("document.querySelector('main').dataset.state === 'confirmed'");
    screen.until("document.querySelector('main').dataset.state === 'done'");
    tab_to(&screen, ".go");
    screen.key("Enter");
    screen.until("location.pathname === '/chat' && current?.joined === true && me.name === 'Ann'");
    tab_to(&screen, ".compose .text");
    for key in ["h", "i", "Enter"] {
        screen.key(key);
    }
    screen
        .until("document.querySelector('.log .text')?.textContent === 'hi' && pending.size === 0");
    assert_eq!(screen.errors(), Vec::<String>::new());
}

/// Presses the tab key until the focus is here.
#[track_caller]
fn tab_to(tab: &Tab<'_>, selector: &str) {
    for _ in 0..40 {
        if tab.evaluate(&format!("document.activeElement.matches({selector:?})")) == true {
            return;
        }
        tab.key("Tab");
    }
    panic!("{selector} can't be reached");
}

/// How pages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// Over HTTP/2.
    Https,
    Http,
}

const BOTH: [Scheme; 2] = [Scheme::Https, Scheme::Http];

/// A browser and a server, and axe-core.
struct Scene {
    scheme: Scheme,
    browser: Browser,
    server: Server,
    axe: String,
    _certificate: Certificate,
}

impl Scene {
    #[track_caller]
    fn start(scheme: Scheme, arguments: &[&str]) -> Option<Self> {
        let axe = need::package_file("axe-core/axe.min.js")?;
        let certificate = Certificate::new();
        let (chain, key) = (certificate.chain(), certificate.key());
        let tls = ["--tls-cert", &chain, "--tls-key", &key];
        let tls = match scheme {
            Scheme::Https => &tls[..],
            Scheme::Http => &[],
        };
        let browser = Browser::start(&["--ignore-certificate-errors"])?;
        let server = Server::start(&[tls, arguments].concat())?;
        Some(Self {
            scheme,
            browser,
            server,
            axe: fs::read_to_string(axe).expect("a script"),
            _certificate: certificate,
        })
    }

    #[track_caller]
    fn open(&self, path: &str) -> Tab<'_> {
        self.open_with(path, &json!({}))
    }

    /// Opens a page in a browser with these options of Playwright's.
    #[track_caller]
    fn open_with(&self, path: &str, options: &Value) -> Tab<'_> {
        let tab = self.browser.stranger_with(options);
        let url = self.server.url(path).replacen("ws", "http", 1);
        let version = match self.scheme {
            Scheme::Https => "h2",
            Scheme::Http => "http/1.1",
        };
        assert_eq!(tab.open(&format!("{url}?lang=en"))["version"], version);
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
                    let place = format!("{:?}-{name}-{language}-{scheme}-{width}", self.scheme);
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

/// The elements in `reached` whose ring of the focus isn't seen, or is cut off by what they are in.
const HIDDEN_RINGS: &str = r#"[...reached].filter((item) => {
    item.focus();
    // A file is chosen by its label, which has the ring.
    const ringed = item.type === 'file' ? item.parentElement : item;
    const { outlineStyle, outlineWidth, outlineOffset } = getComputedStyle(ringed);
    if (outlineStyle === 'none' || parseFloat(outlineWidth) < 2) return true;
    const ring = parseFloat(outlineWidth) + parseFloat(outlineOffset);
    const { left, right, top, bottom } = ringed.getBoundingClientRect();
    for (let around = ringed.parentElement; around !== document.documentElement; around = around.parentElement) {
        if (!['hidden', 'clip'].includes(getComputedStyle(around).overflowX)) continue;
        const box = around.getBoundingClientRect();
        if (left - ring < box.left || right + ring > box.right || top - ring < box.top || bottom + ring > box.bottom) return true;
    }
    return false;
}).map(({ outerHTML }) => outerHTML.slice(0, 80))"#;

/// The rules that a state breaks, and where. Waits for the frame in which it is drawn.
const AXE: &str = "new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
    .then(() => axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }))
    .then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target, any }) => `${id}: ${target} ${any[0]?.message ?? ''}`)))";

/// Texts of the Chinese page that are not Chinese: they don't come from its table.
const UNTRANSLATED: &str = r#"(() => {
    // Names, addresses, code and what people have written.
    const free = 'code, pre, bdi, time, script, style, noscript, template, title, [lang=en], .text, li:not(.note) > .body, .endpoints dt, .d-url, .d-extensions, .d-subprotocol, .end-reason, .address, .tag, .browser, .ip, .there, textarea';
    const words = /WebSocket|Sockeye|UTF-8|KiB|MiB|\bB\b|\bms\b|\bIP\b|Cookie|trusted-proxies|client\.[a-z_]+|history_[a-z]+|--[a-z-]+|JSON|Node|lobby|Ann|Bob|guest-[0-9a-f]+|new_code|hello|to all/g;
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
