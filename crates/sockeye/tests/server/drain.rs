//! Emptying a server.

use std::time::Duration;

use sockeye::{CloseCode, Closed, Drain, Route, Server};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinHandle, time::Instant};

use crate::support::{
    attend, connect, echo_server, open, read_head, read_to_end, request, soon, status_of,
};

fn drain(per_second: u32, timeout: Duration) -> Drain {
    let mut drain = Drain::default();
    drain.per_second = per_second;
    drain.timeout = timeout;
    drain
}

async fn assert_told(attending: JoinHandle<Closed>, code: CloseCode, reason: &str) {
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
        assert_told(websocket, CloseCode::GOING_AWAY, "moving").await;
    }
    assert!(TcpStream::connect(addr).await.is_err());
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
    // Six at twenty per second: the last one a quarter of a second after the first.
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert!(report.elapsed >= Duration::from_millis(250));
}

#[tokio::test]
async fn peer_that_does_not_answer_is_cut_at_the_timeout() {
    let server = echo_server().start().await.unwrap();
    let addr = server.local_addrs()[0];
    let good = attend(open(addr, "/echo", &[]).await.0);
    // Opens a WebSocket, and never reads a frame.
    let mut deaf = connect(addr).await;
    deaf.write_all(request("/echo", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut deaf).await;
    let report = soon(server.drain(drain(0, Duration::from_secs(3)))).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (1, 0, 1));
    assert_told(good, CloseCode::GOING_AWAY, "").await;
    // Its socket ends, too.
    let mut rest = Vec::new();
    let _ = soon(tokio::io::AsyncReadExt::read_to_end(&mut deaf, &mut rest)).await;
    assert_eq!(rest, b"\x88\x02\x03\xe9");
}

#[tokio::test]
async fn conversation_that_does_not_end_is_cut_at_the_timeout() {
    let route = Route::conversation("/", |_request, websocket| async move {
        std::future::pending::<()>().await;
        drop(websocket);
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let mut deaf = connect(server.local_addrs()[0]).await;
    deaf.write_all(request("/", &[]).as_bytes()).await.unwrap();
    read_head(&mut deaf).await;
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
        // The Close frame has come, and is not answered.
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
async fn handshake_under_way_is_told_to_come_back() {
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
