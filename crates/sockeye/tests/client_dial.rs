//! Dialling: names, addresses, time limits, and dropped futures.

mod scripted;

use std::{future::IntoFuture as _, time::Duration};

use scripted::{
    Authority, Head, accept, accept_tls, answer, assert_greeted, drop_when, greet, listen,
    until_closed,
};
use sockeye::{ClientTls, Endpoint, ErrorKind, Message, Proxy, Reply, Session, connect};
use tokio::{
    io::AsyncReadExt as _,
    join,
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Builder,
    time::timeout,
};

const SHORT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn name_is_resolved_and_dead_addresses_are_passed_over() {
    // If localhost has two addresses, nothing listens on one of them.
    let (listener, address) = listen().await;
    let client = connect(format!("ws://localhost:{}/", address.port()));
    let (websocket, _) = join!(client, async { greet(&mut accept(&listener).await).await });
    assert_eq!(
        websocket.as_ref().unwrap().request().unwrap().peer_addr(),
        Some(address)
    );
    assert_greeted(websocket).await;
}

#[tokio::test]
async fn given_addresses_are_dialled_in_place_of_the_resolvers_and_the_name_stays() {
    let (listener, address) = listen().await;
    let url = format!("ws://no-such-host.invalid:{}/", address.port());
    let client = connect(&url)
        // For another port, so it isn't used.
        .resolve("no-such-host.invalid", 1, [])
        .resolve("No-Such-Host.invalid", address.port(), [address.ip()]);
    let server = async {
        let mut stream = accept(&listener).await;
        (greet(&mut stream).await, stream)
    };
    let (websocket, (head, _stream)) = join!(client.clone(), server);
    let host = format!("no-such-host.invalid:{}", address.port());
    assert_eq!(head.field("Host"), Some(host.as_str()));
    let websocket = websocket.unwrap();
    assert_eq!(websocket.request().unwrap().peer_addr(), Some(address));

    let nowhere = client.clone();
    let nowhere = nowhere.resolve("no-such-host.invalid", address.port(), []);
    let error = nowhere.await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Resolve, "{error}");
    let error = client
        .resolve("a b", 80, [address.ip()])
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn unknown_name_and_closed_port_are_told_apart() {
    let error = connect("ws://no-such-host.invalid/").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert!(
        error.to_string().contains("no-such-host.invalid"),
        "{error}"
    );

    let (listener, address) = listen().await;
    drop(listener);
    let error = connect(format!("ws://{address}/")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error
            .to_string()
            .contains(&format!("connecting to {address}")),
        "{error}"
    );
}

#[test]
fn resolving_has_its_limit() {
    // Names are resolved on threads that may block. Here the only one is busy.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build();
    let (busy, free) = std::sync::mpsc::channel::<()>();
    let error = runtime.unwrap().block_on(async {
        tokio::task::spawn_blocking(move || free.recv());
        let client = connect("ws://localhost/").resolve_timeout(SHORT);
        let error = client.await.err().unwrap();
        drop(busy);
        error
    });
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("resolving localhost"), "{error}");
}

/// Returns a listener whose queue is full, so that the kernel answers no more, and the connections that fill it.
async fn full_listener() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // Long enough for a busy machine: the kernel answers at once or not before a second.
    while let Ok(stream) = timeout(SHORT * 20, TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    (listener, waiting)
}

#[tokio::test]
async fn connecting_has_its_limit_and_the_error_names_each_address() {
    let (listener, _waiting) = full_listener().await;
    let address = listener.local_addr().unwrap();
    let client = connect(format!("ws://{address}/")).connect_timeout(SHORT);
    let error = client.await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("({address}: took longer than 20ms)")),
        "{error}"
    );
}

#[tokio::test]
async fn tls_has_its_limit() {
    let (listener, address) = listen().await;
    let client = connect(format!("wss://{address}/"))
        .tls(ClientTls::new().dangerous_accept_any_certificate())
        .tls_timeout(SHORT);
    let error = client.await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error
            .to_string()
            .contains(&format!("TLS handshake with {address}")),
        "{error}"
    );
    drop(listener);
}

