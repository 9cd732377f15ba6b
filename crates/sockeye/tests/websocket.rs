//! The loop style over an in-memory stream.

mod in_memory;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use in_memory::{frame, generous, pair_with, server_and_wire};
use sockeye::{
    AppHeartbeat, CloseCode, ErrorKind, Message, MessageKind, Role, Settings, Side, WebSocket,
};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};

fn pair() -> (WebSocket, WebSocket) {
    pair_with(Settings::default(), Settings::default())
}

#[tokio::test]
async fn messages_arrive_in_order_in_both_directions() {
    let (mut server, mut client) = pair();
    for number in 0..100 {
        client.send(format!("to server {number}")).await.unwrap();
        server.send(&[number as u8; 3]).await.unwrap();
    }
    for number in 0..100 {
        let message = server.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some(&*format!("to server {number}")));
        let message = client.recv().await.unwrap().unwrap();
        assert_eq!(message, Message::from(&[number as u8; 3]));
    }
}

#[tokio::test]
async fn a_message_larger_than_every_buffer_arrives_whole() {
    let (mut server, mut client) = pair_with(generous(), generous());
    let big = vec![0xA5; 5 << 20];
    let (sent, received) = tokio::join!(client.send(&big), server.recv());
    sent.unwrap();
    assert_eq!(received.unwrap().unwrap().as_bytes(), big);
    let (sent, received) = tokio::join!(server.send(&big), client.recv());
    sent.unwrap();
    assert_eq!(received.unwrap().unwrap().as_bytes(), big);
}

