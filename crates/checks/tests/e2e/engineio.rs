//! npm `engine.io-client` in Node, by polling, by WebSocket, and from one to the other.

use std::net::SocketAddr;

use sockeye::{Endpoint, Message, Reply, Server, ServerHandle, Session};
use sockeye_checks::{Process, need};
use tokio::runtime::{Builder, Runtime};

use crate::conversation::{LIMIT, facts, the};

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

/// A server in this process, and where it listens.
fn echo() -> (Runtime, ServerHandle, SocketAddr) {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let server = Server::bind("127.0.0.1:0").engineio("/engine.io", |_| Ok(Echo));
    let server = runtime.block_on(server.start()).expect("a server");
    let addr = server.local_addrs()[0];
    (runtime, server, addr)
}

/// Has the client talk. Returns the transport that it has begun with, and the one that it has ended with.
#[track_caller]
fn talk(addr: SocketAddr, mode: &str) -> Option<(String, String)> {
    let mut peer = need::node("engineio.mjs")?;
    peer.arg(format!("http://{addr}")).arg(mode);
    let ended = Process::start("engine.io-client", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    assert_eq!(the(&facts, "order")["same"], true, "{facts:?}");
    let echoes = facts.iter().filter(|fact| fact["fact"] == "echo");
    assert_eq!(echoes.clone().count(), 5, "{facts:?}");
    for echo in echoes {
        assert_eq!(echo["same"], true, "{facts:?}");
    }
    assert_eq!(the(&facts, "closed")["reason"], "forced close");
    let transport = |fact: &str| {
        let name = the(&facts, fact)["transport"].as_str();
        name.expect("a name").to_owned()
    };
    Some((transport("open"), transport("carried")))
}

#[test]
fn the_client_talks_by_polling_by_websocket_and_from_one_to_the_other() {
    let (_runtime, _server, addr) = echo();
    for (mode, begun, ended) in [
        ("polling", "polling", "polling"),
        ("websocket", "websocket", "websocket"),
        ("upgrade", "polling", "websocket"),
    ] {
        if let Some(used) = talk(addr, mode) {
            assert_eq!(used, (begun.to_owned(), ended.to_owned()), "{mode}");
        }
    }
}
