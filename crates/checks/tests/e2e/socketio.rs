//! npm `socket.io-client` in Node and in Chromium, and PyPI `python-socketio`: by polling, by WebSocket, and from one to the other.

use std::{net::SocketAddr, process::Command, time::Duration};

use serde_json::{Value, json};
use sockeye::{
    Server, ServerHandle,
    socketio::{AnyArgs, ConnectRefusal, Namespace, NamespaceHandle, Socket, SocketIo},
};
use sockeye_checks::{Browser, Process, need};
use tokio::runtime::{Builder, Runtime};

use crate::conversation::{LIMIT, facts, the};

const MODES: [(&str, &str); 3] = [
    ("polling", "polling"),
    ("websocket", "websocket"),
    ("upgrade", "websocket"),
];

/// The main namespace: it echoes, asks, and has rooms. Only those with the token get in.
fn main_namespace() -> Namespace<()> {
    Namespace::new("/", |request| async move {
        let auth: Value = request.auth().unwrap_or_default();
        match auth["token"] == "good" {
            true => Ok(()),
            false => Err(ConnectRefusal::new("no token")),
        }
    })
    .on("echo", |socket: Socket<()>, args: AnyArgs| async move {
        socket.emit("back", args).expect("the client reads");
    })
    .on("ack", |_, args: AnyArgs| async move { args })
    .on(
        "join",
        |socket: Socket<()>, (room,): (String,)| async move { socket.join(&room).is_ok() },
    )
    .on("ask", |socket: Socket<()>, (number,): (u32,)| async move {
        let answer = socket.call::<(u32,)>("question", (number,), Duration::from_secs(20));
        answer.await.expect("an answer").0
    })
    .on(
        "restart",
        |socket: Socket<()>, ()| async move { socket.close() },
    )
}

/// Another one, which speaks to the rooms of the main one.
fn chat(main: NamespaceHandle) -> Namespace<()> {
    Namespace::new("/chat", |_| async { Ok(()) })
        .on("tell", move |_, (room, text): (String, String)| {
            let main = main.clone();
            async move {
                main.to(&room).emit("said", (text,)).expect("text");
            }
        })
        .on("leave", |socket: Socket<()>, ()| async move {
            socket.disconnect();
        })
}

/// A server in this process, and where it listens.
fn start() -> (Runtime, ServerHandle, SocketAddr) {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let closed = Namespace::new("/closed", |_| async {
        Err::<(), _>(ConnectRefusal::new("closed").with_data(json!({ "until": 9 })))
    });
    let socketio = SocketIo::new()
        .namespace(main_namespace())
        .namespace(closed);
    let main = socketio.handle("/").expect("the main namespace");
    let socketio = socketio.namespace(chat(main));
    let server = Server::bind("127.0.0.1:0").socketio("/socket.io", socketio);
    let server = runtime.block_on(server.start()).expect("a server");
    let addr = server.local_addrs()[0];
    (runtime, server, addr)
}

/// Has a peer talk. Returns what it saw.
#[track_caller]
fn seen(mut peer: Command, addr: SocketAddr, arguments: &[&str]) -> Vec<Value> {
    peer.arg(format!("http://{addr}")).args(arguments);
    let ended = Process::start("the client", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    for fact in ["order", "ack", "binary"] {
        assert_eq!(the(&facts, fact)["same"], true, "{facts:?}");
    }
    assert_eq!(the(&facts, "call")["answer"], 42, "{facts:?}");
    facts
}

#[test]
fn the_client_in_node_talks_by_polling_by_websocket_and_from_one_to_the_other() {
    let (_runtime, _server, addr) = start();
    for (mode, carried) in MODES {
        let Some(peer) = need::node("socketio.mjs") else {
            return;
        };
        let facts = seen(peer, addr, &[mode]);
        for expected in [
            json!({ "fact": "carried", "transport": carried }),
            json!({ "fact": "namespace", "shared": true, "other": true }),
            json!({ "fact": "room", "text": "hello" }),
            json!({ "fact": "refused", "message": "closed", "data": { "until": 9 } }),
            json!({ "fact": "unknown", "message": "Invalid namespace" }),
            json!({ "fact": "ended", "reason": "io server disconnect" }),
            json!({ "fact": "lost", "reason": "transport close" }),
            json!({ "fact": "again", "other": true }),
            json!({ "fact": "closed", "reason": "io client disconnect" }),
        ] {
            assert!(facts.contains(&expected), "{mode}: {expected} in {facts:?}");
        }
    }
}

#[test]
fn the_client_in_python_talks_with_and_without_asyncio() {
    let (_runtime, _server, addr) = start();
    for kind in ["sync", "asyncio"] {
        for (mode, carried) in MODES {
            let Some(peer) = need::python("talk_socketio.py") else {
                return;
            };
            let facts = seen(peer, addr, &[kind, mode]);
            assert_eq!(
                the(&facts, "carried")["transport"],
                carried,
                "{kind} {mode}"
            );
        }
    }
}

/// What a page does.
const CONVERSATION: &str = r#"(async () => {
    const socket = io("URL", { transports: TRANSPORTS, auth: { token: "good" } });
    await new Promise((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("connect_error", reject);
    });
    const { engine } = socket.io;
    const data = new Uint8Array([0, 1, 254, 255]);
    const back = await new Promise((resolve) => {
        socket.once("back", (...args) => resolve(args));
        socket.emit("echo", "Grüße", data);
    });
    const answer = await socket.timeout(20000).emitWithAck("ack", { deep: [1] });
    if (engine.transport.name !== "LAST") {
        await new Promise((resolve) => engine.once("upgrade", resolve));
    }
    const carried = engine.transport.name;
    socket.disconnect();
    return { carried, answer, text: back[0], data: [...new Uint8Array(back[1])] };
})()"#;

#[test]
fn the_client_in_a_browser_talks_by_polling_by_websocket_and_from_one_to_the_other() {
    let (Some(browser), Some(script)) = (
        Browser::start(&[]),
        need::package_file("socket.io-client/dist/socket.io.js"),
    ) else {
        return;
    };
    let script = std::fs::read_to_string(script).expect("the script");
    let script = script.replace("</script", "<\\/script");
    let (_runtime, _server, addr) = start();
    let page = format!("http://{addr}/a-page");
    for (mode, carried) in MODES {
        let tab = browser.tab();
        let html = format!("<!doctype html><title>Socket.IO</title><script>{script}</script>");
        tab.serve_text(&page, &html);
        tab.open(&page);
        let transports = match mode {
            "upgrade" => json!(["polling", "websocket"]),
            mode => json!([mode]),
        };
        let conversation = CONVERSATION
            .replace("URL", &format!("http://{addr}"))
            .replace("TRANSPORTS", &transports.to_string())
            .replace("LAST", carried);
        let seen = tab.evaluate(&conversation);
        let expected = json!({ "carried": carried, "answer": { "deep": [1] }, "text": "Grüße", "data": [0, 1, 254, 255] });
        assert_eq!(seen, expected, "{mode}");
    }
}
