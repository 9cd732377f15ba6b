//! Pages that users wrote, unchanged, in Chromium.
//!
//! Each of them has its server's address in its code, so here the server has to listen where they expect it.

use std::fs::{self, File};
use std::net::TcpListener;

use sockeye_checks::{Browser, Server, Tab, need};
use tempfile::TempDir;

/// Alerts when it has sent, when the echo comes, when the connection is closed.
const ALERT: &str = include_str!("../seeds/alert.js");
/// A broadcast room: two buttons, then the script. Expects `#body` and `#content` to be there.
const BROADCAST: &str = include_str!("../seeds/broadcast.txt");
/// A whole page with a link to click on. Its `onmessage` has a misprint (`evt`), which stays.
const CLICK: &str = include_str!("../seeds/click.html");
/// A chat: it asks by HTTP who it is and says so over its WebSocket. Expects `$` and `sweetAlert` to be there.
const CHAT: &str = include_str!("../seeds/chat.js");
/// Writes every event to the console.
const CONSOLE: &str = include_str!("../seeds/console.js");
/// Checks whether the browser has WebSocket, and connects.
const SUPPORT: &str = include_str!("../seeds/support.js");

#[test]
fn the_page_that_alerts_shows_every_dialog() {
    let Some((site, server)) = Site::new(&[]) else {
        return;
    };
    let tab = site.open("alert.html", &in_script(ALERT));
    tab.wait_for_dialog("数据发送中...");
    tab.wait_for_dialog("数据已接收...");
    assert_eq!(tab.errors(), Vec::<String>::new());
    server.stop();
    tab.wait_for_dialog("连接已关闭...");
}

#[test]
fn the_page_that_broadcasts_reaches_all_tabs_and_itself() {
    let Some((site, server)) = Site::new(&[80]) else {
        return;
    };
    // Markup up to the end of the two buttons, script from there.
    let (buttons, script) = BROADCAST.split_once("</div>\n").expect("two buttons");
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\">\n<div id=\"body\"></div><input id=\"content\">\n\
         {buttons}</div>\n{}",
        in_script(script)
    );
    let one = site.open("room.html", &page);
    let two = site.open("room.html", &page);
    for tab in [&one, &two] {
        tab.until("socket.readyState === WebSocket.OPEN && socket.onmessage !== null");
    }
    one.fill("#content", "大家好");
    one.click("input[value=发送]");
    two.until("body.innerHTML.includes('对方：大家好')");
    // The sender shows the message twice: once as "me", once as it came from the room.
    one.until("body.innerHTML.includes('我：大家好') && body.innerHTML.includes('对方：大家好')");
    assert_eq!(one.evaluate("document.getElementById('content').value"), "");
    two.fill("#content", "not sent");
    two.click("input[value=清空]");
    assert_eq!(two.evaluate("document.getElementById('content').value"), "");
    for tab in [&one, &two] {
        assert_eq!(tab.errors(), Vec::<String>::new());
    }
    server.stop();
    for tab in [&one, &two] {
        tab.until("body.innerHTML.includes('系统：已和服务器断开连接！！！')");
    }
}

#[test]
fn the_page_with_a_link_connects_when_it_is_clicked() {
    let Some((site, server)) = Site::new(&[]) else {
        return;
    };
    let tab = site.open("click.html", CLICK);
    tab.click("text=运行 WebSocket");
    // The echo arrives, and the page's misprint is all that keeps it from being read.
    tab.wait_for_error("evt is not defined");
    server.stop();
    tab.wait_for_dialog("连接已关闭...");
    assert_eq!(tab.errors(), Vec::<String>::new());
}

#[test]
fn the_page_that_logs_to_the_console_tells_its_whole_life() {
    let Some((site, server)) = Site::new(&[]) else {
        return;
    };
    let tab = site.open(
        "console.html",
        &format!("{}{}", in_script(SUPPORT), in_script(CONSOLE)),
    );
    tab.wait_for_console("open");
    tab.wait_for_console("hello");
    tab.evaluate("webSocket()");
    tab.wait_for_console("您的浏览器支持WebSocket");
    assert_eq!(tab.errors(), Vec::<String>::new());
    server.stop();
    tab.wait_for_console("close");
}

