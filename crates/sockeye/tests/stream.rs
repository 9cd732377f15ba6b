//! `Stream`, `Sink` and `poll_recv` over an in-memory stream.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_util::{Sink, SinkExt, StreamExt as _, stream};
use sockeye::{CloseCode, ErrorKind, Message, Role, Settings, Side, WebSocket};
use tokio::{io::duplex, time::timeout};

/// Bytes of the pipe. Small, so that large messages meet back-pressure.
const PIPE_BYTES: usize = 16 << 10;

fn pair_with(settings: Settings) -> (WebSocket, WebSocket) {
    let (left, right) = duplex(PIPE_BYTES);
    let server = WebSocket::from_stream(left, Role::Server, settings.clone()).unwrap();
    let client = WebSocket::from_stream(right, Role::Client, settings).unwrap();
    (server, client)
}

fn pair() -> (WebSocket, WebSocket) {
    pair_with(Settings::default())
}

async fn soon<F: Future>(future: F) -> F::Output {
    let within = timeout(Duration::from_secs(20), future);
    within.await.expect("something happens")
}

fn message(number: usize) -> Message<'static> {
    format!("message {number}").into()
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_websocket_forwarded_to_itself_in_two_halves_is_an_echo_that_closes_with_its_peer() {
    let (server, mut client) = pair();
    let (sink, messages) = server.split();
    let echo = tokio::spawn(messages.forward(sink));
    for number in 0..100 {
        client.send(message(number)).await.unwrap();
    }
    for number in 0..100 {
        let echoed = soon(client.next()).await.unwrap().unwrap();
        assert_eq!(echoed, message(number));
    }
    let closed = soon(client.close(CloseCode::NORMAL, "enough")).await;
    assert_eq!((closed.by, closed.code), (Side::Us, CloseCode::NORMAL));
    soon(echo).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_sink_takes_all_of_a_stream_however_slowly_the_peer_reads() {
    let mut settings = Settings::default();
    settings.outbox_bytes_max = 10_000;
    let (mut server, mut client) = pair_with(settings);
    let sending = tokio::spawn(async move {
        let mut messages = stream::iter((0..100).map(|_| Ok(vec![7; 5_000].into())));
        server.send_all(&mut messages).await.unwrap();
        SinkExt::close(&mut server).await.unwrap();
        server
    });
    let mut count = 0;
    while let Some(received) = soon(client.next()).await {
        assert_eq!(received.unwrap(), Message::from(vec![7; 5_000]));
        count += 1;
    }
    assert_eq!(count, 100);
    soon(sending).await.unwrap();
}

#[tokio::test]
async fn a_sink_over_a_full_outbox_keeps_one_message_and_is_not_ready_for_another() {
    let mut settings = Settings::default();
    settings.outbox_bytes_max = 1_000;
    let (server, mut client) = pair_with(settings);
    let mut sink = pin!(server);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut taken = 0;
    while Pin::as_mut(&mut sink).poll_ready(cx).is_ready() {
        let sent = Pin::as_mut(&mut sink).start_send(vec![taken; 10_000].into());
        sent.unwrap();
        taken += 1;
    }
    assert!(Pin::as_mut(&mut sink).poll_flush(cx).is_pending());
    for number in 0..taken {
        let received = soon(client.next()).await.unwrap().unwrap();
        assert_eq!(received, Message::from(vec![number; 10_000]));
        // The sink sends the message that it keeps only when it is polled.
        let _ = Pin::as_mut(&mut sink).poll_flush(cx);
    }
    assert!(Pin::as_mut(&mut sink).poll_ready(cx).is_ready());
}

#[tokio::test]
async fn closing_the_sink_tells_the_peer_1000_and_leaves_the_stream_to_its_end() {
    let (mut server, mut client) = pair();
    SinkExt::send(&mut server, "last".into()).await.unwrap();
    soon(SinkExt::close(&mut server)).await.unwrap();
    // Closing a second time isn't an error.
    soon(SinkExt::close(&mut server)).await.unwrap();
    let refused = SinkExt::send(&mut server, "late".into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
    assert_eq!(soon(client.next()).await.unwrap().unwrap(), "last".into());
    assert!(soon(client.next()).await.is_none());
    assert_eq!(client.closed().unwrap().code, CloseCode::NORMAL);
    assert!(soon(server.next()).await.is_none());
    assert_eq!(server.closed().unwrap().by, Side::Us);
}

#[tokio::test]
async fn an_end_that_is_not_normal_is_the_last_item() {
    let (mut server, client) = pair();
    client.session().close(CloseCode::INTERNAL_ERROR, "broken");
    let error = soon(server.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.closed().unwrap().code, CloseCode::INTERNAL_ERROR);
    assert!(soon(server.next()).await.is_none());
    assert!(soon(server.next()).await.is_none());
}

#[tokio::test]
async fn a_task_that_polled_is_woken_when_a_message_has_come_and_recv_takes_it() {
    let (mut server, client) = pair();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let polled = server.poll_recv(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let before = count.0.load(Ordering::SeqCst);
    client.send("hello").await.unwrap();
    soon(async {
        while count.0.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let received = soon(server.recv()).await.unwrap().unwrap();
    assert_eq!(received.as_text(), Some("hello"));
}

#[tokio::test]
async fn polling_once_and_never_again_keeps_pings_answered() {
    let (mut server, mut client) = pair();
    let polled = server.poll_recv(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
    let (pongs, mut heard) = tokio::sync::mpsc::unbounded_channel();
    client.on_control(move |control| {
        let _ = pongs.send(format!("{control:?}"));
    });
    client.ping(b"there?").unwrap();
    let pong = soon(heard.recv()).await.unwrap();
    assert!(pong.starts_with("Pong"), "{pong}");
}
