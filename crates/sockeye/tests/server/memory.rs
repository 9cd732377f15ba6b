//! One budget bounds what peers make the server hold, and a message has a time limit.

use std::time::Duration;

use sockeye::{
    CloseCode, Endpoint, Error, ErrorKind, HeartbeatConfig, MemoryBudget, MemoryPressure, Message,
    Reply, Route, Server, ServerHandle, Session, Settings, WebSocket,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::{sleep, timeout},
};

use crate::{
    http2,
    support::{
        Announcer, Echo, assert_echoes, connect, http2_client, http2_connect, http2_websocket,
        open, read_head, recv_text, request, soon, upgraded,
    },
    tls,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Bytes that threads may not have reported, and that a few connections hold without a charge.
const SLACK_BYTES: usize = 256 * KIB;

/// Starts an echo server on `/` with a budget of its own.
async fn serve(bytes_max: usize, settings: Settings) -> (ServerHandle, MemoryBudget) {
    let budget = MemoryBudget::new(bytes_max);
    let server = Server::bind("127.0.0.1:0")
        .settings(settings)
        .memory_budget(budget.clone())
        .route("/", |_| Ok(Echo));
    (server.start().await.unwrap(), budget)
}

/// Returns the head of a binary frame of a mebibyte, masked with the key 0.
fn head_of_mebibyte() -> Vec<u8> {
    let mut head = vec![0x82, 0xff];
    head.extend((MIB as u64).to_be_bytes());
    head.extend([0; 4]);
    head
}

async fn begin_message(stream: &mut (impl AsyncWrite + Unpin), bytes: usize) {
    stream.write_all(&head_of_mebibyte()).await.unwrap();
    stream.write_all(&vec![7; bytes]).await.unwrap();
}

/// Waits until the used bytes are as `is_right` wants.
async fn until_used(budget: &MemoryBudget, is_right: impl Fn(usize) -> bool) {
    let right = async {
        while !is_right(budget.used_bytes()) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    if timeout(Duration::from_secs(30), right).await.is_err() {
        panic!("{budget:?}");
    }
}

/// Starts a server whose program takes no message.
async fn server_that_reads_nothing(settings: Settings, budget: &MemoryBudget) -> ServerHandle {
    let route = Route::conversation("/", |_, websocket: WebSocket| async move {
        websocket.session().closed().await;
    });
    Server::bind("127.0.0.1:0")
        .settings(settings)
        .memory_budget(budget.clone())
        .mount(route)
        .start()
        .await
        .unwrap()
}

/// Reads until the end. Returns the code of the last Close frame, if there was one.
async fn close_code(stream: &mut (impl AsyncRead + Unpin)) -> Option<u16> {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes).await;
    let start = bytes.iter().rposition(|byte| *byte == 0x88)?;
    let code = bytes.get(start + 2..start + 4)?;
    Some(u16::from_be_bytes([code[0], code[1]]))
}

#[tokio::test]
async fn what_an_unfinished_message_holds_is_charged_on_every_transport_and_given_back() {
    let (identity, roots) = tls::identity();
    let budget = MemoryBudget::new(256 * MIB);
    let server = Server::bind("127.0.0.1:0")
        .listen_tls("127.0.0.1:0", identity)
        .memory_budget(budget.clone())
        .route("/", |_| Ok(Echo))
        .mount(Route::conversation("/loop", |_, mut ws| async move {
            while let Ok(Some(message)) = ws.recv().await {
                let _ = ws.send(message).await;
            }
        }))
        .start()
        .await
        .unwrap();
    let [plain, secure] = server.local_addrs() else {
        panic!("two addresses");
    };
    let mut http2 = http2_client(*plain).await;
    let response = http2_connect(&mut http2, "/", &[]).await;
    let stream = soon(hyper::upgrade::on(response)).await.unwrap();
    let over_http2 = hyper_util::rt::TokioIo::new(stream);
    charges(&budget, over_http2).await;
    charges(&budget, upgraded(*plain).await).await;
    for path in ["/", "/loop"] {
        let mut stream = tls::dial(roots.clone(), *secure, &[]).await;
        let request = request(path, &[]);
        stream.write_all(request.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
        charges(&budget, stream).await;
    }
}

async fn charges(budget: &MemoryBudget, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    begin_message(&mut stream, 600 * KIB).await;
    until_used(budget, |used| used >= 600 * KIB - SLACK_BYTES).await;
    stream.write_all(&vec![7; MIB - 600 * KIB]).await.unwrap();
    let mut echo = vec![0; MIB + 10];
    soon(stream.read_exact(&mut echo)).await.unwrap();
    until_used(budget, |used| used <= SLACK_BYTES).await;
    // A peer that hangs up in the middle of a message gives the memory back, too.
    begin_message(&mut stream, 600 * KIB).await;
    until_used(budget, |used| used >= 600 * KIB - SLACK_BYTES).await;
    drop(stream);
    until_used(budget, |used| used <= SLACK_BYTES).await;
}

#[tokio::test]
async fn beyond_the_budget_the_largest_holders_are_closed_with_1013_and_others_notice_nothing() {
    let (server, budget) = serve(4 * MIB, Settings::default()).await;
    let addr = server.local_addrs()[0];
    let (mut friend, _) = open(addr, "/", &[]).await;
    let mut attackers = Vec::new();
    for _ in 0..20 {
        let mut attacker = upgraded(addr).await;
        // The server may close it while it sends.
        let _ = attacker.write_all(&head_of_mebibyte()).await;
        let _ = attacker.write_all(&vec![7; 700 * KIB]).await;
        attackers.push(attacker);
        assert_echoes(&mut friend, "still here").await;
    }
    // 14 MiB in all.
    soon(async {
        while server.endings().shed < 10 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    until_used(&budget, |used| used <= 4 * MIB).await;
    assert_echoes(&mut friend, "and still").await;
    // Most were closed; the ones that hold little are still open.
    let (codes, mut told) = unbounded_channel();
    for mut attacker in attackers {
        let codes = codes.clone();
        tokio::spawn(async move { codes.send(close_code(&mut attacker).await) });
    }
    while soon(told.recv()).await.unwrap() != Some(1013) {}
    assert_echoes(&mut friend, "at the end").await;
}

#[tokio::test]
async fn beyond_the_soft_mark_the_largest_holder_is_read_again_when_there_is_room() {
    // One worker, so that its answers to the friend show that it has had the time to read from the uploader.
    let budget = MemoryBudget::new(8 * MIB);
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .memory_budget(budget.clone())
        .route("/", |_| Ok(Echo));
    let server = server.start().await.unwrap();
    let addr = server.local_addrs()[0];
    let (mut friend, _) = open(addr, "/", &[]).await;
    let mut uploader = upgraded(addr).await;
    begin_message(&mut uploader, 500 * KIB).await;
    until_used(&budget, |used| used >= 500 * KIB - SLACK_BYTES).await;
    let mut others = budget.account();
    others.set(7 * MIB + 128 * KIB);
    until_used(&budget, |used| used >= 7 * MIB + 400 * KIB).await;
    assert_eq!(budget.pressure(), MemoryPressure::Soft);
    uploader.write_all(&vec![7; MIB - 500 * KIB]).await.unwrap();
    let mut echo = vec![0; MIB + 10];
    for _ in 0..100 {
        assert_echoes(&mut friend, "small").await;
    }
    // An unread message gets no answer.
    let early = uploader.try_read(&mut echo[..1]);
    let is_unread = early.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(is_unread, "it was read beyond the soft mark");
    drop(others);
    soon(uploader.read_exact(&mut echo)).await.unwrap();
    assert_eq!(server.endings().total(), 0);
}

#[tokio::test]
async fn what_waits_for_peers_that_do_not_read_is_charged_and_the_largest_are_closed() {
    let budget = MemoryBudget::new(4 * MIB);
    let (sessions, mut opened) = unbounded_channel();
    let mut settings = Settings::default();
    settings.outbox_bytes_max = 8 * MIB;
    let server = Server::bind("127.0.0.1:0")
        .settings(settings)
        .memory_budget(budget.clone())
        .route("/", move |_| Ok(Announcer(sessions.clone())))
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    // All are open before the first holds much: while the budget is exceeded, a handshake is answered with 503.
    let (mut deaf, mut sessions) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        deaf.push(upgraded(addr).await);
        sessions.push(soon(opened.recv()).await.unwrap());
    }
    for session in sessions {
        while session.try_send(vec![7; 32 * KIB]).is_ok() {}
    }
    // Each of them holds two budgets once a worker has seen that its socket is stuck, and counts from then on.
    soon(async {
        while server.endings().shed < 4 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    until_used(&budget, |used| used <= 4 * MIB).await;
    let (mut friend, _) = open(addr, "/", &[]).await;
    assert_echoes(&mut friend, "still here").await;
}

#[tokio::test]
async fn a_late_answer_that_waits_is_charged_at_once() {
    let budget = MemoryBudget::new(256 * MIB);
    let (sessions, mut opened) = unbounded_channel();
    let server = Server::bind("127.0.0.1:0")
        .memory_budget(budget.clone())
        .route("/", move |_| Ok(Announcer(sessions.clone())))
        .start()
        .await
        .unwrap();
    let _deaf = upgraded(server.local_addrs()[0]).await;
    let session = soon(opened.recv()).await.unwrap();
    for count in 1..=4 {
        session.try_reply(vec![7; 16 * MIB]).unwrap();
        // The socket has taken a part of the first.
        let used = budget.used_bytes();
        assert!(used >= (count * 16 - 12) * MIB, "{count}: {used}");
    }
}

/// The messages are small, so that no rule about large ones applies.
#[tokio::test]
async fn a_peer_that_sends_without_reading_is_not_read_long_before_the_outbox_is_full() {
    let (sessions, mut opened) = unbounded_channel();
    let mut settings = Settings::default();
    settings.outbox_bytes_max = 64 * MIB;
    let server = Server::bind("127.0.0.1:0")
        .settings(settings)
        .route("/", move |_| Ok(Announcer(sessions.clone())))
        .start()
        .await
        .unwrap();
    let (mut reader, mut writer) = upgraded(server.local_addrs()[0]).await.into_split();
    let session = soon(opened.recv()).await.unwrap();
    let mut frame = vec![0x82, 0xfe, 0x04, 0x00, 0, 0, 0, 0];
    frame.resize(8 + KIB, 7);
    let many = frame.repeat(64);
    let mut sent = 0;
    // Writes until the server reads no more. If that seems so too early, the test finds less, but nothing wrong.
    while timeout(Duration::from_millis(500), writer.write_all(&many))
        .await
        .is_ok()
    {
        sent += 64;
        assert!(sent < 1 << 20, "all is read");
        // 64 KiB may wait, and the answers to one read come on top.
        let waiting = session.buffered_bytes();
        assert!(waiting <= 512 * KIB, "{waiting} bytes wait");
    }
    // Nothing is lost, and the server reads on.
    let mut echoes = vec![0; (4 + KIB) * sent];
    soon(reader.read_exact(&mut echoes)).await.unwrap();
}

/// The conversation takes its messages only when the test says so.
#[tokio::test]
async fn what_a_program_has_not_taken_is_charged_until_it_takes_it() {
    let budget = MemoryBudget::new(256 * MIB);
    let (take, taken) = tokio::sync::watch::channel(false);
    let server = Server::bind("127.0.0.1:0")
        .memory_budget(budget.clone())
        .mount(Route::conversation("/", move |_, mut ws| {
            let mut taken = taken.clone();
            async move {
                let _ = taken.wait_for(|taken| *taken).await;
                while let Ok(Some(_)) = ws.recv().await {}
            }
        }))
        .start()
        .await
        .unwrap();
    let mut stream = upgraded(server.local_addrs()[0]).await;
    let mut frame = vec![0x82, 0xfe, 0x04, 0x00, 0, 0, 0, 0];
    frame.resize(8 + KIB, 7);
    stream.write_all(&frame.repeat(700)).await.unwrap();
    until_used(&budget, |used| used >= 500 * KIB).await;
    take.send(true).unwrap();
    until_used(&budget, |used| used <= SLACK_BYTES).await;
    drop(stream);
}

/// Reports errors to the test.
struct ErrorReporter(UnboundedSender<ErrorKind>);

impl Endpoint for ErrorReporter {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }

    fn on_error(&mut self, _: &Session, error: &Error) {
        let _ = self.0.send(error.kind());
    }
}

#[tokio::test]
async fn a_message_that_stops_ends_with_1008_on_every_transport_and_one_that_comes_on_does_not() {
    let (identity, roots) = tls::identity();
    let (errors, mut told) = unbounded_channel();
    let mut settings = Settings::default();
    settings.limits.message_timeout = Duration::from_millis(400);
    settings.heartbeat = None;
    let server = Server::bind("127.0.0.1:0")
        .listen_tls("127.0.0.1:0", identity)
        .settings(settings)
        .route("/", move |_| Ok(ErrorReporter(errors.clone())))
        .start()
        .await
        .unwrap();
    let [plain, secure] = server.local_addrs() else {
        panic!("two addresses");
    };
    // Half of a header, half of a payload, and half of a ping.
    for piece in [&b"\x81"[..], b"\x82\x85\0\0\0\0ab", b"\x89\x85\0\0\0\0ab"] {
        let mut stream = upgraded(*plain).await;
        stream.write_all(piece).await.unwrap();
        assert_eq!(soon(close_code(&mut stream)).await, Some(1008));
        assert_eq!(soon(told.recv()).await, Some(ErrorKind::Timeout));
    }
    let mut stream = tls::dial(roots, *secure, &[]).await;
    stream
        .write_all(request("/", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut stream).await;
    stream.write_all(b"\x81\x85\0\0\0\0ab").await.unwrap();
    assert_eq!(soon(close_code(&mut stream)).await, Some(1008));
    let mut http2 = http2_client(*plain).await;
    let response = http2_connect(&mut http2, "/", &[]).await;
    let stream = soon(hyper::upgrade::on(response)).await.unwrap();
    let mut over_http2 = hyper_util::rt::TokioIo::new(stream);
    over_http2.write_all(b"\x81\x85\0\0\0\0ab").await.unwrap();
    assert_eq!(soon(close_code(&mut over_http2)).await, Some(1008));
    soon(async {
        while server.sessions() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let endings = server.endings();
    assert_eq!((endings.unfinished, endings.total()), (5, 5));
    // Between two messages a peer may be silent.
    let (mut silent, _) = open(*plain, "/", &[]).await;
    sleep(Duration::from_millis(1200)).await;
    assert_echoes(&mut silent, "still here").await;
}

#[tokio::test]
async fn a_message_in_parts_may_take_its_time() {
    let mut settings = Settings::default();
    settings.limits.message_timeout = Duration::from_millis(200);
    let server = Server::bind("127.0.0.1:0")
        .settings(settings)
        .mount(Route::conversation("/", |_, mut ws| async move {
            let session = ws.session().clone();
            while let Ok(Some(mut message)) = ws.recv_stream().await {
                let mut bytes = Vec::new();
                if message.read_to_end(&mut bytes).await.is_err() {
                    return;
                }
                let _ = session.send(bytes).await;
            }
        }))
        .start()
        .await
        .unwrap();
    let mut stream = upgraded(server.local_addrs()[0]).await;
    let mut answer = [0; 3];
    // From the second message on the server takes them in parts.
    stream.write_all(b"\x81\x81\0\0\0\0a").await.unwrap();
    soon(stream.read_exact(&mut answer)).await.unwrap();
    stream.write_all(b"\x81\x82\0\0\0\0b").await.unwrap();
    sleep(Duration::from_millis(1000)).await;
    stream.write_all(b"c").await.unwrap();
    let mut answer = [0; 4];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"\x82\x02bc");
}

#[tokio::test]
async fn beyond_the_budget_new_connections_are_answered_with_503() {
    let (server, budget) = serve(MIB, Settings::default()).await;
    let addr = server.local_addrs()[0];
    let (mut friend, _) = open(addr, "/", &[]).await;
    let mut others = budget.account();
    others.set(2 * MIB);
    let mut stream: TcpStream = connect(addr).await;
    stream
        .write_all(request("/", &[]).as_bytes())
        .await
        .unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_echoes(&mut friend, "those who are here are served").await;
    drop(others);
    let (mut websocket, _) = open(addr, "/", &[]).await;
    assert_echoes(&mut websocket, "and others again").await;
    soon(websocket.close(CloseCode::NORMAL, "")).await;
}

#[tokio::test]
async fn what_streams_of_http2_send_ahead_of_their_readers_is_charged_and_ends_them_when_memory_is_short()
 {
    const STREAMS: usize = 20;
    let messages = messages_of_a_window();
    for (bytes_max, is_cut) in [(64 * MIB, false), (MIB / 2, true)] {
        let mut settings = Settings::default();
        settings.inbox_bytes_max = KIB;
        // Whose peer has gone is noticed when a ping can't be written.
        settings.heartbeat = Some(HeartbeatConfig::new(
            Duration::from_millis(300),
            Duration::from_secs(10),
        ));
        let budget = MemoryBudget::new(bytes_max);
        let server = server_that_reads_nothing(settings, &budget).await;
        let mut sender = http2_client(server.local_addrs()[0]).await;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let response = http2_connect(&mut sender, "/", &[]).await;
            let stream = soon(hyper::upgrade::on(response)).await.unwrap();
            streams.push(hyper_util::rt::TokioIo::new(stream));
        }
        for stream in &mut streams {
            // It fails where the connection has been cut.
            let _ = soon(stream.write_all(&messages)).await;
        }
        if is_cut {
            for stream in &mut streams {
                let _ = soon(stream.read_to_end(&mut Vec::new())).await;
            }
        } else {
            until_used(&budget, |used| used >= STREAMS * 50 * KIB).await;
            drop((streams, sender));
        }
        until_used(&budget, |used| used < SLACK_BYTES).await;
    }
}

#[tokio::test]
async fn who_hangs_up_while_it_waits_for_memory_holds_none_any_more() {
    let (server, budget) = serve(64 * MIB, Settings::default()).await;
    let mut others = budget.account();
    others.set(63 * MIB);
    let mut stream = upgraded(server.local_addrs()[0]).await;
    begin_message(&mut stream, 66 * KIB).await;
    // More than one may hold now and be read.
    until_used(&budget, |used| used > 63 * MIB + 64 * KIB).await;
    drop(stream);
    until_used(&budget, |used| used < 63 * MIB + 16 * KIB).await;
    drop(others);
}

/// Returns the messages that a deaf WebSocket is sent over HTTP/2, masked with the key 0: as much as a
/// stream's window takes.
fn messages_of_a_window() -> Vec<u8> {
    let message = [&b"\x82\xfe\x04\x00\0\0\0\0"[..], &[7; KIB]].concat();
    message.repeat(58)
}

#[tokio::test]
async fn a_connection_of_http2_that_holds_much_is_hardly_read_beyond_the_soft_mark_until_there_is_room()
 {
    const STREAMS: usize = 40;
    let mut settings = Settings::default();
    settings.inbox_bytes_max = KIB;
    settings.heartbeat = None;
    let budget = MemoryBudget::new(64 * MIB);
    let deaf = Route::conversation("/deaf", |_, websocket: WebSocket| async move {
        websocket.session().closed().await;
    });
    let server = Server::bind("127.0.0.1:0")
        .settings(settings)
        .memory_budget(budget.clone())
        .mount(deaf)
        .route("/echo", |_| Ok(Echo));
    let server = server.start().await.unwrap();
    let mut sender = http2_client(server.local_addrs()[0]).await;
    let response = http2_connect(&mut sender, "/echo", &[]).await;
    let mut echo = http2_websocket(response).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let response = http2_connect(&mut sender, "/deaf", &[]).await;
        let stream = soon(hyper::upgrade::on(response)).await.unwrap();
        streams.push(hyper_util::rt::TokioIo::new(stream));
    }
    // Nearly all is used: a connection may hold 64 KiB and be read.
    let mut others = budget.account();
    others.set(63 * MIB);
    let held = || budget.used_bytes().saturating_sub(63 * MIB);
    for stream in &mut streams {
        soon(stream.write_all(&messages_of_a_window()))
            .await
            .unwrap();
    }
    while held() < 100 * KIB {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        sleep(Duration::from_millis(1000)).await;
        let held = held();
        // Each WebSocket has taken some KiB off its stream; the others wait in the kernel, or at the client.
        assert!(held < STREAMS * 29 * KIB, "{held}");
    }
    // It lives, and its own messages come through.
    soon(echo.send("are you there?")).await.unwrap();
    drop(others);
    assert_eq!(recv_text(&mut echo).await, "are you there?");
    until_used(&budget, |used| used >= STREAMS * 50 * KIB).await;
}

#[tokio::test]
async fn a_connection_of_http2_that_must_go_is_told_by_goaway() {
    let mut settings = Settings::default();
    settings.inbox_bytes_max = KIB;
    let budget = MemoryBudget::new(64 * MIB);
    let server = server_that_reads_nothing(settings, &budget).await;
    let stream = connect(server.local_addrs()[0]).await;
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://a.example/").body(()).unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    soon(response).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = http2::websocket(&mut send, "/").await;
        stream
            .0
            .send_data(messages_of_a_window().into(), false)
            .unwrap();
        streams.push(stream);
    }
    until_used(&budget, |used| used >= 4 * 50 * KIB).await;
    let mut others = budget.account();
    others.set(64 * MIB);
    assert!(budget.used_bytes() > budget.bytes_max());
    let error = soon(connection).await.unwrap().unwrap_err();
    assert!(error.is_remote() && error.is_go_away(), "{error}");
    assert_eq!(error.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
}
