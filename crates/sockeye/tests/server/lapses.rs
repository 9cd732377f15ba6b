//! Timeouts of sessions: a session that is idle, too old, or whose peer reads nothing is closed, and no other.

use std::time::Duration;

use sockeye::{
    CloseCode, Endpoint, ErrorKind, Lifetime, Message, Reply, Role, Route, Server, Session,
    Settings, Side, WebSocket,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc::unbounded_channel,
    time::{Instant, sleep, timeout},
};

use crate::{
    support::{
        Announcer, assert_echoes, attend, connect, http2_client, http2_connect, http2_websocket,
        open, open_on, read_head, request, soon, upgraded,
    },
    tls,
    watched::{Ended, watched},
};

/// Echoes. After the message `more` it sends until its outbox is full.
struct Talker;

impl Endpoint for Talker {
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        if message.as_text() != Some("more") {
            return Reply::Echo;
        }
        while session.try_send(vec![7; 64 << 10]).is_ok() {}
        Reply::None
    }
}

fn without_heartbeat() -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = None;
    settings
}

fn idle_after(time: Duration) -> Settings {
    let mut settings = without_heartbeat();
    settings.idle_timeout = Some(time);
    settings
}

#[tokio::test]
async fn a_session_without_messages_is_closed_and_pings_do_not_count() {
    const IDLE: Duration = Duration::from_millis(400);
    let mut watched = watched(Server::bind("127.0.0.1:0"), idle_after(IDLE), || Talker).await;
    let (websocket, _) = open(watched.addr(), "/", &[]).await;
    let began = Instant::now();
    let session = websocket.session().clone();
    let closed = attend(websocket);
    while session.ping(b"here").is_ok() && began.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(20)).await;
    }
    let closed = soon(closed).await.unwrap();
    assert!(began.elapsed() >= IDLE - Duration::from_millis(50));
    assert_eq!(
        (closed.by, closed.code, &*closed.reason),
        (Side::Peer, CloseCode::GOING_AWAY, "idle")
    );
    let ended = watched.ended().await;
    assert_eq!((ended.error, ended.closed.by), (None, Side::Us));
    assert!(ended.closed.is_clean());
    let endings = watched.endings().await;
    assert_eq!((endings.idle, endings.total()), (1, 1));
}

#[tokio::test]
async fn a_session_with_messages_is_not_idle() {
    // Long, for a machine that may stop for some seconds.
    const IDLE: Duration = Duration::from_secs(4);
    let watched = watched(Server::bind("127.0.0.1:0"), idle_after(IDLE), || Talker).await;
    let (mut websocket, _) = open(watched.addr(), "/", &[]).await;
    let began = Instant::now();
    while began.elapsed() < 2 * IDLE {
        assert_echoes(&mut websocket, "here").await;
        sleep(IDLE / 10).await;
    }
}

/// The bytes of a message count as activity, in however many frames it comes.
#[tokio::test]
async fn a_session_in_the_middle_of_a_message_is_not_idle() {
    const IDLE: Duration = Duration::from_secs(1);
    const STEPS: usize = 30;
    let watched = watched(Server::bind("127.0.0.1:0"), idle_after(IDLE), || Talker).await;
    let mut fragments = upgraded(watched.addr()).await;
    let mut one_frame = upgraded(watched.addr()).await;
    fragments.write_all(b"\x01\x81\0\0\0\0x").await.unwrap();
    let head = [0x81, 0x80 | STEPS as u8, 0, 0, 0, 0];
    one_frame.write_all(&head).await.unwrap();
    for _ in 0..STEPS {
        fragments.write_all(b"\0\x81\0\0\0\0x").await.unwrap();
        one_frame.write_all(b"x").await.unwrap();
        sleep(IDLE / 10).await;
    }
    fragments.write_all(b"\x80\x80\0\0\0\0").await.unwrap();
    for (mut stream, len) in [(fragments, STEPS + 1), (one_frame, STEPS)] {
        let mut echo = vec![0; 2 + len];
        soon(stream.read_exact(&mut echo)).await.unwrap();
        assert_eq!(echo[..2], [0x81, len as u8]);
    }
}

