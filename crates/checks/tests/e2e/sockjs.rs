//! npm `sockjs-client`, in Node and in Chromium, with each of its transports; alone, behind proxies, and beside WebSockets.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::json;
use sockeye::WebSocket;
use sockeye_checks::{
    Browser, Ended, Process, ReverseProxy, Server, blocks_of_page, need, replaced,
};
use tokio::runtime::Builder;

use crate::conversation::{LIMIT, facts, the};

/// The transports of the client in Node.
const NODE: [&str; 4] = ["websocket", "xhr-streaming", "eventsource", "xhr-polling"];

pub(crate) fn address(server: &Server) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port()))
}

/// Has the client talk to the echo endpoint at `addr`. Returns which transport it has used.
#[track_caller]
fn talk(addr: SocketAddr, transports: &str) -> Option<String> {
    let mut peer = need::node("sockjs.mjs")?;
    peer.arg(format!("http://{addr}/sockjs/echo"))
        .arg(transports);
    let ended = Process::start("sockjs-client", &mut peer, LIMIT).wait();
    Some(assert_talked(&ended))
}

/// Has the client talk by each of these transports alone.
#[track_caller]
fn each_talks(addr: SocketAddr, transports: &[&str]) {
    for transport in transports {
        if let Some(used) = talk(addr, transport) {
            assert_eq!(used, *transport);
        }
    }
}

#[track_caller]
fn assert_talked(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(ended);
    let echoes = facts.iter().filter(|fact| fact["fact"] == "echo");
    assert_eq!(echoes.clone().count(), 5, "{facts:?}");
    for echo in echoes {
        assert_eq!(echo["same"], true, "{facts:?}");
    }
    assert_eq!(the(&facts, "order")["same"], true, "{facts:?}");
    assert_eq!(the(&facts, "closed")["code"], 4001);
    the(&facts, "open")["transport"]
        .as_str()
        .expect("a name")
        .to_owned()
}

#[test]
fn every_transport_of_the_client_in_node_talks_to_the_server() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    each_talks(address(&server), &NODE);
}

#[test]
fn the_client_falls_back_where_there_is_no_websocket() {
    let Some(server) = Server::start(&["--sockjs-websocket", "off"]) else {
        return;
    };
    let Some(used) = talk(address(&server), "websocket,xhr-streaming,xhr-polling") else {
        return;
    };
    assert_eq!(used, "xhr-streaming");
}

/// Returns the configuration of the how-to page in front of two servers.
fn nginx(first: &Server, second: &Server) -> Option<ReverseProxy> {
    let blocks = blocks_of_page("sockjs.md", "nginx");
    let second = address(second).to_string();
    let config = replaced(&blocks.concat(), "127.0.0.2:8080", &second);
    ReverseProxy::nginx(&config, address(first))
}

#[test]
fn behind_nginx_every_transport_stays_at_one_of_two_servers() {
    let (Some(first), Some(second)) = (Server::start(&[]), Server::start(&[])) else {
        return;
    };
    let Some(proxy) = nginx(&first, &second) else {
        return;
    };
    // Sessions get to either of the two.
    for _ in 0..3 {
        each_talks(proxy.addr(), &NODE);
    }
}

/// The end of a message that is larger than nginx's buffers waits for the next frame: that is a heartbeat at the latest.
#[test]
fn behind_an_nginx_that_holds_responses_back_heartbeats_bring_what_it_holds() {
    let Some(server) = Server::start(&["--sockjs-heartbeat-interval", "200ms"]) else {
        return;
    };
    let config = replaced(
        &blocks_of_page("sockjs.md", "nginx").concat(),
        "gzip off;",
        "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;",
    );
    let config = replaced(&config, "    server 127.0.0.2:8080;\n", "");
    let Some(proxy) = ReverseProxy::nginx(&config, address(&server)) else {
        return;
    };
    each_talks(proxy.addr(), &NODE);
}

#[test]
fn behind_an_nginx_that_speaks_http_1_0_the_client_polls_and_streams() {
    let Some(server) = Server::start(&["--sockjs-websocket", "off"]) else {
        return;
    };
    let config = blocks_of_page("sockjs.md", "nginx").concat();
    let config = replaced(
        &config,
        "proxy_http_version 1.1;",
        "proxy_http_version 1.0;",
    );
    let config = replaced(&config, "    server 127.0.0.2:8080;\n", "");
    let Some(proxy) = ReverseProxy::nginx(&config, address(&server)) else {
        return;
    };
    each_talks(
        proxy.addr(),
        &["xhr-streaming", "eventsource", "xhr-polling"],
    );
}

#[test]
fn behind_haproxy_every_transport_stays_at_one_of_two_servers() {
    let (Some(first), Some(second)) = (Server::start(&[]), Server::start(&[])) else {
        return;
    };
    let blocks = blocks_of_page("sockjs.md", "haproxy");
    let config = replaced(
        &blocks.concat(),
        "127.0.0.2:8080",
        &address(&second).to_string(),
    );
    let Some(proxy) = ReverseProxy::haproxy(&config, address(&first)) else {
        return;
    };
    // Sessions get to either of the two.
    for _ in 0..3 {
        each_talks(proxy.addr(), &NODE);
    }
}

