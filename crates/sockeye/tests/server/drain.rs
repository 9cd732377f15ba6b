//! Draining a server.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::Poll,
    time::Duration,
};

use sockeye::{CloseCode, Closed, Drain, Endpoint, Message, Reply, Retry, Route, Server, Session};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::support::{
    Echo, attend, connect, echo_server, open, read_head, read_to_end, request, soon, status_of,
    upgraded,
};

fn drain(per_second: u32, timeout: Duration) -> Drain {
    let mut drain = Drain::default();
    drain.per_second = per_second;
    drain.timeout = timeout;
    drain
}

async fn assert_closed_with(attending: JoinHandle<Closed>, code: CloseCode, reason: &str) {
    let closed = soon(attending).await.unwrap();
    assert_eq!((closed.code, closed.reason.as_str()), (code, reason));
    assert!(closed.is_clean());
}

#[tokio::test]
async fn drain_closes_all_and_reports() {
    let server = echo_server().start().await.unwrap();
    let addr = server.local_addrs()[0];
    let mut websockets = Vec::new();
    for _ in 0..10 {
        websockets.push(attend(open(addr, "/echo", &[]).await.0));
    }
    assert_eq!(server.sessions(), 10);
    let mut drain = drain(0, Duration::from_secs(20));
    drain.reason = "moving".into();
    let report = soon(server.drain(drain)).await;
    assert_eq!(
        (report.closed, report.aborted, report.timed_out),
        (10, 0, 0)
    );
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    for websocket in websockets {
        assert_closed_with(websocket, CloseCode::GOING_AWAY, "moving").await;
    }
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn each_session_gets_its_own_time_to_reconnect() {
    let server = echo_server().start().await.unwrap();
    let addr = server.local_addrs()[0];
    let mut websockets = Vec::new();
    for _ in 0..10 {
        websockets.push(attend(open(addr, "/echo", &[]).await.0));
    }
    let mut drain = drain(0, Duration::from_secs(20));
    drain.code = CloseCode::SERVICE_RESTART;
    drain.reason = "restart".into();
    drain.retry = Some(Retry {
        after: Duration::from_secs(1),
        spread: Duration::from_secs(100),
    });
    assert_eq!(soon(server.drain(drain)).await.closed, 10);
    let mut times = Vec::new();
    for websocket in websockets {
        let closed = soon(websocket).await.unwrap();
        assert_eq!(closed.code, CloseCode::SERVICE_RESTART);
        let time = closed.reason.strip_prefix("restart retry_ms=").unwrap();
        times.push(time.parse::<u64>().unwrap());
    }
    times.sort_unstable();
    assert!(times[0] >= 1000 && times[9] <= 101_000, "{times:?}");
    assert!(times[9] - times[0] > 50_000, "{times:?}");
}

#[tokio::test]
async fn drain_keeps_its_pace() {
    let server = echo_server().start().await.unwrap();
    let addr = server.local_addrs()[0];
    let mut websockets = Vec::new();
    for _ in 0..6 {
        websockets.push(attend(open(addr, "/echo", &[]).await.0));
    }
    let began = Instant::now();
    let report = soon(server.drain(drain(20, Duration::from_secs(20)))).await;
    assert_eq!(report.closed, 6);
    // Six sessions at twenty per second: the last one a quarter of a second after the first.
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert!(report.elapsed >= Duration::from_millis(250));
}

#[tokio::test]
async fn peer_that_does_not_answer_is_aborted_at_the_timeout() {
    let server = echo_server().start().await.unwrap();
    let addr = server.local_addrs()[0];
    let good = attend(open(addr, "/echo", &[]).await.0);
    // The client opens a WebSocket and never reads a frame.
    let mut deaf = connect(addr).await;
    deaf.write_all(request("/echo", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut deaf).await;
    let report = soon(server.drain(drain(0, Duration::from_secs(3)))).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (1, 0, 1));
    assert_closed_with(good, CloseCode::GOING_AWAY, "").await;
    // Its socket is closed, too.
    let mut rest = Vec::new();
    let _ = soon(tokio::io::AsyncReadExt::read_to_end(&mut deaf, &mut rest)).await;
    assert_eq!(rest, b"\x88\x02\x03\xe9");
}

#[tokio::test]
async fn conversation_that_does_not_end_is_aborted_at_the_timeout() {
    let route = Route::conversation("/", |_request, websocket| async move {
        std::future::pending::<()>().await;
        drop(websocket);
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let _deaf = upgraded(server.local_addrs()[0]).await;
    let report = soon(server.drain(drain(0, Duration::from_millis(100)))).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (0, 0, 1));
    soon(async {
        while server.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn peer_that_hangs_up_is_reported_as_aborted() {
    let server = echo_server().start().await.unwrap();
    let addr = server.local_addrs()[0];
    let mut rude = connect(addr).await;
    rude.write_all(request("/echo", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut rude).await;
    let draining = server.drain(drain(0, Duration::from_secs(20)));
    let hanging_up = async {
        // The client has received the Close frame and doesn't answer it.
        let mut close = [0; 4];
        tokio::io::AsyncReadExt::read_exact(&mut rude, &mut close)
            .await
            .unwrap();
        drop(rude);
    };
    let (report, ()) = soon(async { tokio::join!(draining, hanging_up) }).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (0, 1, 0));
}

#[tokio::test]
async fn handshake_in_progress_is_answered_with_503() {
    let server = echo_server().start().await.unwrap();
    let mut late = connect(server.local_addrs()[0]).await;
    late.write_all(b"GET /echo HTTP/1.1\r\n").await.unwrap();
    soon(async {
        while server.connections() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (report, answer) = soon(async {
        tokio::join!(
            server.drain(drain(0, Duration::from_secs(20))),
            read_to_end(&mut late)
        )
    })
    .await;
    assert_eq!(status_of(&answer), 503);
    assert_eq!(report.closed + report.aborted + report.timed_out, 0);
}

/// An endpoint must not block, but the timeout of a drain holds even then.
#[tokio::test]
async fn endpoint_that_blocks_its_worker_does_not_hold_up_a_drain() {
    struct Blocks(Arc<Mutex<mpsc::Receiver<()>>>);
    impl Endpoint for Blocks {
        fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
            let _ = self.0.lock().unwrap().recv();
            Reply::Echo
        }
    }
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/", move |_request| Ok(Blocks(Arc::clone(&released))))
        .start()
        .await
        .unwrap();
    let (mut websocket, _) = open(server.local_addrs()[0], "/", &[]).await;
    websocket.send("and now?").await.unwrap();
    let report = soon(server.drain(drain(0, Duration::from_millis(200)))).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (0, 0, 1));
    drop(release);
    // The session is aborted as soon as its endpoint returns.
    while let Ok(Some(_)) = soon(websocket.recv()).await {}
    soon(async {
        while (server.sessions(), server.connections()) != (0, 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The route's `authorize` is still running when the drain begins.
#[tokio::test]
async fn session_that_opens_during_a_drain_is_closed_at_once() {
    let let_in = Arc::new(Notify::new());
    let asked = Arc::new(Notify::new());
    let (gate, asks) = (Arc::clone(&let_in), Arc::clone(&asked));
    let route = Route::new("/", |_request| Ok(Echo)).authorize(move |_request| {
        let gate = Arc::clone(&gate);
        asks.notify_one();
        async move {
            gate.notified().await;
            Ok(())
        }
    });
    let server = Server::bind("127.0.0.1:0")
        .workers(2)
        .mount(route)
        .start()
        .await
        .unwrap();
    let mut peer = connect(server.local_addrs()[0]).await;
    // A message after the request, and the answer to the Close frame that will come.
    let bytes = [
        request("/", &[]).as_bytes(),
        &[0x82, 0x80, 0, 0, 0, 0],
        &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9],
    ]
    .concat();
    peer.write_all(&bytes).await.unwrap();
    peer.shutdown().await.unwrap();
    soon(asked.notified()).await;
    let draining = server.drain(drain(0, Duration::from_secs(20)));
    let report = soon(async {
        tokio::pin!(draining);
        // The drain has begun once its future was polled.
        assert!(poll_once(draining.as_mut()).await.is_none());
        let_in.notify_one();
        draining.await
    })
    .await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (1, 0, 0));
    let head = read_head(&mut peer).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut rest = Vec::new();
    soon(peer.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"\x88\x02\x03\xe9"), "{rest:?}");
}

async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_drain_may_be_cancelled_repeated_and_run_twice_at_once() {
    let server = echo_server().start().await.unwrap();
    let addr = server.local_addrs()[0];
    let (told, later) = (
        open(addr, "/echo", &[]).await.0,
        open(addr, "/echo", &[]).await.0,
    );
    let mut deaf = connect(addr).await;
    deaf.write_all(request("/echo", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut deaf).await;
    {
        let given_up = server.drain(drain(1, Duration::from_secs(20)));
        tokio::pin!(given_up);
        assert!(poll_once(given_up.as_mut()).await.is_none());
    }
    let (told, later) = (attend(told), attend(later));
    let (one, other) = (
        server.drain(drain(0, Duration::from_secs(2))),
        server.drain(drain(0, Duration::from_secs(2))),
    );
    let (one, other) = soon(async { tokio::join!(one, other) }).await;
    assert_eq!((one.closed, one.aborted + one.timed_out), (2, 1));
    // One of the drains aborts the session at the timeout; the other may find it aborted.
    assert_eq!((other.closed, other.aborted + other.timed_out), (2, 1));
    assert_closed_with(told, CloseCode::GOING_AWAY, "").await;
    assert_closed_with(later, CloseCode::GOING_AWAY, "").await;
    let again = soon(server.drain(drain(0, Duration::from_secs(20)))).await;
    assert_eq!((again.closed, again.timed_out), (0, 0));
}

/// The server can't even write the Close frame.
#[tokio::test]
async fn peer_that_reads_nothing_at_all_ends_with_the_close_timeout() {
    let mut settings = sockeye::Settings::default();
    settings.limits.close_timeout = Duration::from_millis(200);
    settings.outbox_bytes_max = 64 << 10;
    let server = echo_server().settings(settings).start().await.unwrap();
    let mut deaf = connect(server.local_addrs()[0]).await;
    deaf.write_all(request("/echo", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut deaf).await;
    let mut message = vec![0x82, 0xfe, 0x40, 0, 0, 0, 0, 0];
    message.extend([7; 0x4000]);
    let patience = Duration::from_millis(300);
    while let Ok(written) = timeout(patience, deaf.write_all(&message)).await {
        written.unwrap();
    }
    let report = soon(server.drain(drain(0, Duration::from_secs(20)))).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (0, 1, 0));
}