/// Within a message only its own bytes count as activity.
#[tokio::test]
async fn a_session_that_stops_in_the_middle_of_a_message_is_idle_though_it_pings() {
    const IDLE: Duration = Duration::from_millis(400);
    let mut watched = watched(Server::bind("127.0.0.1:0"), idle_after(IDLE), || Talker).await;
    let mut stream = upgraded(watched.addr()).await;
    stream.write_all(b"\x01\x81\0\0\0\0x").await.unwrap();
    let ended = async {
        loop {
            // A ping of the client; the write fails once the server has closed the connection.
            let _ = stream.write_all(b"\x89\x80\0\0\0\0").await;
            if let Ok(ended) = timeout(Duration::from_millis(20), watched.ends.recv()).await {
                break ended.unwrap();
            }
        }
    };
    assert_eq!(&*soon(ended).await.closed.reason, "idle");
}

#[tokio::test]
async fn idle_ends_on_tls_over_http2_and_in_a_conversation_too() {
    const IDLE: Duration = Duration::from_millis(300);
    let (identity, roots) = tls::identity();
    let conversation = Route::conversation("/loop", |_, mut websocket: WebSocket| async move {
        while let Ok(Some(message)) = websocket.recv().await {
            let _ = websocket.send(message).await;
        }
    });
    let server = Server::bind("127.0.0.1:0")
        .listen_tls("127.0.0.1:0", identity)
        .mount(conversation);
    let watched = watched(server, idle_after(IDLE), || Talker).await;
    let addrs = watched.server.local_addrs();
    let began = Instant::now();
    let stream = tls::dial(roots, addrs[1], &[]).await;
    let (on_tls, _) = open_on(stream, "/", &[]).await;
    let (in_loop, _) = open(addrs[0], "/loop", &[]).await;
    let mut sender = http2_client(addrs[0]).await;
    let response = http2_connect(&mut sender, "/", &[]).await;
    let over_http2 = http2_websocket(response).await;
    for websocket in [on_tls, in_loop, over_http2] {
        let closed = soon(attend(websocket)).await.unwrap();
        assert_eq!(
            (closed.code, &*closed.reason),
            (CloseCode::GOING_AWAY, "idle")
        );
        assert!(began.elapsed() >= IDLE);
    }
    assert_eq!(watched.endings().await.idle, 3);
}

#[tokio::test]
async fn lifetimes_end_spread_and_with_a_reason() {
    let mut settings = Settings::default();
    settings.lifetime = Some(Lifetime {
        max: Duration::from_millis(1500),
        spread: Duration::from_millis(1000),
    });
    let watched = watched(Server::bind("127.0.0.1:0"), settings, || Talker).await;
    let began = Instant::now();
    let mut open_ones = Vec::new();
    for _ in 0..20 {
        let (websocket, _) = open(watched.addr(), "/", &[]).await;
        open_ones.push(tokio::spawn(async move {
            let closed = attend(websocket).await.unwrap();
            (closed, began.elapsed())
        }));
    }
    let mut times = Vec::new();
    for open_one in open_ones {
        let (closed, time) = soon(open_one).await.unwrap();
        assert_eq!(
            (closed.code, &*closed.reason),
            (CloseCode::GOING_AWAY, "lifetime")
        );
        times.push(time);
    }
    times.sort_unstable();
    assert!(times[0] >= Duration::from_millis(500), "{times:?}");
    // The ends spread evenly over a second; the machine may shorten that to a half.
    assert!(
        times[19] - times[0] >= Duration::from_millis(500),
        "{times:?}"
    );
    assert_eq!(watched.endings().await.expired, 20);
}

const PROGRESS: Duration = Duration::from_millis(400);

fn stalling() -> Settings {
    stalling_after(PROGRESS)
}

fn stalling_after(time: Duration) -> Settings {
    let mut settings = without_heartbeat();
    settings.progress_timeout = Some(time);
    // More than the kernel's buffers hold for a peer that reads nothing.
    settings.outbox_bytes_max = 64 << 20;
    settings
}

/// `more`, masked with the key 0.
const MORE: &[u8] = b"\x81\x84\0\0\0\0more";

async fn ask_for_more<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, path: &str) {
    let request = request(path, &[]);
    stream.write_all(request.as_bytes()).await.unwrap();
    read_head(stream).await;
    stream.write_all(MORE).await.unwrap();
}