/// What a page does: it talks by one transport.
const CONVERSATION: &str = r#"(async () => {
    const socket = new SockJS("URL", null, { transports: "TRANSPORT", timeout: 20000 });
    const next = (name) => new Promise((resolve, reject) => {
        socket.addEventListener(name, resolve, { once: true });
        if (name !== "close") {
            socket.addEventListener("close", (event) => reject(new Error(event.code + " " + event.reason)), { once: true });
        }
    });
    await next("open");
    const echoed = [];
    for (const message of ["Grüße, 你好, 🐟", "", "50% %41 </script><!-- \u0000\r\n\u2028\ufffe", "x".repeat(20000)]) {
        const answer = next("message");
        socket.send(message);
        echoed.push((await answer).data === message);
    }
    const used = socket.transport;
    socket.close(4001, "bye");
    return { used, echoed };
})()"#;

/// Has a page talk to the endpoint at `url`. What is at `frame_script` is the client for pages in frames.
#[track_caller]
fn assert_page_talks(
    browser: &Browser,
    (page, url): (&str, &str),
    transport: &str,
    script: &str,
    frame_script: Option<&str>,
) {
    let tab = browser.tab();
    if let Some(frame_script) = frame_script {
        tab.serve_text(frame_script, script);
    }
    tab.serve_text(
        page,
        &format!("<!doctype html><title>SockJS</title><script>{script}</script>"),
    );
    tab.open(page);
    let conversation = CONVERSATION
        .replace("URL", url)
        .replace("TRANSPORT", transport);
    let seen = tab.evaluate(&conversation);
    let expected = json!({ "used": transport, "echoed": [true, true, true, true] });
    assert_eq!(seen, expected, "{transport}");
}

pub(crate) fn client_script() -> Option<String> {
    let file = need::package_file("sockjs-client/dist/sockjs.js")?;
    let script = std::fs::read_to_string(file).expect("the script");
    // It stands within a page.
    Some(script.replace("</script", "<\\/script"))
}

#[test]
fn every_transport_of_the_client_in_a_browser_talks_to_its_own_server() {
    let (Some(browser), Some(script)) = (Browser::start(&[]), client_script()) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let addr = address(&server);
    let (page, url) = (
        format!("http://{addr}/a-page"),
        format!("http://{addr}/sockjs/echo"),
    );
    for transport in [
        "websocket",
        "xhr-streaming",
        "eventsource",
        "htmlfile",
        "xhr-polling",
        "jsonp-polling",
    ] {
        assert_page_talks(&browser, (&page, &url), transport, &script, None);
    }
}

#[test]
fn transports_in_frames_talk_to_another_server_than_the_pages() {
    let (Some(browser), Some(script)) = (Browser::start(&[]), client_script()) else {
        return;
    };
    let Some(server) = Server::start(&["--sockjs-script-url", "/a-script.js"]) else {
        return;
    };
    let addr = address(&server);
    let frame_script = format!("http://{addr}/a-script.js");
    // Another origin on this machine.
    let page = format!("http://localhost:{}/a-page", addr.port());
    let url = format!("http://{addr}/sockjs/echo");
    for transport in [
        "iframe-eventsource",
        "iframe-htmlfile",
        "iframe-xhr-polling",
    ] {
        let frame_script = Some(&*frame_script);
        assert_page_talks(&browser, (&page, &url), transport, &script, frame_script);
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

#[test]
fn a_room_has_members_by_websocket_and_by_sockjs_and_presence_shows_both() {
    let key = "0123456789abcdef";
    let Some(server) = Server::start(&["--http-api-key", key]) else {
        return;
    };
    let addr = address(&server);
    run(async {
        let connect = |path: &str| sockeye::connect(format!("ws://{addr}{path}"));
        let mut websocket: WebSocket = connect("/websocket/ws?client_id=ann")
            .await
            .expect("a WebSocket");
        let sockjs = "/sockjs/room/0/s/websocket?client_id=bob";
        let mut by_sockjs: WebSocket = connect(sockjs).await.expect("a WebSocket");
        let text = async |websocket: &mut WebSocket| {
            let message = websocket.recv().await.expect("open").expect("a message");
            message.as_text().expect("text").to_owned()
        };
        assert_eq!(text(&mut by_sockjs).await, "o");
        by_sockjs.send("[\"by sockjs\"]").await.expect("sent");
        assert_eq!(text(&mut websocket).await, "by sockjs");
        assert_eq!(text(&mut by_sockjs).await, "a[\"by sockjs\"]");
        websocket.send("by websocket").await.expect("sent");
        assert_eq!(text(&mut by_sockjs).await, "a[\"by websocket\"]");
        let online = presence(addr, key);
        assert!(online.contains("ann") && online.contains("bob"), "{online}");
    });
}

#[test]
fn a_page_has_the_room_by_websocket_and_by_sockjs_side_by_side() {
    let (Some(browser), Some(script)) = (Browser::start(&[]), client_script()) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let page = format!("http://{}/a-page", address(&server));
    let tab = browser.tab();
    tab.serve_text(
        &page,
        &format!("<!doctype html><title>Room</title><script>{script}</script>"),
    );
    tab.open(&page);
    tab.evaluate(SIDE_BY_SIDE);
    tab.until("members.every(({ readyState }) => readyState === WebSocket.OPEN)");
    let messages = ["by WebSocket", "由 SockJS 流式", "by polling"];
    for (at, message) in messages.iter().enumerate() {
        tab.evaluate(&format!("members[{at}].send({message:?})"));
        // All of them hear it, the sender too.
        tab.until(&format!(
            "heard.every((texts) => texts.at(-1) === {message:?})"
        ));
    }
    assert_eq!(tab.evaluate("heard"), json!([messages, messages, messages]));
    assert_eq!(tab.errors(), Vec::<String>::new());
}

/// Joins the room by a WebSocket and by two transports of SockJS, and keeps what each of the three hears.
const SIDE_BY_SIDE: &str = r#"(() => {
    const by = (transport) => new SockJS("/sockjs/room", null, { transports: transport, timeout: 20000 });
    window.members = [new WebSocket(`ws://${location.host}/websocket/ws`), by("xhr-streaming"), by("xhr-polling")];
    window.heard = members.map((member) => {
        const texts = [];
        member.onmessage = ({ data }) => texts.push(data);
        return texts;
    });
})()"#;

