//! Pages that our users wrote, as they stand, in Chromium.
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
/// Writes every event to the console.
const CONSOLE: &str = include_str!("../seeds/console.js");
/// Looks whether there is WebSocket at all, and connects.
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
    // The sender too: once as "me", once as what came from the room.
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

/// Where the pages expect their servers; the broadcast room is on port 80.
const PORTS: [u16; 3] = [9998, 8080, 9605];

/// A browser, a folder of pages, and a server where the pages expect it.
struct Site {
    browser: Browser,
    folder: TempDir,
    /// Two tests cannot have the same port, whichever program runs them.
    _turn: File,
}

impl Site {
    /// Nothing if something is missing here: Chromium, a port, the right to a port below 1024.
    #[track_caller]
    fn new(more_ports: &[u16]) -> Option<(Self, Server)> {
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

    /// Opens a page from a file, as somebody who tries it out does.
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