fn assert_stalled(ended: &Ended, since: Instant) {
    assert_eq!(ended.error, Some(ErrorKind::Timeout));
    assert_eq!(
        (ended.closed.by, ended.closed.code, &*ended.closed.reason),
        (Side::Us, CloseCode::ABNORMAL, "reads nothing")
    );
    let took = ended.at - since;
    eprintln!("dropped after {took:?}, bound {:?}", 2 * PROGRESS);
    assert!(took >= PROGRESS && took < 2 * PROGRESS + Duration::from_secs(10));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_dropped_for_lack_of_progress() {
    let (identity, roots) = tls::identity();
    let server = Server::bind("127.0.0.1:0").listen_tls("127.0.0.1:0", identity);
    let mut watched = watched(server, stalling(), || Talker).await;
    let began = Instant::now();
    let mut deaf = connect(watched.addr()).await;
    ask_for_more(&mut deaf, "/").await;
    assert_stalled(&watched.ended().await, began);
    let began = Instant::now();
    let mut deaf_on_tls = tls::dial(roots, watched.server.local_addrs()[1], &[]).await;
    ask_for_more(&mut deaf_on_tls, "/").await;
    assert_stalled(&watched.ended().await, began);
    let mut sender = http2_client(watched.addr()).await;
    let began = Instant::now();
    let response = http2_connect(&mut sender, "/", &[]).await;
    let stream = soon(hyper::upgrade::on(response)).await.unwrap();
    let mut over_http2 = hyper_util::rt::TokioIo::new(stream);
    // More than the window that a client allows.
    for _ in 0..20 {
        over_http2.write_all(MORE).await.unwrap();
    }
    assert_stalled(&watched.ended().await, began);
    let endings = watched.endings().await;
    assert_eq!((endings.stalled, endings.total()), (3, 3));
}

/// Other threads and groups send, not the worker.
#[tokio::test]
async fn a_peer_that_reads_nothing_is_dropped_when_other_threads_send() {
    let (sessions, mut opened) = unbounded_channel();
    let server = Server::bind("127.0.0.1:0")
        .settings(stalling())
        .route("/", move |_| Ok(Announcer(sessions.clone())))
        .start()
        .await
        .unwrap();
    let mut deaf = connect(server.local_addrs()[0]).await;
    deaf.write_all(request("/", &[]).as_bytes()).await.unwrap();
    let session = soon(opened.recv()).await.unwrap();
    let error = soon(async {
        loop {
            if let Err(error) = session.send(vec![7; 64 << 10]).await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Closed);
    let closed = soon(session.closed()).await;
    assert_eq!((closed.by, &*closed.reason), (Side::Us, "reads nothing"));
    // The worker counts the end after the waiting callers have learned of it.
    soon(async {
        while server.sessions() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(server.endings().stalled, 1);
}

#[tokio::test]
async fn a_peer_that_reads_slowly_stays() {
    // Long, for a machine that may stop for a while.
    const PROGRESS: Duration = Duration::from_secs(4);
    let watched = watched(
        Server::bind("127.0.0.1:0"),
        stalling_after(PROGRESS),
        || Talker,
    )
    .await;
    let mut slow = connect(watched.addr()).await;
    ask_for_more(&mut slow, "/").await;
    let began = Instant::now();
    let mut buffer = vec![0; 128 << 10];
    while began.elapsed() < 2 * PROGRESS {
        soon(slow.read(&mut buffer)).await.unwrap();
        // More always waits than the buffers between the two sides hold.
        slow.write_all(MORE).await.unwrap();
        sleep(PROGRESS / 100).await;
    }
    assert_eq!(watched.server.sessions(), 1);
    assert_eq!(watched.server.endings().total(), 0);
}

#[tokio::test]
async fn loop_style_drops_a_peer_that_reads_nothing() {
    let (left, _deaf) = tokio::io::duplex(1024);
    let mut websocket = WebSocket::from_stream(left, Role::Client, stalling()).unwrap();
    let began = Instant::now();
    websocket.send(vec![7; 64 << 10]).await.unwrap();
    let error = soon(websocket.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(began.elapsed() >= PROGRESS);
    assert_eq!(websocket.closed().unwrap().by, Side::Us);
}

#[tokio::test]
async fn without_the_limit_a_peer_that_reads_nothing_stays() {
    let mut settings = without_heartbeat();
    settings.progress_timeout = None;
    let mut watched = watched(Server::bind("127.0.0.1:0"), settings, || Talker).await;
    let mut deaf = connect(watched.addr()).await;
    ask_for_more(&mut deaf, "/").await;
    let ended = timeout(3 * PROGRESS, watched.ends.recv()).await;
    assert!(ended.is_err(), "{ended:?}");
}
