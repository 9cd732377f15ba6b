//! This crate's client against this crate's server, over TCP, TLS and HTTP/2.

mod scripted;

use std::time::Duration;

use scripted::Authority;
use sockeye::{
    ClientTls, CloseCode, Closed, Connect, Deflate, Endpoint, Error, ErrorKind, Http2, Message,
    Reply, Route, Server, ServerHandle, ServerTls, Session, Side, connect,
};
use tokio::sync::mpsc;

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

fn echo() -> Route {
    Route::new("/echo", |_| Ok(Echo))
        .subprotocols(["v2", "v1"])
        .deflate(Deflate::default())
}

/// Starts servers, and returns clients for `ws:`, `wss:` over HTTP/1.1 and `wss:` over HTTP/2.
async fn clients() -> (ServerHandle, Vec<(&'static str, Connect)>) {
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let server = Server::bind("127.0.0.1:0")
        .listen_tls(
            "127.0.0.1:0",
            ServerTls::from_pem(identity.chain, identity.key).unwrap(),
        )
        .mount(echo())
        .start()
        .await
        .unwrap();
    let [plain, tls] = server.local_addrs() else {
        panic!("two listeners")
    };
    let url = format!("wss://localhost:{}/echo", tls.port());
    let secure = connect(url).tls(ClientTls::new().roots_only(&authority.pem).unwrap());
    let clients = vec![
        ("ws", connect(format!("ws://{plain}/echo"))),
        ("wss", secure.clone()),
        ("HTTP/2", secure.http2(Http2::Auto)),
    ];
    (server, clients)
}

#[tokio::test]
async fn messages_of_all_sizes_come_back_over_tcp_tls_and_http2() {
    let (_server, clients) = clients().await;
    for (name, client) in clients {
        for client in [client.clone(), client.deflate(Deflate::default())] {
            let mut websocket = client.subprotocols(["v1"]).await.unwrap();
            assert_eq!(websocket.subprotocol(), Some("v1"), "{name}");
            for length in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
                // Over HTTP/2 the last message exceeds a window, and it doesn't compress well.
                let bytes: Vec<u8> = (0..length)
                    .map(|n: u32| (n.wrapping_mul(n) >> 7) as u8)
                    .collect();
                websocket.send(&bytes).await.unwrap();
                let message = websocket.recv().await.unwrap().unwrap();
                assert!(message.as_bytes() == bytes, "{length} bytes over {name}");
            }
            websocket.send("grüß dich").await.unwrap();
            let message = websocket.recv().await.unwrap().unwrap();
            assert_eq!(message.as_text(), Some("grüß dich"));
            let closed = websocket.close(CloseCode::NORMAL, "bye").await;
            assert!(closed.is_clean(), "{name}: {closed}");
            assert_eq!(
                (closed.by, closed.code),
                (Side::Us, CloseCode::NORMAL),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn http2_is_used_only_by_the_client_that_asks_for_it() {
    let (_server, clients) = clients().await;
    for (name, client) in clients {
        let websocket = client.await.unwrap();
        let request = websocket.request().unwrap();
        let headers = request.headers();
        assert_eq!(
            headers.contains_key("sec-websocket-key"),
            name != "HTTP/2",
            "{name}"
        );
        assert_eq!(request.is_tls(), name != "ws", "{name}");
    }
}

#[tokio::test]
async fn refusal_is_the_same_over_tcp_tls_and_http2() {
    let (_server, clients) = clients().await;
    for (name, client) in clients {
        let error = client
            .header("Origin", "https://evil.example")
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Refused, "{name}: {error}");
        assert_eq!(error.status().unwrap(), 403, "{name}");
    }
}

#[tokio::test]
async fn closed_connections_end_by_themselves_at_both_ends() {
    let (server, clients) = clients().await;
    let (gone, mut went) = mpsc::unbounded_channel();
    for (_, client) in clients {
        struct CodeReporter(mpsc::UnboundedSender<CloseCode>);
        impl Endpoint for CodeReporter {
            fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
                Reply::None
            }
            fn on_close(&mut self, _session: &Session, closed: &Closed) {
                let _ = self.0.send(closed.code);
            }
        }
        let session = client.endpoint(CodeReporter(gone.clone())).await.unwrap();
        session.close(CloseCode::GOING_AWAY, "");
        assert_eq!(went.recv().await, Some(CloseCode::GOING_AWAY));
    }
    // Each connection ends by its close, and none by a time limit.
    let ended = async {
        while server.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4), ended)
        .await
        .unwrap();
}

#[tokio::test]
async fn callbacks_run_on_a_dialled_connection() {
    struct Asker(mpsc::UnboundedSender<String>);
    impl Endpoint for Asker {
        fn on_open(&mut self, session: &Session) {
            session.try_send("question").unwrap();
        }
        fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
            let _ = self
                .0
                .send(message.as_text().unwrap_or_default().to_owned());
            Reply::Close(CloseCode::NORMAL, "thanks".to_owned())
        }
        fn on_close(&mut self, _session: &Session, closed: &Closed) {
            let _ = self.0.send(closed.reason.clone());
        }
        fn on_error(&mut self, _session: &Session, error: &Error) {
            panic!("{error}");
        }
    }
    let (_server, clients) = clients().await;
    for (name, client) in clients {
        let (heard, mut hear) = mpsc::unbounded_channel();
        let session = client.endpoint(Asker(heard)).await.unwrap();
        assert_eq!(hear.recv().await.as_deref(), Some("question"), "{name}");
        assert_eq!(hear.recv().await.as_deref(), Some("thanks"), "{name}");
        assert!(session.closed().await.is_clean(), "{name}");
    }
}
