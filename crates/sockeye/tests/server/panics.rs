//! Programs that panic, on a server that keeps running. One worker carries all sessions, so the end of a worker would
//! end them all.

use std::sync::{Arc, Mutex};

use sockeye::{
    Closed, Drain, Endpoint, Error, Group, Message, Refusal, Reply, Request, Route, Server,
    ServerHandle, Session, WebSocket,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    Echo, assert_echoes, connect, exchange, http2_client, http2_connect, http2_websocket, open,
    read_head, request, soon, status_of, upgraded,
};

/// Starts a server with one worker, and opens a witness session before the others.
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

/// Asserts that the witness is the only session left and is served, that a new one opens, and that the server can be
/// drained.
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
        panic!("on purpose, by {}", request.path());
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
        assert_eq!(request.path(), "", "on purpose");
        async { Ok(()) }
    });
    let in_future = Route::new("/", |_request| Ok(Echo)).authorize(|request| async move {
        tokio::task::yield_now().await;
        assert_eq!(request.path(), "", "on purpose");
        Ok(())
    });
    let in_factory_after_it = Route::new("/", |request: &Request| {
        assert_eq!(request.path(), "", "on purpose");
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
    /// The callbacks that were called.
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Bomb {
    fn call(&self, callback: &'static str) {
        self.calls.lock().unwrap().push(callback);
        assert_ne!(callback, self.callback, "on purpose");
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
        // A ping, an empty message, and a protocol error: a frame without a mask.
        let frames = b"\x89\x80\0\0\0\0\x82\x80\0\0\0\0\x82\0";
        let bytes = [request("/", &[]).as_bytes(), frames].concat();
        peer.write_all(&bytes).await.unwrap();
        peer.shutdown().await.unwrap();
        assert!(read_head(&mut peer).await.starts_with("HTTP/1.1 101 "));
        let mut rest = Vec::new();
        soon(peer.read_to_end(&mut rest)).await.unwrap();
        assert_unharmed(server, witness).await;
        let (pong, echo) = (&b"\x8a\0"[..], &b"\x82\0"[..]);
        let (answers, code, expected) = match callback {
            "open" => (vec![], 1011_u16, &["open", "close"][..]),
            "ping" => (vec![pong], 1011, &["open", "ping", "close"][..]),
            "message" => (vec![pong], 1011, &["open", "ping", "message", "close"][..]),
            _ => (
                vec![pong, echo],
                1002,
                &["open", "ping", "message", "error", "close"][..],
            ),
        };
        assert_eq!(*calls.lock().unwrap(), expected, "{callback}");
        let answers = answers.concat();
        let (before, close) = rest.split_at(answers.len());
        assert_eq!(before, answers, "{callback}");
        let [0x88, _, high, low, ..] = *close else {
            panic!("{callback}: no Close frame in {close:?}");
        };
        assert_eq!(u16::from_be_bytes([high, low]), code, "{callback}");
    }
}

#[tokio::test]
async fn answers_before_a_panic_are_sent_whole() {
    struct Mine(Group);
    impl Endpoint for Mine {
        fn on_open(&mut self, session: &Session) {
            self.0.join(session);
        }
        fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
            assert_ne!(message.as_text(), Some("panic"), "on purpose");
            Reply::Echo
        }
    }
    let group = Group::new();
    let members = group.clone();
    let route = Route::new("/", move |_request| Ok(Mine(members.clone())));
    let (server, witness) = start(route).await;
    let mut peer = upgraded(server.local_addrs()[0]).await;
    // Usually in one read: a small message, one whose answer isn't copied, and the one that panics.
    let large = vec![b'x'; 8 << 10];
    let mut bytes = b"\x81\x82\0\0\0\0hi\x82\xfe\x20\0\0\0\0\0".to_vec();
    bytes.extend(&large);
    bytes.extend(b"\x81\x85\0\0\0\0panic\x81\x84\0\0\0\0more");
    peer.write_all(&bytes).await.unwrap();
    let mut rest = Vec::new();
    // The client keeps its side open: the server sends a Close frame, reads on, and waits for it.
    let mut expected = b"\x81\x02hi\x82\x7e\x20\0".to_vec();
    expected.extend(&large);
    expected.extend(b"\x88\x02\x03\xf3");
    soon(peer.read_to_end(&mut rest)).await.unwrap();
    assert!(rest == expected);
    drop(peer);
    assert_unharmed(server, witness).await;
    assert!(group.is_empty());
}

#[tokio::test]
async fn conversation_that_panics_is_closed_with_1011() {
    let at_once = Route::conversation("/", |_request, websocket| async move {
        panic!("on purpose, by {websocket:?}");
    });
    let before_its_future = Route::conversation("/", |request, _websocket| {
        assert_eq!(request.path(), "", "on purpose");
        std::future::ready(())
    });
    let after_a_message = Route::conversation("/", |_request, mut websocket| async move {
        let message = websocket.recv().await;
        panic!("on purpose, by {message:?}");
    });
    // The conversation waits for two things, and the other one panics.
    let within_another_future = Route::conversation("/", |_request, mut websocket| async move {
        let failing = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        let receiving = async { while let Ok(Some(_)) = websocket.recv().await {} };
        tokio::join!(Box::pin(receiving), Box::pin(failing));
    });
    for route in [
        at_once,
        before_its_future,
        after_a_message,
        within_another_future,
    ] {
        let (server, witness) = start(route).await;
        let (mut peer, _) = open(server.local_addrs()[0], "/", &[]).await;
        let _ = peer.send("question").await;
        let error = soon(peer.recv()).await.unwrap_err();
        assert_eq!(
            error.closed().map(|closed| closed.code.as_u16()),
            Some(1011)
        );
        assert!(error.closed().unwrap().is_clean());
        drop(peer);
        assert_unharmed(server, witness).await;
    }
}

#[tokio::test]
async fn programs_on_streams_of_http2_are_closed_with_1011_when_they_panic() {
    struct Mine;
    impl Endpoint for Mine {
        fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
            panic!("on purpose, by {message:?}");
        }
    }
    let conversation = Route::conversation("/", |_request, mut websocket| async move {
        let message = websocket.recv().await;
        panic!("on purpose, by {message:?}");
    });
    for route in [Route::new("/", |_request| Ok(Mine)), conversation] {
        let (server, witness) = start(route).await;
        let mut client = http2_client(server.local_addrs()[0]).await;
        // The other streams of the connection stay open.
        let response = http2_connect(&mut client, "/echo", &[]).await;
        let mut neighbour = http2_websocket(response).await;
        let response = http2_connect(&mut client, "/", &[]).await;
        let mut peer = http2_websocket(response).await;
        soon(peer.send("question")).await.unwrap();
        let error = soon(peer.recv()).await.unwrap_err();
        assert_eq!(
            error.closed().map(|closed| closed.code.as_u16()),
            Some(1011)
        );
        assert_echoes(&mut neighbour, "still here").await;
        drop((peer, neighbour, client));
        assert_unharmed(server, witness).await;
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
            panic!("on purpose");
        }
    }
    let (server, witness) = start(Route::new("/", |_request| Ok(Mine))).await;
    let addr = server.local_addrs()[0];
    for _ in 0..3 {
        let (mut peer, _) = open(addr, "/", &[]).await;
        assert_echoes(&mut peer, "hi").await;
    }
    // A session that is aborted at the end of a drain is dropped, too.
    let deaf = upgraded(addr).await;
    drop(deaf);
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn endpoint_may_panic_when_a_drain_aborts_it() {
    struct Mine;
    impl Endpoint for Mine {
        fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
            Reply::Echo
        }
        fn on_close(&mut self, _session: &Session, _closed: &Closed) {
            panic!("on purpose");
        }
    }
    impl Drop for Mine {
        fn drop(&mut self) {
            panic!("on purpose");
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
    // The workers abort all sessions, and each of them panics twice.
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