#[tokio::test]
async fn clean_close_gives_none_and_both_ends_know_who_closed() {
    let (mut server, mut client) = pair();
    let (closed, received) = tokio::join!(client.close(CloseCode::NORMAL, "done"), server.recv());
    assert_eq!(received.unwrap(), None);
    assert!(closed.is_clean());
    assert_eq!((closed.by, closed.code), (Side::Us, CloseCode::NORMAL));
    let closed = server.closed().unwrap();
    assert!(closed.is_clean());
    assert_eq!((closed.by, &*closed.reason), (Side::Peer, "done"));
    assert_eq!(closed.received, Some(CloseCode::NORMAL));
    assert_eq!(server.recv().await.unwrap(), None);
    assert_eq!(
        server.send("late").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn hanging_up_without_a_close_frame_is_an_error_once() {
    let (mut server, wire) = server_and_wire();
    drop(wire);
    assert_eq!(server.recv().await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(server.recv().await.unwrap(), None);
    let closed = server.closed().unwrap();
    assert_eq!(
        (closed.by, closed.code),
        (Side::Network, CloseCode::ABNORMAL)
    );
    assert!(!closed.is_clean());
}

#[tokio::test]
async fn a_broken_rule_is_answered_with_its_code_and_reported() {
    let (mut server, mut wire) = server_and_wire();
    wire.write_all(&[0x81, 0x01, b'x']).await.unwrap();
    let error = server.recv().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let mut answer = [0; 4];
    wire.read_exact(&mut answer).await.unwrap();
    assert_eq!(
        (answer[0], &answer[2..]),
        (0x88, &1002_u16.to_be_bytes()[..])
    );
    assert_eq!(
        server.session().closed().await.sent,
        Some(CloseCode::PROTOCOL_ERROR)
    );
}

#[tokio::test]
async fn a_pong_leaves_while_nobody_receives() {
    let (server, mut wire) = server_and_wire();
    for payload in [&b"one"[..], b"two"] {
        wire.write_all(&frame(0x89, payload)).await.unwrap();
        let mut pong = [0; 5];
        wire.read_exact(&mut pong).await.unwrap();
        assert_eq!((pong[0], &pong[2..]), (0x8A, payload));
    }
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_while_nobody_receives() {
    let (server, mut wire) = server_and_wire();
    wire.write_all(&frame(0x81, b"unread")).await.unwrap();
    wire.write_all(&frame(0x88, &[0x03, 0xE8])).await.unwrap();
    let mut close = Vec::new();
    wire.read_to_end(&mut close).await.unwrap();
    assert_eq!(close, [0x88, 0x02, 0x03, 0xE8]);
    assert!(server.session().closed().await.is_clean());
}

#[tokio::test]
async fn what_came_before_the_close_can_still_be_answered() {
    let (mut server, mut wire) = server_and_wire();
    wire.write_all(&[frame(0x81, b"question"), frame(0x88, &[0x03, 0xE8])].concat())
        .await
        .unwrap();
    assert_eq!(server.recv().await.unwrap(), Some("question".into()));
    server.send("answer").await.unwrap();
    assert_eq!(server.recv().await.unwrap(), None);
    let mut answers = Vec::new();
    wire.read_to_end(&mut answers).await.unwrap();
    assert_eq!(
        answers,
        [&[0x81, 6][..], b"answer", &[0x88, 2, 0x03, 0xE8]].concat()
    );
}

#[tokio::test]
async fn what_came_before_a_broken_rule_can_still_be_answered() {
    let (mut server, mut wire) = server_and_wire();
    wire.write_all(&[frame(0x81, b"question"), frame(0x83, b"")].concat())
        .await
        .unwrap();
    assert_eq!(server.recv().await.unwrap(), Some("question".into()));
    server.send("answer").await.unwrap();
    assert_eq!(server.recv().await.unwrap_err().kind(), ErrorKind::Protocol);
    let mut answers = [0; 12];
    wire.read_exact(&mut answers).await.unwrap();
    assert_eq!(answers[..8], [&[0x81, 6][..], b"answer"].concat());
    assert_eq!((answers[8], &answers[10..]), (0x88, &[0x03, 0xEA][..]));
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_close_is_still_received() {
    let (mut server, mut wire) = server_and_wire();
    wire.write_all(&frame(0x81, b"last words")).await.unwrap();
    wire.write_all(&frame(0x88, &[])).await.unwrap();
    server.session().closed().await;
    assert_eq!(
        server.recv().await.unwrap(),
        Some(Message::from("last words"))
    );
    assert_eq!(server.recv().await.unwrap(), None);
    assert_eq!(server.closed().unwrap().code, CloseCode::NO_STATUS);
}

#[tokio::test]
async fn a_full_outbox_gives_the_message_back_and_send_waits() {
    let (server, mut client) = pair();
    let session = server.session().clone();
    let message = Message::from(vec![7; 100_000]);
    let mut taken = 0;
    let refused = loop {
        match session.try_send(&message) {
            Ok(()) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, sockeye::TrySendError::Full(message.as_ref()));
    assert!(session.buffered_bytes() <= Settings::default().outbox_bytes_max);
    let waiting = tokio::spawn(async move { session.send("after").await });
    for _ in 0..taken {
        assert_eq!(client.recv().await.unwrap().unwrap(), message);
    }
    assert_eq!(client.recv().await.unwrap(), Some(Message::from("after")));
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unread_inbox_stops_the_reading_and_loses_nothing() {
    let (mut server, client) = pair();
    let sending = tokio::spawn(async move {
        for number in 0..3000_u32 {
            client.send(vec![number as u8; 1000]).await.unwrap();
        }
        client
    });
    // One thread runs all tasks, so after this many yields the client waits: 3 MB don't fit 1 MiB of outbox, 1 MiB of
    // inbox and the pipe.
    for _ in 0..100_000 {
        tokio::task::yield_now().await;
    }
    assert!(!sending.is_finished());
    for number in 0..3000_u32 {
        let message = server.recv().await.unwrap().unwrap();
        assert_eq!(message, Message::from(vec![number as u8; 1000]));
    }
    drop(sending.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_our_close_is_left_after_the_timeout() {
    let (mut server, wire) = server_and_wire();
    let begin = tokio::time::Instant::now();
    let closed = server.close(CloseCode::GOING_AWAY, "").await;
    assert_eq!(
        begin.elapsed().as_secs(),
        Settings::default().limits.close_timeout.as_secs()
    );
    assert!(!closed.is_clean());
    assert_eq!(
        (closed.by, closed.sent),
        (Side::Us, Some(CloseCode::GOING_AWAY))
    );
    drop(wire);
}

#[tokio::test]
async fn dropping_the_websocket_says_going_away() {
    let (server, mut client) = pair();
    drop(server);
    assert_eq!(client.recv().await.unwrap(), None);
    assert_eq!(client.closed().unwrap().code, CloseCode::GOING_AWAY);
}

/// Holds a conversation without pauses, and then calls `recv` once more. Returns how often that call is polled until a
/// timer of the same thread ends it.
async fn polls_in_vain(busy_poll: Duration) -> usize {
    let mut settings = Settings::default();
    settings.busy_poll = busy_poll;
    let (mut server, mut client) = pair_with(settings, Settings::default());
    let echo = tokio::spawn(async move {
        while let Some(message) = client.recv().await.unwrap() {
            client.send(message).await.unwrap();
        }
    });
    for number in 0..200 {
        server.send(&[number]).await.unwrap();
        let answer = server.recv().await.unwrap();
        assert_eq!(answer, Some(Message::from(&[number])));
    }
    let mut polls = 0;
    {
        let mut recv = std::pin::pin!(server.recv());
        let counted = std::future::poll_fn(|cx| {
            polls += 1;
            recv.as_mut().poll(cx)
        });
        tokio::time::timeout(Duration::from_millis(20), counted)
            .await
            .expect_err("nothing comes");
    }
    server.send("last").await.unwrap();
    let answer = server.recv().await.unwrap();
    assert_eq!(answer, Some(Message::from("last")));
    server.close(CloseCode::NORMAL, "").await;
    echo.await.unwrap();
    polls
}

#[tokio::test]
async fn after_prompt_answers_recv_spins_and_the_threads_timers_still_run() {
    let polls = polls_in_vain(Duration::from_secs(3600)).await;
    assert!(polls > 100, "{polls}");
}

#[tokio::test]
async fn without_busy_poll_recv_is_not_polled_before_something_comes() {
    // Once at first, and once when the timer ends it.
    let polls = polls_in_vain(Duration::ZERO).await;
    assert!(polls <= 2, "{polls}");
}

/// Each byte comes alone, and `recv` is dropped and begun again at every point where it waits.
#[tokio::test]
async fn recv_cancelled_at_every_await_point_loses_nothing() {
    let (mut server, mut wire) = server_and_wire();
    let mut bytes = frame(0x01, b"frag");
    bytes.extend(frame(0x89, b"ping"));
    bytes.extend(frame(0x80, b"mented"));
    bytes.extend(frame(0x82, b"second"));
    bytes.extend(frame(0x88, &[0x03, 0xE8]));
    let mut received = Vec::new();
    let mut cancelled = 0;
    for byte in bytes {
        wire.write_all(&[byte]).await.unwrap();
        // Polls `recv` once or twice and then drops it: before and after the socket has woken it.
        for polls in 1..=2 {
            let mut recv = Box::pin(server.recv());
            let mut outcome = None;
            for _ in 0..polls {
                let polled =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(recv.as_mut().poll(cx))).await;
                if let std::task::Poll::Ready(result) = polled {
                    outcome = Some(result);
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(recv);
            match outcome {
                Some(result) => received.extend(result.unwrap()),
                None => cancelled += 1,
            }
        }
    }
    assert!(cancelled > 50, "{cancelled}");
    assert_eq!(
        received,
        [Message::from("fragmented"), Message::from(b"second")]
    );
    assert_eq!(server.recv().await.unwrap(), None);
    let mut answers = Vec::new();
    wire.read_to_end(&mut answers).await.unwrap();
    assert_eq!(
        answers,
        [&[0x8A, 0x04][..], b"ping", &[0x88, 0x02, 0x03, 0xE8]].concat()
    );
}

/// A wake-up that went to a `recv` which is then dropped must reach the background driver.
#[tokio::test]
async fn a_ping_is_answered_after_recv_was_cancelled() {
    let (mut server, mut wire) = server_and_wire();
    let mut recv = Box::pin(server.recv());
    let waits =
        std::future::poll_fn(|cx| std::task::Poll::Ready(recv.as_mut().poll(cx).is_pending()));
    assert!(waits.await);
    wire.write_all(&frame(0x89, b"a")).await.unwrap();
    drop(recv);
    let mut pong = [0; 3];
    let read = tokio::time::timeout(Duration::from_secs(10), wire.read_exact(&mut pong));
    read.await.unwrap().unwrap();
    assert_eq!(pong, [0x8A, 0x01, b'a']);
}

#[tokio::test]
async fn many_tasks_send_through_one_session() {
    let (server, mut client) = pair();
    let mut tasks = Vec::new();
    for task in 0..8_u8 {
        let session = server.session().clone();
        tasks.push(tokio::spawn(async move {
            for number in 0..200_u8 {
                session.send(&[task, number]).await.unwrap();
            }
        }));
    }
    let mut next = [0_u8; 8];
    for _ in 0..8 * 200 {
        let message = client.recv().await.unwrap().unwrap();
        let &[task, number] = message.as_bytes() else {
            panic!("{message:?}");
        };
        assert_eq!(next[task as usize], number);
        next[task as usize] += 1;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// The socket becomes readable again, with a ping, just as the task leaves `recv` with a message.
#[tokio::test]
async fn a_wake_up_while_recv_returns_is_not_lost() {
    let (written, mut writes) = tokio::sync::mpsc::unbounded_channel();
    let waker = Arc::<Mutex<Option<Waker>>>::default();
    let stream = ScriptedStream {
        waker: Arc::clone(&waker),
        reads: vec![
            Read::Nothing, // by the background driver, before `recv` is called
            Read::Bytes(frame(0x81, b"hi")),
            Read::NothingYet,
            Read::Bytes(frame(0x89, b"late")),
        ],
        written,
    };
    let mut server = WebSocket::from_stream(stream, Role::Server, Settings::default()).unwrap();
    tokio::task::yield_now().await;
    // `recv` waits when the socket becomes readable.
    let (message, ()) = tokio::join!(server.recv(), async {
        let waker = waker.lock().unwrap().take();
        waker.expect("the background driver has read").wake();
    });
    assert_eq!(message.unwrap(), Some("hi".into()));
    let write = tokio::time::timeout(Duration::from_secs(20), writes.recv()).await;
    assert_eq!(
        write.expect("no pong").unwrap(),
        [&[0x8A, 4][..], b"late"].concat()
    );
}

/// The result of one read.
enum Read {
    Bytes(Vec<u8>),
    /// Pending, until the test wakes the reader.
    Nothing,
    /// Pending, and the reader is woken before the read returns.
    NothingYet,
}

/// Returns the results in `reads` one after the other, and then nothing.
struct ScriptedStream {
    /// The waker of the read that returned `Nothing`.
    waker: Arc<Mutex<Option<Waker>>>,
    reads: Vec<Read>,
    written: tokio::sync::mpsc::UnboundedSender<Vec<u8>>,
}

impl AsyncRead for ScriptedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reads.is_empty() {
            return Poll::Pending;
        }
        match self.reads.remove(0) {
            Read::Bytes(bytes) => {
                buffer.put_slice(&bytes);
                return Poll::Ready(Ok(()));
            }
            Read::NothingYet => cx.waker().wake_by_ref(),
            Read::Nothing => *self.waker.lock().unwrap() = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl AsyncWrite for ScriptedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let _ = self.written.send(bytes.to_vec());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Lets every task run until it waits. One thread runs all tasks, and none needs so many yields.
async fn settle() {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_behind_a_stream_leave_it_room() {
    let mut tiny = Settings::default();
    tiny.outbox_bytes_max = 1000;
    let (server, mut client) = pair_with(tiny, Settings::default());
    let mut writer = server.send_stream(MessageKind::Binary).await.unwrap();
    let mut waiting = 0;
    while server.try_send(vec![1; 100]).is_ok() {
        waiting += 1;
    }
    let finished = tokio::spawn(async move {
        writer.write_all(&[2; 100_000]).await.unwrap();
        writer.finish().await.unwrap();
    });
    let streamed = timeout(client.recv()).await.unwrap().unwrap();
    assert_eq!(streamed, Message::from(vec![2; 100_000]));
    for _ in 0..waiting {
        let message = timeout(client.recv()).await.unwrap().unwrap();
        assert_eq!(message, Message::from(vec![1; 100]));
    }
    finished.await.unwrap();
}

/// Fails if `future` waits for ever: the clock is paused, and moves only when no task can run.
async fn timeout<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    let output = tokio::time::timeout(limit, future).await;
    output.expect("it waits for ever")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_websocket_leaves_no_task_behind() {
    for _ in 0..200 {
        let (server, client) = pair();
        tokio::spawn(async move { drop(server) });
        tokio::spawn(async move { drop(client) });
    }
    let metrics = tokio::runtime::Handle::current().metrics();
    let begin = std::time::Instant::now();
    while metrics.num_alive_tasks() > 0 {
        assert!(
            begin.elapsed() < 2 * Settings::default().limits.close_timeout,
            "{} tasks are left",
            metrics.num_alive_tasks()
        );
        tokio::task::yield_now().await;
    }
}

/// Returns its beginning and then zeros without end. Accepts every write.
struct Flood {
    begin: &'static [u8],
    _alive: std::sync::Arc<()>,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begin.is_empty() {
            buffer.initialize_unfilled();
            buffer.advance(buffer.remaining());
        } else {
            buffer.put_slice(std::mem::take(&mut self.begin));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_floods_after_its_close_is_left_after_the_timeout() {
    let alive = std::sync::Arc::new(());
    let flood = Flood {
        begin: &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8],
        _alive: alive.clone(),
    };
    let mut server = WebSocket::from_stream(flood, Role::Server, Settings::default()).unwrap();
    assert_eq!(server.recv().await.unwrap(), None);
    settle_few().await;
    tokio::time::advance(2 * Settings::default().limits.close_timeout).await;
    settle_few().await;
    assert_eq!(std::sync::Arc::strong_count(&alive), 1, "it is still read");
}

/// Lets every task run some times, where each time may read a megabyte.
async fn settle_few() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

struct Idle;

impl std::task::Wake for Idle {
    fn wake(self: std::sync::Arc<Self>) {}
}

#[tokio::test]
async fn a_dropped_wait_leaves_no_waker_behind() {
    let (server, client) = pair();
    let session = server.session();
    let idle = std::sync::Arc::new(Idle);
    let waker = std::task::Waker::from(idle.clone());
    let mut cx = Context::from_waker(&waker);
    while session.try_send(vec![1; 100_000]).is_ok() {}
    let held = std::sync::Arc::strong_count(&idle);
    for _ in 0..3 {
        let mut closed = std::pin::pin!(session.closed());
        assert!(closed.as_mut().poll(&mut cx).is_pending());
        let mut send = std::pin::pin!(session.send(vec![1; 100_000]));
        assert!(send.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(std::sync::Arc::strong_count(&idle), held);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn with_limits_of_zero_messages_still_pass() {
    let mut zero = Settings::default();
    zero.outbox_bytes_max = 0;
    zero.inbox_bytes_max = 0;
    let (mut server, mut client) = pair_with(zero.clone(), zero);
    let echo = tokio::spawn(async move {
        while let Some(message) = server.recv().await.unwrap() {
            server.send(message).await.unwrap();
        }
    });
    for number in 0..100 {
        timeout(client.send(format!("{number}"))).await.unwrap();
        timeout(client.send("")).await.unwrap();
        let message = timeout(client.recv()).await.unwrap();
        assert_eq!(message, Some(Message::from(format!("{number}"))));
        assert_eq!(timeout(client.recv()).await.unwrap(), Some("".into()));
    }
    timeout(client.close(CloseCode::NORMAL, "")).await;
    echo.await.unwrap();
}

#[test]
fn a_runtime_that_goes_down_ends_its_connections() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (server, client) = first.block_on(async { pair() });
    let session = server.session().clone();
    let group = sockeye::Group::new();
    group.join(&session);
    drop(server);
    drop(first);
    let closed = second.block_on(async {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, session.closed()).await
    });
    assert!(closed.is_ok(), "the end isn't reported");
    assert!(group.is_empty());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_pong_leaves_as_soon_as_the_inbox_has_room_again() {
    let (left, mut wire) = duplex(1 << 20);
    let mut settings = Settings::default();
    settings.inbox_bytes_max = 1000;
    let mut server = WebSocket::from_stream(left, Role::Server, settings).unwrap();
    for _ in 0..10 {
        wire.write_all(&frame(0x82, &[7; 100])).await.unwrap();
    }
    wire.write_all(&frame(0x89, b"are you there"))
        .await
        .unwrap();
    settle().await;
    for _ in 0..5 {
        timeout(server.recv()).await.unwrap().unwrap();
    }
    // From here on no task is in `recv`.
    let mut pong = [0; 15];
    timeout(wire.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong[2..], b"are you there");
}

#[tokio::test(start_paused = true)]
async fn a_pong_leaves_while_a_message_is_read_in_parts() {
    let (mut server, mut wire) = server_and_wire();
    wire.write_all(&frame(0x02, b"part")).await.unwrap();
    let mut reader = server.recv_stream().await.unwrap().unwrap();
    let mut part = [0; 4];
    reader.read_exact(&mut part).await.unwrap();
    // The reader gives up before the next part comes.
    let limit = Duration::from_millis(1);
    assert!(tokio::time::timeout(limit, reader.read_u8()).await.is_err());
    wire.write_all(&frame(0x89, b"p")).await.unwrap();
    let mut pong = [0; 3];
    timeout(wire.read_exact(&mut pong)).await.unwrap();
    assert_eq!(pong, [0x8a, 1, b'p']);
    wire.write_all(&frame(0x80, b"end")).await.unwrap();
    let mut rest = Vec::new();
    timeout(reader.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"end");
}

#[tokio::test]
async fn a_close_that_came_is_reported_although_nothing_can_be_sent_any_more() {
    let (mut server, mut wire) = server_and_wire();
    settle().await;
    wire.write_all(&frame(0x82, b"last words")).await.unwrap();
    let close = frame(0x88, &[0x03, 0xe9, b'b', b'y', b'e']);
    wire.write_all(&close).await.unwrap();
    drop(wire);
    // The peer has closed the stream; the server learns it when it writes.
    while server.try_send("are you there").is_ok() {}
    let message = server.recv().await.unwrap();
    assert_eq!(message, Some(Message::from(&b"last words"[..])));
    assert_eq!(server.recv().await.unwrap(), None);
    let closed = server.closed().unwrap();
    assert_eq!(
        (closed.by, closed.code),
        (Side::Peer, CloseCode::GOING_AWAY)
    );
    assert_eq!(closed.reason, "bye");
    assert!(!closed.is_clean());
}

/// Writes three questions in one write.
async fn ask_three(wire: &mut (impl AsyncWrite + Unpin)) {
    let three = [b"1", b"2", b"3"].map(|question| frame(0x82, question));
    wire.write_all(&three.concat()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn answers_to_a_part_of_a_batch_leave_although_recv_is_not_called_again() {
    let (mut server, mut wire) = server_and_wire();
    let (mut other, mut other_wire) = server_and_wire();
    ask_three(&mut wire).await;
    ask_three(&mut other_wire).await;
    for websocket in [&mut server, &mut other] {
        let question = timeout(websocket.recv()).await.unwrap().unwrap();
        websocket.send(question).await.unwrap();
    }
    let mut answer = [0; 3];
    for wire in [&mut wire, &mut other_wire] {
        timeout(wire.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, [0x82, 1, b'1']);
    }
    // The program is slow, and another task sends the second answer.
    let question = timeout(server.recv()).await.unwrap().unwrap();
    settle().await;
    let session = server.session().clone();
    tokio::spawn(async move { session.send(question).await });
    timeout(wire.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, [0x82, 1, b'2']);
}

#[tokio::test(start_paused = true)]
async fn the_answers_to_a_batch_leave_in_one_write_although_its_last_message_has_none() {
    let (mut server, mut wire) = server_and_wire();
    ask_three(&mut wire).await;
    settle().await;
    for number in 1..=3 {
        let question = timeout(server.recv()).await.unwrap().unwrap();
        if number < 3 {
            server.send(question).await.unwrap();
        }
    }
    let mut answers = [0; 10];
    let count = timeout(wire.read(&mut answers)).await.unwrap();
    assert_eq!(answers[..count], [0x82, 1, b'1', 0x82, 1, b'2']);
}

#[tokio::test]
async fn a_conversation_that_echoes_is_a_small_future() {
    async fn echo(mut websocket: WebSocket) -> Result<(), sockeye::Error> {
        while let Some(message) = websocket.recv().await? {
            websocket.send(message).await?;
        }
        Ok(())
    }
    let (server, _wire) = server_and_wire();
    let bytes = size_of_val(&echo(server));
    assert!(bytes <= 240, "{bytes}");
}

/// A stream that counts its writes.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn the_drive_queue_leaves_a_batch_to_a_task_that_has_been_woken_to_read_it() {
    let (left, wire) = duplex(1 << 20);
    let (mut answers, mut questions) = tokio::io::split(wire);
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Counted(left, Arc::clone(&writes));
    let mut server = WebSocket::from_stream(counted, Role::Server, Settings::default()).unwrap();
    tokio::spawn(async move {
        while let Ok(Some(question)) = server.recv().await {
            server.send(question).await.unwrap();
        }
    });
    // The task waits in `recv`.
    settle().await;
    ask_three(&mut questions).await;
    // This task runs between the task in `recv` and the drive queue that `recv` has scheduled.
    tokio::spawn(async move {
        ask_three(&mut questions).await;
        questions
    });
    let mut both = [0; 18];
    timeout(answers.read_exact(&mut both)).await.unwrap();
    assert_eq!(writes.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_app_heartbeat_is_answered_while_recv_is_not_called() {
    let mut settings = Settings::default();
    settings.app_heartbeat = Some(AppHeartbeat::default());
    let (mut server, mut client) = pair_with(settings, Settings::default());
    for message in ["ping", "question", "ping"] {
        client.send(message).await.unwrap();
    }
    // The server's program doesn't call `recv`.
    for _ in 0..2 {
        assert_eq!(client.recv().await.unwrap(), Some("pong".into()));
    }
    assert_eq!(server.recv().await.unwrap(), Some("question".into()));
    // While messages are received in parts, a heartbeat is answered if it is a whole message.
    client.send("ping").await.unwrap();
    let mut writer = client.send_stream(MessageKind::Text).await.unwrap();
    for part in [&b"pi"[..], b"ping"] {
        writer.write_all(part).await.unwrap();
        writer.flush().await.unwrap();
    }
    writer.write_all(b"ping").await.unwrap();
    writer.finish().await.unwrap();
    let mut reader = server.recv_stream().await.unwrap().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "pipingping");
    drop(reader);
    assert_eq!(client.recv().await.unwrap(), Some("pong".into()));
    // The client has no app heartbeat, and receives the message.
    server.send("ping").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("ping".into()));
}