#[test]
fn the_page_that_chats_is_known_fetches_what_it_missed_once_and_hears_what_is_new() {
    let (Some(jquery), Some(alert)) = (
        need::package_file("jquery/dist/jquery.js"),
        need::package_file("sweetalert/dist/sweetalert.min.js"),
    ) else {
        return;
    };
    let Some((site, server)) = Site::with(&[], &["--chat-path", "/chat,/echo"]) else {
        return;
    };
    // Its requests are relative, so it has to come from the server; and its server has no files.
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><body><script src=\"/jquery.js\"></script>\n\
         <script src=\"/sweetalert.js\"></script>\n<script>{WATCH}</script>\n\
         <script>\n{CHAT}</script>\n<script>{LISTEN}</script>"
    );
    let tab = site.browser.tab();
    let origin = "http://localhost:9998";
    tab.serve_text(&format!("{origin}/page.html"), &page);
    tab.serve_file(
        &format!("{origin}/jquery.js"),
        &jquery.display().to_string(),
    );
    tab.serve_file(
        &format!("{origin}/sweetalert.js"),
        &alert.display().to_string(),
    );
    let title = "document.querySelector('.swal-title')?.textContent";
    let fetched =
        "answers.find(([url]) => url === '/socket/get-msg')?.[1].data.list.map((one) => one.text)";

    tab.open(&format!("{origin}/page.html"));
    tab.until(&format!("{title} === 'WebSocket连接成功'"));
    tab.until(&format!("{fetched} !== undefined"));
    assert_eq!(tab.evaluate(fetched), serde_json::json!([]));
    tab.evaluate("heartBeat()");
    tab.until("events.includes('HEARTBEAT')");
    let uuid = tab.evaluate("answers.find(([url]) => url === '/socket/chat-uuid')[1].data.uuid");
    let uuid = uuid.as_str().expect("a uuid").to_owned();

    // Another person, with the chat's own page.
    let other = site.browser.stranger();
    other.open(&format!("{origin}/chat"));
    other.until("document.body.dataset.state === 'online'");
    let write = |text: &str| {
        other.evaluate(&format!("turnTo(open('p:{uuid}', 'them')), send('{text}')"));
        other.until("pending.size === 0");
    };
    write("here you are");
    tab.until("events.includes('MSG')");

    // The page is left: its own handler closes the WebSocket.
    tab.open("about:blank");
    other.evaluate(
        "HEARD.PEOPLE = ({ count }) => { window.here = count; }, \
         setInterval(() => link.say({ url: '/chat/people' }), 250)",
    );
    other.until("window.here === 1");
    write("while you were away");
    tab.open(&format!("{origin}/page.html"));
    tab.until(&format!("{fetched} !== undefined"));
    assert_eq!(
        tab.evaluate(fetched),
        serde_json::json!(["while you were away"])
    );
    tab.open(&format!("{origin}/page.html"));
    tab.until(&format!("{fetched} !== undefined"));
    assert_eq!(tab.evaluate(fetched), serde_json::json!([]));
    assert_eq!(tab.errors(), Vec::<String>::new());

    server.stop();
    tab.until(&format!("{title} === 'WebSocket连接关闭'"));
}

/// Keeps what the page's requests are answered.
const WATCH: &str = "var answers = []; \
    $(document).on('ajaxSuccess', (event, request, { url }) => answers.push([url, request.responseJSON]));";

/// Keeps the names of the events that come.
const LISTEN: &str = "var events = []; \
    websocket.addEventListener('message', ({ data }) => events.push(JSON.parse(data).event));";

/// The ports on which the pages expect their servers; the broadcast room is on port 80.
const PORTS: [u16; 3] = [9998, 8080, 9605];

/// A browser, a folder of pages, and a server where the pages expect it.
struct Site {
    browser: Browser,
    folder: TempDir,
    /// Two tests cannot have the same port, whichever program runs them.
    _turn: File,
}

impl Site {
    /// Returns `None` if something is missing here: Chromium, a port, the right to a port below 1024.
    #[track_caller]
    fn new(more_ports: &[u16]) -> Option<(Self, Server)> {
        Self::with(more_ports, &[])
    }

    /// Creates it, with more arguments for the server.
    #[track_caller]
    fn with(more_ports: &[u16], more: &[&str]) -> Option<(Self, Server)> {
        let browser = Browser::start(&[])?;
        let turn = File::create(need::root().join("target/fixed-ports.lock")).expect("a lock file");
        turn.lock().expect("a lock");
        let ports = PORTS.iter().chain(more_ports);
        let addresses: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        for address in &addresses {
            if let Err(error) = TcpListener::bind(address) {
                return need::missing(
                    &format!("{address} ({error})"),
                    "free that port, or be root",
                );
            }
        }
        let arguments: Vec<&str> = addresses
            .iter()
            .flat_map(|address| ["--listen", address])
            .chain(more.iter().copied())
            .collect();
        let server = Server::start_with(&arguments)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some((
            Self {
                browser,
                folder,
                _turn: turn,
            },
            server,
        ))
    }

    /// Opens a page from a file, as a person does who tries it out.
    #[track_caller]
    fn open(&self, name: &str, page: &str) -> Tab<'_> {
        let path = self.folder.path().join(name);
        fs::write(&path, page).expect("a file can be written");
        let tab = self.browser.tab();
        tab.open(&format!("file://{}", path.display()));
        tab
    }
}

fn in_script(code: &str) -> String {
    format!("<meta charset=\"utf-8\">\n<script>\n{code}</script>\n")
}
