//! A body that a client of SockJS sends to an echo endpoint, and what it gets back.

use std::cell::RefCell;

use sockeye::{Endpoint, Message, Reply, Server, ServerHandle, Session};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Duration, sleep},
};

use crate::plain_request::ask;

/// Sends `data` as the body of `xhr_send`.
///
/// # Panics
/// If the server's answer is none of the protocol's, if another parser of JSON disagrees, or if the echo isn't what was sent.
pub fn sockjs_send(data: &[u8]) {
    thread_local! {
        static WORLD: RefCell<World> = RefCell::new(World::new());
    }
    WORLD.with_borrow_mut(|world| world.send(data));
}

/// A server without a socket, and a clock that stands still.
struct World {
    runtime: Runtime,
    server: ServerHandle,
    sessions: u64,
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
        let server = Server::unbound().workers(1).sockjs("/echo", |_| Ok(Echo));
        let server = runtime.block_on(server.start()).expect("a server");
        Self {
            runtime,
            server,
            sessions: 0,
        }
    }

    fn send(&mut self, data: &[u8]) {
        self.sessions += 1;
        let session = format!("/echo/0/{}", self.sessions);
        let (server, runtime) = (&self.server, &self.runtime);
        runtime.block_on(async {
            let (_, open) = ask(server, "POST", &format!("{session}/xhr"), b"").await;
            assert_eq!(open, "o\n");
            let (status, text) = ask(server, "POST", &format!("{session}/xhr_send"), data).await;
            let expected: Result<Vec<String>, _> = serde_json::from_slice(data);
            match (status, &*text) {
                (204, "") if expected.as_ref().is_ok_and(Vec::is_empty) => {}
                (204, "") => {
                    let (_, frame) = ask(server, "POST", &format!("{session}/xhr"), b"").await;
                    let json = frame.strip_prefix('a').expect("messages");
                    let echoed: Vec<String> = serde_json::from_str(json).expect("valid JSON");
                    // It refuses halves of surrogates, which become U+FFFD here.
                    assert!(expected.map_or_else(
                        |_| data.windows(2).any(|pair| pair == b"\\u"),
                        |expected| echoed == expected,
                    ));
                }
                (500, "Payload expected.") => assert!(data.is_empty()),
                (500, "Broken JSON encoding.") => assert!(expected.is_err()),
                other => panic!("{other:?}"),
            }
            // The session ends, and its id is forgotten.
            sleep(Duration::from_secs(12)).await;
        });
    }
}
