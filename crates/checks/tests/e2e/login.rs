//! Login by QR code, with two browsers: one shows the code, the other is the phone.

use sockeye_checks::{Browser, Certificate, Server, Tab, need};

#[test]
fn a_phone_lends_its_identity_to_the_browser() {
    if let Some((browser, server)) = scene(&[]) {
        lend(&browser, &server);
    }
}

// Issue 13, B.9.
#[test]
fn a_phone_lends_its_identity_over_https_with_http2() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(browser) = Browser::start(&["--ignore-certificate-errors"]) else {
        return;
    };
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    let opened = browser.tab().open(&page(&server, "/login"));
    assert_eq!(opened["version"], "h2");
    lend(&browser, &server);
}

fn lend(browser: &Browser, server: &Server) {
    let (screen, phone) = (browser.stranger(), browser.stranger());
    // The phone is logged in already.
    phone.open(&page(server, "/chat"));
    phone.until("current?.joined === true");
    phone.fill(".me input", "Ann");
    phone.press(".me input", "Enter");
    phone.until("me.name === 'Ann'");
    let address = phone.evaluate("me.address");

    let url = show(&screen, server);
    scan(&phone, &url);
    state(&screen, "scanned");
    assert_eq!(
        phone.evaluate("document.querySelector('.browser').textContent.includes('Chrome')"),
        true
    );
    assert_eq!(
        phone.evaluate("document.querySelector('.yes input').value"),
        "Ann"
    );
    phone.click(".yes .primary");
    state(&phone, "confirmed");
    state(&screen, "done");
    screen.until("document.querySelector('.word').textContent.includes('Ann')");
    // No script can read the session's cookie.
    assert_eq!(screen.evaluate("document.cookie"), "");
    screen.click(".go");
    screen.until("typeof me === 'object' && me.address !== ''");
    assert_eq!(screen.evaluate("me.address"), address);
    screen.until("me.name === 'Ann'");
    for tab in [&screen, &phone] {
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn the_picture_says_what_it_should_to_somebody_elses_decoder() {
    let Some(decoder) = need::package_file("jsqr/dist/jsQR.js") else {
        return;
    };
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let screen = browser.stranger();
    let url = show(&screen, &server);
    screen.evaluate(&std::fs::read_to_string(decoder).expect("a script"));
    assert_eq!(screen.evaluate(DECODE), url);
}

/// Draws the QR code of the page, and decodes it.
const DECODE: &str = "(() => {
    const size = document.querySelector('.qr').viewBox.baseVal.width;
    const pixels = size * 6;
    const pen = new OffscreenCanvas(pixels, pixels).getContext('2d');
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, pixels, pixels);
    pen.fillStyle = '#000';
    pen.scale(6, 6);
    pen.fill(new Path2D(document.querySelector('.qr path').getAttribute('d')));
    const { data } = pen.getImageData(0, 0, pixels, pixels);
    return jsQR(data, pixels, pixels)?.data;
})()";

#[test]
fn a_phone_that_is_nobody_names_itself() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    scan(&phone, &url);
    phone.fill(".yes input", "新来的");
    phone.click(".yes .primary");
    state(&screen, "done");
    let uuid =
        "fetch('/socket/chat-uuid').then((answer) => answer.json()).then(({ data }) => data.uuid)";
    assert_eq!(screen.evaluate(uuid), phone.evaluate(uuid));
}

#[test]
fn a_code_is_for_one_phone_and_one_time() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone, thief) = (browser.stranger(), browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    scan(&phone, &url);
    thief.open(&url);
    state(&thief, "gone");
    phone.fill(".yes input", "Ann");
    phone.click(".yes .primary");
    state(&screen, "done");
    // Scanned again, it is used; and the first question's answer can't be said again either.
    phone.open("about:blank");
    phone.open(&url);
    state(&phone, "gone");
    phone.until("document.querySelector('.word').textContent.includes('used')");
}

#[test]
fn the_picture_alone_gives_nobody_the_session() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone, thief) = (browser.stranger(), browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    // The page keeps the messages of its WebSocket, so that a thief can have them, too.
    screen.evaluate("HEARD.STATE = ({ state, code }) => { window.code = code; show(state === 'confirmed' ? 'taking' : state); }");
    scan(&phone, &url);
    phone.fill(".yes input", "Ann");
    phone.click(".yes .primary");
    screen.until("typeof window.code === 'string'");
    let code = screen.evaluate("window.code");
    let ticket = url.split_once('#').expect("a ticket").1;
    thief.open(&page(&server, "/login"));
    let exchange = |tab: &Tab<'_>, code: &str| {
        tab.evaluate(&format!(
            "fetch('/login/exchange', {{ method: 'POST', headers: {{ 'content-type': 'application/json' }}, \
             body: JSON.stringify({{ code: '{code}' }}) }}).then(({{ status }}) => status)"
        ))
    };
    let code = code.as_str().expect("a code");
    assert_eq!(exchange(&thief, code), 403);
    assert_eq!(exchange(&thief, ticket), 410);
    assert_eq!(exchange(&screen, code), 200);
    assert_eq!(exchange(&screen, code), 410);
}

