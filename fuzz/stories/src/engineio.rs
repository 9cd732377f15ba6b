//! A payload that a client of Engine.IO sends to an echo endpoint, and what it gets back.

use std::cell::RefCell;

use sockeye::{Endpoint, Message, Reply, Server, ServerHandle, Session};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Duration, sleep},
};

use crate::plain_request::ask;

/// Sends `data` as the body of a POST.
///
/// # Panics
/// If the server's answer is none of the protocol's, if an answer has more than 16 packets, or if the echo isn't what was sent.
pub fn engineio_payload(data: &[u8]) {
    thread_local! {
        static WORLD: RefCell<World> = RefCell::new(World::new());
    }
    WORLD.with_borrow_mut(|world| world.send(data));
}

/// A server without a socket, and a clock that stands still.
struct World {
    runtime: Runtime,
    server: ServerHandle,
}

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

impl World {
    fn new() -> Self {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let server = Server::unbound().workers(1).engineio("/e", |_| Ok(Echo));
        let server = runtime.block_on(server.start()).expect("a server");
        Self { runtime, server }
    }

    fn send(&mut self, data: &[u8]) {
        let (server, runtime) = (&self.server, &self.runtime);
        runtime.block_on(async {
            let path = "/e/?EIO=4&transport=polling";
            let (_, open) = ask(server, "GET", path, b"").await;
            let (_, id) = open.split_once("\"sid\":\"").expect("an id");
            let (id, _) = id.split_once('"').expect("its end");
            let session = format!("{path}&sid={id}");
            let (status, text) = ask(server, "POST", &session, data).await;
            match (status, &*text) {
                (200, "ok") => check_echo(server, &session, data).await,
                (400, "{\"code\":3,\"message\":\"Bad request\"}") => {}
                other => panic!("{other:?}"),
            }
            let (status, _) = ask(server, "POST", &session, b"1").await;
            assert!(status == 200 || status == 400, "{status}");
            // Whatever is left of the session is forgotten.
            sleep(Duration::from_secs(100)).await;
        });
    }
}

/// Receives the echo of all messages in `data`.
async fn check_echo(server: &ServerHandle, session: &str, data: &[u8]) {
    let text = str::from_utf8(data).expect("the server takes text alone");
    let packets: Vec<&str> = text.split('\u{1e}').collect();
    if packets.contains(&"1") || packets.iter().any(|packet| packet.starts_with('1')) {
        // The client has closed the session.
        return;
    }
    let is_message = |packet: &&&str| packet.starts_with(['4', 'b']);
    let sent: Vec<&str> = packets.iter().filter(is_message).copied().collect();
    let mut received = 0;
    while received < sent.len() {
        let (status, payload) = ask(server, "GET", session, b"").await;
        assert_eq!(status, 200);
        let packets: Vec<&str> = payload.split('\u{1e}').collect();
        assert!(packets.len() <= 16, "{payload}");
        for packet in packets {
            // Base64 may be written in several ways.
            match sent[received].starts_with('4') {
                true => assert_eq!(packet, sent[received]),
                false => assert!(packet.starts_with('b'), "{packet}"),
            }
            received += 1;
        }
    }
}
