//! Programs that panic, on a server that goes on. One worker carries all: if it died, all would notice.

use std::sync::{Arc, Mutex};

use sockeye::{
    Closed, Drain, Endpoint, Error, Message, Refusal, Reply, Request, Route, Server, ServerHandle,
    Session, WebSocket,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    Echo, assert_echoes, connect, exchange, open, read_head, request, soon, status_of, upgraded,
};

/// A server with one worker, and somebody who is there before the others.
async fn start(route: Route) -> (ServerHandle, WebSocket) {
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/echo", |_request| Ok(Echo))
        .mount(route)
        .start()
        .await
        .unwrap();
    let (witness, _) = open(server.local_addrs()[0], "/echo", &[]).await;
    (server, witness)
}

/// The witness is the only one left, is served, and so is a newcomer; and it can be drained.
async fn assert_unharmed(server: ServerHandle, mut witness: WebSocket) {
    assert_echoes(&mut witness, "still here").await;
    soon(async {
        while (server.sessions(), server.connections()) != (1, 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut newcomer, _) = open(server.local_addrs()[0], "/echo", &[]).await;
    assert_echoes(&mut newcomer, "hello").await;
    drop((witness, newcomer));
    soon(server.drain(Drain::default())).await;
    assert_eq!((server.sessions(), server.connections()), (0, 0));
}

#[tokio::test]
async fn factory_that_panics_is_answered_with_500() {
    fn factory(request: &Request) -> Result<Echo, Refusal> {
        panic!("told to, by {}", request.path());
    }
    let (server, witness) = start(Route::new("/", factory)).await;
    let addr = server.local_addrs()[0];
    for _ in 0..3 {
        let answer = exchange(addr, request("/", &[]).as_bytes()).await;
        assert_eq!(status_of(&answer), 500);
    }
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn authorize_that_panics_is_answered_with_500() {
    let in_closure = Route::new("/", |_request| Ok(Echo)).authorize(|request| {
        assert_eq!(request.path(), "", "told to");
        async { Ok(()) }
    });
    let in_future = Route::new("/", |_request| Ok(Echo)).authorize(|request| async move {
        tokio::task::yield_now().await;
        assert_eq!(request.path(), "", "told to");
        Ok(())
    });
    let in_factory_after_it = Route::new("/", |request: &Request| {
        assert_eq!(request.path(), "", "told to");
        Ok(Echo)
    })
    .authorize(|_request| async { Ok(()) });
    for route in [in_closure, in_future, in_factory_after_it] {
        let (server, witness) = start(route).await;
        let addr = server.local_addrs()[0];
        let answer = exchange(addr, request("/", &[]).as_bytes()).await;
        assert_eq!(status_of(&answer), 500);
        assert_unharmed(server, witness).await;
    }
}

/// Panics in the callback that it is named after.
#[derive(Clone)]
struct Bomb {
    callback: &'static str,
    /// What was called.
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Bomb {
    fn call(&self, callback: &'static str) {
        self.calls.lock().unwrap().push(callback);
        assert_ne!(callback, self.callback, "told to");
    }
}

impl Endpoint for Bomb {
    fn on_open(&mut self, _session: &Session) {
        self.call("open");
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        self.call("message");
        Reply::Echo
    }

    fn on_ping(&mut self, _session: &Session, _payload: &[u8]) {
        self.call("ping");
    }

    fn on_close(&mut self, _session: &Session, _closed: &Closed) {
        self.call("close");
    }

    fn on_error(&mut self, _session: &Session, _error: &Error) {
        self.call("error");
    }
}

#[tokio::test]
async fn endpoint_may_panic_in_each_callback() {
    for callback in ["open", "message", "ping", "close", "error"] {
        let bomb = Bomb {
            callback,
            calls: Arc::default(),
        };
        let calls = Arc::clone(&bomb.calls);
        let route = Route::new("/", move |_request| Ok(bomb.clone()));
        let (server, witness) = start(route).await;
        let mut peer = connect(server.local_addrs()[0]).await;
        // A ping, an empty message, and a broken rule: without a mask.
        let frames = b"\x89\x80\0\0\0\0\x82\x80\0\0\0\0\x82\0";
        let bytes = [request("/", &[]).as_bytes(), frames].concat();
        peer.write_all(&bytes).await.unwrap();
        assert!(read_head(&mut peer).await.starts_with("HTTP/1.1 101 "));
        let mut rest = Vec::new();
        // Its end may be a reset: what it has sent isn't read any more.
        let _ = soon(peer.read_to_end(&mut rest)).await;
        assert_unharmed(server, witness).await;
        assert!(calls.lock().unwrap().contains(&callback));
    }
}

#[tokio::test]
async fn endpoint_may_panic_when_it_is_dropped() {
    struct Mine;
    impl Endpoint for Mine {
        fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
            Reply::Echo
        }
    }
    impl Drop for Mine {
        fn drop(&mut self) {
            panic!("told to");
        }
    }
    let (server, witness) = start(Route::new("/", |_request| Ok(Mine))).await;
    let addr = server.local_addrs()[0];
    for _ in 0..3 {
        let (mut peer, _) = open(addr, "/", &[]).await;
        assert_echoes(&mut peer, "hi").await;
    }
    // Also one who is cut at the end of a drain.
    let deaf = upgraded(addr).await;
    drop(deaf);
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn endpoint_may_panic_when_a_drain_cuts_it() {
    struct Mine;
    impl Endpoint for Mine {
        fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
            Reply::Echo
        }
        fn on_close(&mut self, _session: &Session, _closed: &Closed) {
            panic!("told to");
        }
    }
    impl Drop for Mine {
        fn drop(&mut self) {
            panic!("told to");
        }
    }
    let (server, mut witness) = start(Route::new("/", |_request| Ok(Mine))).await;
    let addr = server.local_addrs()[0];
    let mut deaf = Vec::new();
    for _ in 0..3 {
        let peer = upgraded(addr).await;
        deaf.push(peer);
    }
    assert_echoes(&mut witness, "still here").await;
    let mut drain = Drain::default();
    drain.per_second = 0;
    drain.timeout = std::time::Duration::ZERO;
    soon(server.drain(drain)).await;
    // The workers cut them all, each of which panics twice.
    for mut peer in deaf {
        let mut rest = Vec::new();
        let _ = soon(peer.read_to_end(&mut rest)).await;
    }
    soon(async {
        while (server.sessions(), server.connections()) != (0, 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
