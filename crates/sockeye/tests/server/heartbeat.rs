//! A peer that vanishes is noticed; one that lives stays connected, and its latency is measured.

use std::{net::SocketAddr, time::Duration};

use sockeye::{
    CloseCode, ErrorKind, HeartbeatConfig, Role, Route, Server, Settings, Side, WebSocket,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc::unbounded_channel,
    time::Instant,
};

use crate::{
    support::{
        Echo, assert_echoes, connect, http2_client_on, http2_connect, http2_websocket, open,
        read_head, request, soon,
    },
    tls,
    watched::{Watched, watched},
};

const HEARTBEAT: HeartbeatConfig = HeartbeatConfig {
    interval: Duration::from_millis(300),
    timeout: Duration::from_millis(200),
};

/// For peers that answer, on a machine that may stop for some seconds.
const LENIENT: HeartbeatConfig = HeartbeatConfig {
    interval: Duration::from_millis(300),
    timeout: Duration::from_secs(3),
};

fn beating(config: HeartbeatConfig) -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = Some(config);
    settings
}

/// Asserts that the peer, silent since `since`, is given up in time and not too early.
async fn assert_given_up(watched: &mut Watched, since: Instant, config: HeartbeatConfig) {
    let ended = watched.ended().await;
    assert_eq!(ended.error, Some(ErrorKind::Heartbeat));
    assert_eq!(
        (ended.closed.by, ended.closed.code, &*ended.closed.reason),
        (Side::Network, CloseCode::ABNORMAL, "no sign of life")
    );
    assert_eq!((ended.closed.sent, ended.closed.received), (None, None));
    let took = ended.at - since;
    // The first ping comes after half of the interval at the earliest.
    assert!(took >= config.interval / 2 + config.timeout, "{took:?}");
    let bound = config.interval + config.timeout;
    eprintln!("noticed after {took:?}, bound {bound:?}");
    // The machine may stop for seconds, which is not the heartbeat's fault.
    assert!(took < bound + Duration::from_secs(10), "{took:?}");
    let server = &watched.server;
    soon(async {
        while (server.sessions(), server.connections()) != (0, 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let endings = watched.server.endings();
    assert_eq!((endings.silent, endings.total()), (1, 1));
}

/// Opens a WebSocket whose client answers nothing.
async fn open_deaf(addr: SocketAddr) -> TcpStream {
    let mut stream = connect(addr).await;
    let bytes = request("/", &[]);
    stream.write_all(bytes.as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    stream
}

#[tokio::test]
async fn peer_without_a_sign_of_life_is_given_up() {
    let mut watched = watched(Server::bind("127.0.0.1:0"), beating(HEARTBEAT), || Echo).await;
    let began = Instant::now();
    let mut deaf = open_deaf(watched.addr()).await;
    assert_given_up(&mut watched, began, HEARTBEAT).await;
    // The server has sent a ping and, after half of the timeout, the same ping again. The socket was reset,
    // because nothing of ours waited for the peer in the kernel.
    let mut pings = [0; 20];
    soon(deaf.read_exact(&mut pings)).await.unwrap();
    assert_eq!(pings[..2], [0x89, 8]);
    assert_eq!(pings[..10], pings[10..]);
    let end = soon(deaf.read_u8()).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn peer_without_a_sign_of_life_is_given_up_on_tls() {
    let (identity, roots) = tls::identity();
    let server = Server::unbound().listen_tls("127.0.0.1:0", identity);
    let mut watched = watched(server, beating(HEARTBEAT), || Echo).await;
    let mut stream = tls::dial(roots, watched.addr(), &[]).await;
    let began = Instant::now();
    stream
        .write_all(request("/", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut stream).await;
    assert_given_up(&mut watched, began, HEARTBEAT).await;
}

#[tokio::test]
async fn peer_without_a_sign_of_life_is_given_up_over_http2() {
    let mut watched = watched(Server::bind("127.0.0.1:0"), beating(HEARTBEAT), || Echo).await;
    let mut sender = http2_client_on(connect(watched.addr()).await).await;
    let began = Instant::now();
    let response = http2_connect(&mut sender, "/", &[]).await;
    let stream = soon(hyper::upgrade::on(response)).await.unwrap();
    let ended = watched.ended().await;
    assert_eq!(ended.error, Some(ErrorKind::Heartbeat));
    assert!(ended.at - began >= HEARTBEAT.interval / 2 + HEARTBEAT.timeout);
    // The other streams of the connection stay open.
    let response = http2_connect(&mut sender, "/", &[]).await;
    assert_echoes(&mut http2_websocket(response).await, "here").await;
    drop(stream);
}

#[tokio::test]
async fn peer_that_answers_stays_and_its_latency_is_known() {
    let mut watched = watched(Server::bind("127.0.0.1:0"), beating(LENIENT), || Echo).await;
    let (mut websocket, _) = open(watched.addr(), "/", &[]).await;
    let session = soon(watched.sessions.recv()).await.unwrap();
    assert_eq!(session.latency(), None);
    // The client answers a ping whether or not `recv` runs.
    let latency = soon(async {
        loop {
            if let Some(latency) = session.latency() {
                break latency;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(latency > Duration::ZERO && latency < Duration::from_secs(10));
    tokio::time::sleep(2 * (LENIENT.interval + LENIENT.timeout)).await;
    assert_echoes(&mut websocket, "still here").await;
    // Only the server's heartbeat has sent pings, and their pongs are not passed to the endpoint.
    assert_eq!(*watched.pongs.lock().unwrap(), [[0; 0]; 0]);
    assert_eq!(watched.server.endings().total(), 0);
}

#[tokio::test]
async fn any_byte_is_life_and_no_pong_but_the_answer_is_measured() {
    let mut watched = watched(Server::bind("127.0.0.1:0"), beating(LENIENT), || Echo).await;
    let mut stream = open_deaf(watched.addr()).await;
    let session = soon(watched.sessions.recv()).await.unwrap();
    let began = Instant::now();
    // The client answers no ping, but it sends: one byte at a time of one long frame, after a forged pong.
    stream
        .write_all(b"\x8a\x88\0\0\0\0forged!!\x82\xfe\x10\0\0\0\0\0")
        .await
        .unwrap();
    while began.elapsed() < 3 * (LENIENT.interval + LENIENT.timeout) {
        stream.write_all(b"x").await.unwrap();
        tokio::time::sleep(LENIENT.timeout / 10).await;
    }
    assert!(session.is_open());
    assert_eq!(session.latency(), None);
    assert_eq!(*watched.pongs.lock().unwrap(), [b"forged!!"]);
    assert_given_up(&mut watched, began, LENIENT).await;
}

#[tokio::test]
async fn session_in_a_used_slot_has_a_heartbeat_of_its_own() {
    // One worker, so that all of them get the same slot.
    let server = Server::bind("127.0.0.1:0").workers(1);
    let mut watched = watched(server, beating(HEARTBEAT), || Echo).await;
    for _ in 0..20 {
        let (mut websocket, _) = open(watched.addr(), "/", &[]).await;
        soon(websocket.close(CloseCode::NORMAL, "")).await;
        let ended = watched.ended().await;
        assert_eq!(ended.closed.code, CloseCode::NORMAL);
    }
    let began = Instant::now();
    let _deaf = open_deaf(watched.addr()).await;
    let ended = watched.ended().await;
    assert_eq!(ended.error, Some(ErrorKind::Heartbeat));
    assert!(ended.at - began >= HEARTBEAT.interval / 2 + HEARTBEAT.timeout);
    assert_eq!(watched.server.endings().clean, 20);
}

#[tokio::test]
async fn without_heartbeat_no_ping_is_sent() {
    let mut settings = Settings::default();
    settings.heartbeat = None;
    let watched = watched(Server::bind("127.0.0.1:0"), settings, || Echo).await;
    let mut deaf = open_deaf(watched.addr()).await;
    let heard = tokio::time::timeout(Duration::from_millis(500), deaf.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// The heartbeat runs although the conversation receives nothing.
#[tokio::test]
async fn conversation_learns_of_a_dead_peer_from_recv() {
    let (ends, mut ended) = unbounded_channel();
    let route = Route::conversation("/", move |_request, mut websocket: WebSocket| {
        let ends = ends.clone();
        async move {
            let closed = websocket.session().closed().await;
            let error = websocket.recv().await.unwrap_err();
            let _ = ends.send((closed, error.kind()));
        }
    });
    let server = Server::bind("127.0.0.1:0")
        .settings(beating(HEARTBEAT))
        .mount(route)
        .start()
        .await
        .unwrap();
    let _deaf = open_deaf(server.local_addrs()[0]).await;
    let (closed, kind) = soon(ended.recv()).await.unwrap();
    assert_eq!(
        (closed.by, closed.code),
        (Side::Network, CloseCode::ABNORMAL)
    );
    assert_eq!(kind, ErrorKind::Heartbeat);
}

#[tokio::test]
async fn client_notices_a_dead_server() {
    let (left, _deaf) = tokio::io::duplex(1024);
    let mut client = WebSocket::from_stream(left, Role::Client, beating(HEARTBEAT)).unwrap();
    let began = Instant::now();
    let error = soon(client.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Heartbeat);
    assert!(began.elapsed() >= HEARTBEAT.interval / 2 + HEARTBEAT.timeout);
    assert_eq!(soon(client.recv()).await.unwrap(), None);
    assert_eq!(client.closed().unwrap().by, Side::Network);
}

/// The peer answers the pings; the answers aren't read because the program takes no message.
#[tokio::test]
async fn a_peer_is_not_late_while_a_full_inbox_stops_the_reading() {
    let (left, right) = tokio::io::duplex(1 << 20);
    let mut settings = beating(LENIENT);
    settings.inbox_bytes_max = 1000;
    let mut server = WebSocket::from_stream(left, Role::Server, settings).unwrap();
    let mut calm = Settings::default();
    calm.heartbeat = None;
    let client = WebSocket::from_stream(right, Role::Client, calm).unwrap();
    for _ in 0..20 {
        client.send("x".repeat(200)).await.unwrap();
    }
    tokio::time::sleep(2 * (LENIENT.interval + LENIENT.timeout)).await;
    for _ in 0..20 {
        let message = soon(server.recv()).await.unwrap().expect("a message");
        assert_eq!(message.len(), 200);
    }
    server.send("and back").await.unwrap();
    assert!(server.session().is_open());
}