/// Returns who is online.
fn presence(addr: SocketAddr, key: &str) -> String {
    let mut stream = TcpStream::connect(addr).expect("the server");
    let request = format!(
        "GET /api/presence HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A page that has three ways to connect, of which this browser takes the last: `ws` is a variable of its script, not of the
/// window.
const RECONNECTING_PAGE: &str = r#"
    let ws;
    function reconnectSocket() {
        if ("ws" in window) {
            ws = new ReconnectingWebSocket("URL");
        } else if ("MozWebSocket" in window) {
            ws = new MozWebSocket("URL");
        } else {
            ws = new SockJS("URL");
        }
    }
    reconnectSocket();
    ws.onopen = () => ws.send("ping");
    ws.onmessage = ({ data }) => {
        document.title = data;
        ws.close();
    };
    ws.onclose = () => { document.title += " closed"; };
"#;

#[test]
fn a_page_that_falls_back_to_sockjs_has_its_heartbeat_answered() {
    let (Some(browser), Some(script)) = (Browser::start(&[]), client_script()) else {
        return;
    };
    let Some(server) = Server::start(&["--app-heartbeat", "on"]) else {
        return;
    };
    let addr = address(&server);
    let tab = browser.tab();
    let page = format!("http://{addr}/a-page");
    let own = RECONNECTING_PAGE.replace("URL", &format!("http://{addr}/sockjs/room"));
    tab.serve_text(
        &page,
        &format!("<!doctype html><script>{script}</script><script>{own}</script>"),
    );
    tab.open(&page);
    tab.until("document.title === 'pong closed'");
}

#[test]
fn the_hub_answers_by_sockjs() {
    let Some(server) = Server::start(&["--dev"]) else {
        return;
    };
    let url = format!("ws://{}/connection/sockjs/0/s/websocket", address(&server));
    run(async {
        let mut websocket: WebSocket = sockeye::connect(url).await.expect("a WebSocket");
        let open = websocket.recv().await.expect("open").expect("a message");
        assert_eq!(open.as_text(), Some("o"));
        let connect = json!([json!({ "id": 1, "connect": {} }).to_string()]);
        websocket.send(connect.to_string()).await.expect("sent");
        let answer = websocket.recv().await.expect("open").expect("a message");
        let text = answer
            .as_text()
            .expect("text")
            .strip_prefix('a')
            .expect("messages");
        let messages: Vec<String> = serde_json::from_str(text).expect("strings");
        let reply: serde_json::Value = serde_json::from_str(&messages[0]).expect("JSON");
        assert_eq!(reply["id"], 1, "{reply}");
        assert!(reply["connect"]["client"].is_string(), "{reply}");
    });
}

#[test]
fn a_server_that_was_killed_and_is_back_opens_new_sessions_for_old_ids() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let addr = address(&server);
    assert_eq!(
        post(addr, "/sockjs/echo/0/s/xhr", ""),
        (200, "o\n".to_owned())
    );
    drop(server);
    let Some(_server) = Server::start_with(&["--listen", &addr.to_string()]) else {
        return;
    };
    let lost = post(addr, "/sockjs/echo/0/s/xhr_send", "[\"a\"]");
    assert_eq!(lost.0, 404);
    assert_eq!(
        post(addr, "/sockjs/echo/0/s/xhr", ""),
        (200, "o\n".to_owned())
    );
    assert_eq!(post(addr, "/sockjs/echo/0/s/xhr_send", "[\"a\"]").0, 204);
    assert_eq!(post(addr, "/sockjs/echo/0/s/xhr", "").1, "a[\"a\"]\n");
}

/// Sends a request on a connection of its own. Returns the status and the body of the answer.
fn post(addr: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).expect("the server");
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    (answer[9..12].parse().expect("a status"), body.to_owned())
}