#[tokio::test]
async fn handshake_has_its_limit_even_if_the_server_trickles() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}/")).handshake_timeout(SHORT);
    let (result, _stream) = join!(client, async {
        let mut stream = accept(&listener).await;
        answer(&mut stream, "HTTP/1.1 101 Switching").await;
        stream
    });
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error
            .to_string()
            .contains(&format!("handshake with {address}")),
        "{error}"
    );
}

#[test]
fn futures_of_dialling_can_be_spawned() {
    struct Silent;
    impl Endpoint for Silent {
        fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
            Reply::None
        }
    }
    fn is_send<T: Send + 'static>(_: T) {}
    is_send(connect("ws://a/"));
    is_send(connect("ws://a/").into_future());
    is_send(connect("ws://a/").endpoint(Silent));
    is_send(connect("ws://a/").over(tokio::io::duplex(1).0));
}

#[tokio::test]
async fn future_dropped_before_its_first_poll_dials_nothing() {
    let (listener, address) = listen().await;
    drop(connect(format!("ws://{address}/")).into_future());
    assert!(timeout(SHORT, listener.accept()).await.is_err());
}

#[tokio::test]
async fn dropping_during_the_handshake_closes_the_socket() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}/")).into_future();
    let mut stream = drop_when(client, async {
        let mut stream = accept(&listener).await;
        Head::read(&mut stream).await;
        stream
    })
    .await;
    assert!(until_closed(&mut stream).await.is_empty());
}

#[tokio::test]
async fn dropping_during_the_answer_closes_the_socket() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}/")).into_future();
    let mut stream = drop_when(client, async {
        let mut stream = accept(&listener).await;
        answer(&mut stream, "HTTP/1.1 101 Swi").await;
        stream
    })
    .await;
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn dropping_during_tls_closes_the_socket() {
    let (listener, address) = listen().await;
    let client = connect(format!("wss://{address}/"))
        .tls(ClientTls::new().dangerous_accept_any_certificate())
        .into_future();
    let mut stream = drop_when(client, async {
        let mut stream = accept(&listener).await;
        stream.read_u8().await.unwrap();
        stream
    })
    .await;
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn dropping_after_the_tls_handshake_closes_the_socket() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("127.0.0.1", &[]);
    let (listener, address) = listen().await;
    let client = connect(format!("wss://{address}/"))
        .tls(ClientTls::new().roots_only(&authority.pem).unwrap())
        .into_future();
    let mut stream = drop_when(client, async {
        let mut stream = accept_tls(&listener, &acceptor).await;
        Head::read(&mut stream).await;
        stream
    })
    .await;
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn dropping_during_a_proxys_part_closes_the_socket() {
    let (listener, address) = listen().await;
    for proxy in [
        Proxy::http(&format!("http://{address}")).unwrap(),
        Proxy::socks5(&format!("socks5h://{address}")).unwrap(),
    ] {
        let client = connect("ws://a.invalid/").proxy(proxy).into_future();
        let mut stream = drop_when(client, async {
            let mut stream = accept(&listener).await;
            stream.read_u8().await.unwrap();
            stream
        })
        .await;
        until_closed(&mut stream).await;
    }
}

#[tokio::test]
async fn dropping_during_a_redirect_closes_both_sockets() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}/"))
        .redirects_max(1)
        .into_future();
    let (mut first, mut second) = drop_when(client, async {
        let mut first = accept(&listener).await;
        answer(&mut first, "HTTP/1.1 302 F\r\nLocation: /b\r\n\r\n").await;
        let mut second = accept(&listener).await;
        Head::read(&mut second).await;
        (first, second)
    })
    .await;
    until_closed(&mut first).await;
    until_closed(&mut second).await;
}

#[tokio::test]
async fn dropping_while_tcp_is_silent_ends_the_attempt() {
    let (listener, waiting) = full_listener().await;
    let address = listener.local_addr().unwrap();
    let client = connect(format!("ws://{address}/")).into_future();
    assert!(timeout(SHORT, client).await.is_err());
    drop(waiting);
}