#[test]
fn no_leaves_the_browser_outside_and_a_new_code_is_shown_on_demand() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    scan(&phone, &url);
    phone.click(".no");
    state(&phone, "refused");
    state(&screen, "denied");
    screen.click(".renew");
    state(&screen, "waiting");
    assert_ne!(
        screen.evaluate("document.querySelector('.address').href"),
        url
    );
}

// Issue 13, B.9.
#[test]
fn a_browser_that_is_somebody_is_asked_before_it_is_somebody_else() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let bob = enter(&screen, &server, "Bob");
    let ann = enter(&phone, &server, "Ann");
    for (answer, after, who) in [(".keep", "kept", &bob), (".replace", "done", &ann)] {
        let url = show(&screen, &server);
        screen.until("document.querySelector('.known span').textContent.includes('Bob')");
        // Loads the page again although only the part behind the # differs.
        phone.open("about:blank");
        scan(&phone, &url);
        phone.click(".yes .primary");
        state(&screen, "asksReplace");
        screen.click(answer);
        state(&screen, after);
        screen.open(&page(&server, "/chat"));
        screen.until("me.address !== ''");
        assert_eq!(&screen.evaluate("me.address"), who);
    }
    for tab in [&screen, &phone] {
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

#[test]
fn who_logs_out_is_somebody_new_and_can_log_in_again() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let bob = enter(&screen, &server, "Bob");
    let ann = enter(&phone, &server, "Ann");
    show(&screen, &server);
    screen.click(".out");
    state(&screen, "loggedOut");
    screen.until("localStorage.getItem('name') === null");
    screen.click(".renew");
    state(&screen, "waiting");
    screen.until("document.querySelector('.known').hidden");
    let url = show(&screen, &server);
    scan(&phone, &url);
    phone.click(".yes .primary");
    // No login is replaced now.
    state(&screen, "done");
    screen.open(&page(&server, "/chat"));
    screen.until("me.address !== ''");
    assert_eq!(screen.evaluate("me.address"), ann);
    assert_ne!(ann, bob);
}

/// Joins the chat under a name, and returns the address that others see.
#[track_caller]
fn enter(tab: &Tab<'_>, server: &Server, name: &str) -> serde_json::Value {
    tab.open(&page(server, "/chat"));
    tab.until("current?.joined === true");
    tab.fill(".me input", name);
    tab.press(".me input", "Enter");
    tab.until(&format!("me.name === '{name}'"));
    tab.evaluate("me.address")
}

#[test]
fn an_expired_code_is_renewed_by_the_page_and_refused_to_the_phone() {
    let Some((browser, server)) = scene(&["--login-lifetime", "2s"]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    screen.until(&format!(
        "document.querySelector('.address').href !== {url:?}"
    ));
    phone.open(&url);
    state(&phone, "gone");
    phone.until("document.querySelector('.word').textContent.includes('expired')");
}

#[test]
fn both_pages_speak_chinese_and_fit_on_a_phone() {
    let Some((browser, server)) = scene(&[]) else {
        return;
    };
    let (screen, phone) = (browser.stranger(), browser.stranger());
    let url = show(&screen, &server);
    scan(&phone, &url);
    for (tab, title) in [(&screen, "用手机扫码登录"), (&phone, "确认登录")] {
        tab.resize(390, 844);
        tab.click("[data-language=zh]");
        tab.until(&format!(
            "document.querySelector('h1').textContent === '{title}'"
        ));
        let too_wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth");
        assert!(too_wide.as_i64().is_some_and(|pixels| pixels <= 0));
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
}

fn scene(arguments: &[&str]) -> Option<(Browser, Server)> {
    Some((Browser::start(&[])?, Server::start(arguments)?))
}

/// Opens the login page, waits for its QR code, and returns the address in it.
#[track_caller]
fn show(screen: &Tab<'_>, server: &Server) -> String {
    assert_eq!(screen.open(&page(server, "/login"))["status"], 200);
    state(screen, "waiting");
    let url = screen.evaluate("document.querySelector('.address').href");
    url.as_str().expect("an address").to_owned()
}

/// Opens a URL, as a phone does that has scanned it.
#[track_caller]
pub(crate) fn scan(phone: &Tab<'_>, url: &str) {
    // English, whatever this machine's language is.
    phone.open(&url.replace("/confirm#", "/confirm?lang=en#"));
    state(phone, "asking");
}

#[track_caller]
pub(crate) fn state(tab: &Tab<'_>, state: &str) {
    tab.until(&format!(
        "document.querySelector('main')?.dataset.state === '{state}'"
    ));
}

fn page(server: &Server, path: &str) -> String {
    server
        .url(&format!("{path}?lang=en"))
        .replace("wss://", "https://")
        .replace("ws://", "http://")
}
