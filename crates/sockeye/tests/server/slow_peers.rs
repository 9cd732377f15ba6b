//! A peer that reads slowly is neither dead nor stalled: on every kind of connection, in both roles.

use std::{net::SocketAddr, time::Duration};

use hyper_util::rt::TokioIo;
use sockeye::{
    Endpoint, HeartbeatConfig, Message, Reply, Role, Route, Server, ServerHandle, Session,
    Settings, WebSocket,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    support::{http2_client_on, http2_connect, read_head, request, soon},
    tls,
};

/// Bytes of a message. All of them together are more than a kernel holds for one peer.
const MESSAGE_BYTES: usize = 1 << 20;
const MESSAGES: usize = 5;

/// Bytes that are read before each pause. All pauses together are several times as long as a peer may be silent, and
/// may read nothing.
const GULP_BYTES: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(100);

const TIMEOUT: Duration = Duration::from_secs(2);

/// The limit of a wait, which only a failure reaches.
const LIMIT: Duration = Duration::from_secs(120);

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = Some(HeartbeatConfig::new(Duration::from_millis(500), TIMEOUT));
    settings.progress_timeout = Some(Duration::from_secs(1));
    settings.outbox_bytes_max = 2 * MESSAGES * MESSAGE_BYTES;
    settings
}

/// Sends many messages at once, and then echoes.
struct Generous;

impl Endpoint for Generous {
    fn on_open(&mut self, session: &Session) {
        for _ in 0..MESSAGES {
            session.try_send(vec![7; MESSAGE_BYTES]).unwrap();
        }
    }

    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

async fn start(settings: Settings) -> (ServerHandle, rustls::RootCertStore) {
    let (identity, roots) = tls::identity();
    let conversation = Route::conversation("/loop", |_, mut websocket: WebSocket| async move {
        for _ in 0..MESSAGES {
            websocket.send(vec![7; MESSAGE_BYTES]).await.unwrap();
        }
        while let Ok(Some(message)) = websocket.recv().await {
            let _ = websocket.send(message).await;
        }
    });
    let server = Server::bind("127.0.0.1:0")
        .listen_tls("127.0.0.1:0", identity)
        .route("/", |_| Ok(Generous))
        .mount(conversation)
        .settings(settings)
        .start()
        .await
        .unwrap();
    (server, roots)
}

/// Connects with a small receive buffer.
async fn narrow(addr: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(32 << 10).unwrap();
    soon(socket.connect(addr)).await.unwrap()
}

/// Reads the header of the next frame. Returns its first byte and the number of payload bytes that follow.
async fn read_frame_head(stream: &mut (impl AsyncRead + Unpin)) -> (u8, usize) {
    let first = stream.read_u8().await.expect("a frame");
    let second = stream.read_u8().await.unwrap();
    let len = match second & 0x7f {
        126 => stream.read_u16().await.unwrap().into(),
        127 => stream.read_u64().await.unwrap(),
        len => len.into(),
    };
    let mask = 4 * u64::from(second >> 7);
    (first, (mask + len) as usize)
}

/// Reads all messages slowly, and sends nothing.
async fn read_slowly(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = vec![0; GULP_BYTES];
    for _ in 0..MESSAGES {
        loop {
            let (first, mut left) = read_frame_head(stream).await;
            while left > 0 {
                let gulp = left.min(GULP_BYTES);
                stream.read_exact(&mut buffer[..gulp]).await.expect("bytes");
                left -= gulp;
                if gulp == GULP_BYTES {
                    sleep(PAUSE).await;
                }
            }
            // Anything else is a ping.
            if first == 0x82 {
                break;
            }
        }
    }
}

/// Plays a slow client, whose echo works at the end.
async fn be_a_slow_client<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    read_slowly(&mut stream).await;
    stream.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    loop {
        let (first, len) = read_frame_head(&mut stream).await;
        let mut payload = vec![0; len];
        stream.read_exact(&mut payload).await.unwrap();
        if first == 0x81 {
            return assert_eq!(payload, b"hi");
        }
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, path: &str) {
    stream
        .write_all(request(path, &[]).as_bytes())
        .await
        .unwrap();
    let head = read_head(stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

async fn assert_all_stay(server: &ServerHandle, mut clients: JoinSet<()>) {
    while let Some(client) = timeout(LIMIT, clients.join_next()).await.expect("an end") {
        client.unwrap();
    }
    let endings = server.endings();
    assert_eq!((endings.silent, endings.stalled), (0, 0));
}

#[tokio::test]
async fn slow_clients_stay_on_tcp_and_tls() {
    let (server, roots) = start(settings()).await;
    let addrs = server.local_addrs().to_vec();
    let mut clients = JoinSet::new();
    for path in ["/", "/loop"] {
        let (plain, secure, roots) = (addrs[0], addrs[1], roots.clone());
        clients.spawn(async move {
            let mut stream = narrow(plain).await;
            ask(&mut stream, path).await;
            be_a_slow_client(stream).await;
        });
        clients.spawn(async move {
            let mut stream = tls::dial_on(narrow(secure).await, roots, &[]).await;
            ask(&mut stream, path).await;
            be_a_slow_client(stream).await;
        });
    }
    assert_all_stay(&server, clients).await;
}

#[tokio::test]
async fn slow_clients_stay_over_http2() {
    let (server, _) = start(settings()).await;
    let addr = server.local_addrs()[0];
    let mut clients = JoinSet::new();
    for path in ["/", "/loop"] {
        clients.spawn(async move {
            let mut sender = http2_client_on(narrow(addr).await).await;
            let response = http2_connect(&mut sender, path, &[]).await;
            let stream = soon(hyper::upgrade::on(response)).await.unwrap();
            be_a_slow_client(TokioIo::new(stream)).await;
        });
    }
    assert_all_stay(&server, clients).await;
}

/// A client uploads to a server that reads slowly.
#[tokio::test]
async fn slow_server_is_kept_by_its_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let socket = socket2::SockRef::from(&listener);
    socket.set_recv_buffer_size(32 << 10).unwrap();
    let (near, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
    let mut far = accepted.unwrap().0;
    let mut client = WebSocket::from_stream(near.unwrap(), Role::Client, settings()).unwrap();
    let server = tokio::spawn(async move {
        read_slowly(&mut far).await;
        far.write_all(b"\x81\x03got").await.unwrap();
        far
    });
    for _ in 0..MESSAGES {
        client.send(vec![7; MESSAGE_BYTES]).await.unwrap();
    }
    let heard = timeout(LIMIT, client.recv()).await.expect("an end");
    assert_eq!(heard.unwrap().unwrap().as_text(), Some("got"));
    server.await.unwrap();
}

/// The kernel acknowledges bytes for a program that has stopped, until its buffer is full.
#[tokio::test]
async fn a_peer_whose_kernel_takes_what_comes_and_that_reads_nothing_is_given_up() {
    let mut settings = settings();
    settings.progress_timeout = None;
    let server = Server::bind("127.0.0.1:0")
        .route("/", |_| Ok(Quiet))
        .settings(settings)
        .start()
        .await
        .unwrap();
    let mut deaf = soon(TcpStream::connect(server.local_addrs()[0]))
        .await
        .unwrap();
    ask(&mut deaf, "/").await;
    timeout(LIMIT, async {
        while server.endings().silent == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("an end");
}

/// Sends small messages for ever.
struct Quiet;

impl Endpoint for Quiet {
    fn on_open(&mut self, session: &Session) {
        let session = session.clone();
        tokio::spawn(async move {
            while session.send("a little").await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        });
    }

    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::None
    }
}
