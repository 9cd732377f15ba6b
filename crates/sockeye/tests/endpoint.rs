//! The callback style over an in-memory stream.

use std::sync::{Arc, Mutex};

use sockeye::{
    AppHeartbeat, CloseCode, Closed, Endpoint, Error, Group, Message, MessageKind, Prepared, Reply,
    Role, Session, Settings, Side, WebSocket,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::mpsc,
};

/// Records its calls. The text of a message decides the answer.
struct Recorder {
    heard: mpsc::UnboundedSender<String>,
}

impl Recorder {
    fn note(&self, line: impl Into<String>) {
        let _ = self.heard.send(line.into());
    }
}

impl Endpoint for Recorder {
    fn on_open(&mut self, session: &Session) {
        self.note("open");
        session.try_send("welcome").unwrap();
    }

    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        self.note(format!("message {:?}", message.as_text()));
        match message.as_text() {
            Some("close") => Reply::Close(CloseCode::POLICY_VIOLATION, "asked for".into()),
            Some("answer") => Reply::Message("answer".into()),
            Some("panic") => panic!("the endpoint was told to panic"),
            Some("nothing") => Reply::None,
            _ => Reply::Echo,
        }
    }

    fn on_ping(&mut self, _: &Session, payload: &[u8]) {
        self.note(format!("ping {payload:?}"));
    }

    fn on_pong(&mut self, _: &Session, payload: &[u8]) {
        self.note(format!("pong {payload:?}"));
    }

    fn on_close(&mut self, _: &Session, closed: &Closed) {
        self.note(format!("close {closed}"));
    }

    fn on_error(&mut self, _: &Session, error: &Error) {
        self.note(format!("error {:?}", error.kind()));
    }
}

struct Heard(mpsc::UnboundedReceiver<String>);

impl Heard {
    async fn next(&mut self) -> String {
        self.0.recv().await.unwrap_or_else(|| "(gone)".into())
    }
}

fn recorder() -> (WebSocket, Session, Heard) {
    let (heard, hears) = mpsc::unbounded_channel();
    let (left, right) = duplex(64 << 10);
    let session =
        Session::from_stream(left, Role::Server, Settings::default(), Recorder { heard }).unwrap();
    let client = WebSocket::from_stream(right, Role::Client, Settings::default()).unwrap();
    (client, session, Heard(hears))
}

#[tokio::test]
async fn callbacks_come_in_order_and_replies_are_sent() {
    let (mut client, _, mut heard) = recorder();
    assert_eq!(heard.next().await, "open");
    assert_eq!(client.recv().await.unwrap(), Some("welcome".into()));
    for text in ["nothing", "answer", "echo me"] {
        client.send(text).await.unwrap();
    }
    client.ping(b"p").unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("answer".into()));
    assert_eq!(client.recv().await.unwrap(), Some("echo me".into()));
    client.close(CloseCode::NORMAL, "bye").await;
    for expected in [
        "message Some(\"nothing\")",
        "message Some(\"answer\")",
        "message Some(\"echo me\")",
        "ping [112]",
        "close closed by the peer with 1000 (bye)",
        "(gone)",
    ] {
        assert_eq!(heard.next().await, expected);
    }
}

/// Replies in upper case, and leaves all other callbacks to the endpoint that it wraps.
struct Shouting(Recorder);

impl Endpoint for Shouting {
    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        let text = message.as_text().unwrap_or_default();
        Reply::Message(text.to_uppercase().into())
    }

    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        Some(&mut self.0)
    }
}

#[tokio::test]
async fn a_wrapped_endpoint_gets_the_callbacks_that_its_wrapper_does_not_define() {
    let (heard, hears) = mpsc::unbounded_channel();
    let mut heard_by_wrapped = Heard(hears);
    let (left, right) = duplex(64 << 10);
    let endpoint = Shouting(Recorder { heard });
    Session::from_stream(left, Role::Server, Settings::default(), endpoint).unwrap();
    let mut client = WebSocket::from_stream(right, Role::Client, Settings::default()).unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("welcome".into()));
    client.send("hello").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("HELLO".into()));
    client.ping(b"p").unwrap();
    client.close(CloseCode::NORMAL, "bye").await;
    for expected in [
        "open",
        "ping [112]",
        "close closed by the peer with 1000 (bye)",
        "(gone)",
    ] {
        assert_eq!(heard_by_wrapped.next().await, expected);
    }
}

#[tokio::test]
async fn an_endpoint_closes_with_its_own_code() {
    let (mut client, session, _) = recorder();
    client.send("close").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("welcome".into()));
    let error = client.recv().await.unwrap_err();
    let closed = error.closed().unwrap();
    assert_eq!(
        (closed.code, &*closed.reason),
        (CloseCode::POLICY_VIOLATION, "asked for")
    );
    let closed = session.closed().await;
    assert_eq!(closed.by, Side::Us);
    assert!(closed.is_clean());
}

#[tokio::test]
async fn a_panicking_endpoint_ends_its_own_session_only() {
    let (mut client, session, mut heard) = recorder();
    client.send("panic").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("welcome".into()));
    let error = client.recv().await.unwrap_err();
    assert_eq!(error.closed().unwrap().code, CloseCode::INTERNAL_ERROR);
    assert_eq!(session.closed().await.code, CloseCode::INTERNAL_ERROR);
    assert!(!session.is_open());
    for expected in [
        "open",
        "message Some(\"panic\")",
        "close closed by us with 1011",
        "(gone)",
    ] {
        assert_eq!(heard.next().await, expected);
    }
}

/// Panics in the callback that it is named after.
struct Bomb(&'static str, mpsc::UnboundedSender<&'static str>);

impl Bomb {
    fn call(&self, callback: &'static str) {
        let _ = self.1.send(callback);
        assert_ne!(callback, self.0, "told to");
    }
}

impl Endpoint for Bomb {
    fn on_open(&mut self, _: &Session) {
        self.call("open");
    }

    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        self.call("message");
        Reply::Echo
    }

    fn on_close(&mut self, _: &Session, _: &Closed) {
        self.call("close");
    }

    fn on_error(&mut self, _: &Session, _: &Error) {
        self.call("error");
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.call("drop");
    }
}

#[tokio::test]
async fn whatever_panics_in_a_task_close_is_the_last_call_and_comes_once() {
    let all: &[&str] = &["open", "message", "error", "close", "drop"];
    for role in [Role::Server, Role::Client] {
        for (callback, expected) in [
            ("open", &["open", "close", "drop"][..]),
            ("message", &["open", "message", "close", "drop"]),
            ("error", all),
            ("close", all),
            ("drop", all),
        ] {
            let (calls, mut called) = mpsc::unbounded_channel();
            let (left, right) = duplex(64 << 10);
            let bomb = Bomb(callback, calls);
            let session = Session::from_stream(left, role, Settings::default(), bomb).unwrap();
            let group = Group::new();
            group.join(&session);
            let mut peer = WebSocket::from_stream(right, role.peer(), Settings::default()).unwrap();
            // The second message breaks a rule: it is too large.
            let too_big = vec![0; Settings::default().limits.message_bytes_max + 1];
            for message in [Message::from("question"), Message::from(too_big)] {
                // The connection may be closed already.
                let _ = peer.send(message).await;
            }
            let code = match callback {
                "open" | "message" => CloseCode::INTERNAL_ERROR,
                _ => CloseCode::MESSAGE_TOO_BIG,
            };
            let end = loop {
                if let Err(error) = peer.recv().await {
                    break error;
                }
            };
            assert_eq!(end.closed().unwrap().code, code, "{callback}");
            let mut calls = Vec::new();
            while let Some(call) = called.recv().await {
                calls.push(call);
            }
            assert_eq!(calls, expected, "{callback}");
            assert!(group.is_empty());
        }
    }
}

#[tokio::test]
async fn errors_come_before_the_close() {
    let (heard, hears) = mpsc::unbounded_channel();
    let mut heard_lines = Heard(hears);
    let (left, mut wire) = duplex(1 << 10);
    Session::from_stream(left, Role::Server, Settings::default(), Recorder { heard }).unwrap();
    wire.write_all(&[0xC1, 0x80, 0, 0, 0, 0]).await.unwrap();
    let mut answer = Vec::new();
    wire.shutdown().await.unwrap();
    wire.read_to_end(&mut answer).await.unwrap();
    assert_eq!(heard_lines.next().await, "open");
    assert_eq!(heard_lines.next().await, "error Protocol");
    assert_eq!(
        heard_lines.next().await,
        "close closed by us with 1002 (reserved bit set)"
    );
    assert_eq!(heard_lines.next().await, "(gone)");
}

/// The replies to a batch leave in one write, whatever its size.
#[tokio::test]
async fn replies_to_one_read_go_out_in_one_write() {
    let writes = Arc::new(Mutex::new(Vec::new()));
    let mut input = Vec::new();
    for number in 0..100_u8 {
        input.extend_from_slice(&[0x82, 0x81, 0, 0, 0, 0, number]);
    }
    let (_keep_open, silent) = tokio::io::duplex(1);
    let stream = CountingStream {
        input,
        silent,
        writes: Arc::clone(&writes),
    };
    struct Echo;
    impl Endpoint for Echo {
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::Echo
        }
    }
    let session = Session::from_stream(stream, Role::Server, Settings::default(), Echo).unwrap();
    while writes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*writes.lock().unwrap(), [300]);
    drop(session);
}

/// Returns its input in one read and then nothing. Records the size of each write.
struct CountingStream {
    input: Vec<u8>,
    silent: tokio::io::DuplexStream,
    writes: Arc<Mutex<Vec<usize>>>,
}

impl tokio::io::AsyncRead for CountingStream {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if self.input.is_empty() {
            return std::pin::Pin::new(&mut self.silent).poll_read(cx, buffer);
        }
        buffer.put_slice(&std::mem::take(&mut self.input));
        std::task::Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for CountingStream {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.writes.lock().unwrap().push(bytes.len());
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

fn member(group: &Group) -> (WebSocket, Session) {
    let (left, right) = duplex(4 << 10);
    let settings = Settings::default();
    struct Silent;
    impl Endpoint for Silent {
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::None
        }
    }
    let session = Session::from_stream(left, Role::Server, settings.clone(), Silent).unwrap();
    group.join(&session);
    (
        WebSocket::from_stream(right, Role::Client, settings).unwrap(),
        session,
    )
}

#[tokio::test]
async fn a_group_sends_to_its_members_and_not_to_those_who_left() {
    let group = Group::new();
    let (mut first, first_session) = member(&group);
    let (mut second, second_session) = member(&group);
    group.join(&first_session);
    assert_eq!(group.send("all"), 2);
    assert_eq!(group.send_except(&first_session, "not the first"), 1);
    group.leave(&second_session);
    assert_eq!(group.send("first only"), 1);
    assert_eq!(first.recv().await.unwrap(), Some("all".into()));
    assert_eq!(first.recv().await.unwrap(), Some("first only".into()));
    assert_eq!(second.recv().await.unwrap(), Some("all".into()));
    assert_eq!(second.recv().await.unwrap(), Some("not the first".into()));
}

#[tokio::test]
async fn an_ended_session_leaves_its_groups() {
    let group = Group::new();
    let (mut client, session) = member(&group);
    assert_eq!(group.len(), 1);
    client.close(CloseCode::NORMAL, "").await;
    session.closed().await;
    while !group.is_empty() {
        tokio::task::yield_now().await;
    }
    group.join(&session);
    assert!(group.is_empty());
}

#[tokio::test]
async fn a_member_that_does_not_read_is_closed_and_the_others_notice_nothing() {
    let group = Group::new();
    let (stuck, stuck_session) = member(&group);
    let (mut reader, _reader_session) = member(&group);
    let message = Prepared::new(vec![1_u8; 100_000]);
    // 1 MiB of outbox and 1 MiB of inbox hold less than 30 of these.
    for _ in 0..30 {
        group.send_prepared(&message);
        assert_eq!(reader.recv().await.unwrap().unwrap(), *message.message());
    }
    assert!(!stuck_session.is_open());
    drop(stuck);
}

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_reads_on_after_a_stream_that_its_replies_waited_for() {
    let (left, right) = duplex(64 << 10);
    let mut tiny = Settings::default();
    tiny.outbox_bytes_max = 100;
    let session = Session::from_stream(left, Role::Server, tiny, Echo).unwrap();
    let mut client = WebSocket::from_stream(right, Role::Client, Settings::default()).unwrap();
    let writer = session.send_stream(MessageKind::Binary).await.unwrap();
    for number in 0..50_u8 {
        client.send(vec![number; 50]).await.unwrap();
    }
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    writer.finish().await.unwrap();
    let limit = std::time::Duration::from_secs(60);
    assert_eq!(client.recv().await.unwrap(), Some(Message::from(vec![])));
    for number in 0..50_u8 {
        let echo = tokio::time::timeout(limit, client.recv()).await;
        let echo = echo.expect("it reads no more").unwrap();
        assert_eq!(echo, Some(Message::from(vec![number; 50])));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_reads_on_when_its_large_answer_is_out() {
    const LARGE: usize = 256 << 10;
    // The client's inbox takes less than that.
    const MESSAGES: u8 = 20;
    let (left, right) = duplex(64 << 10);
    let mut huge = Settings::default();
    huge.outbox_bytes_max = 1 << 30;
    let session = Session::from_stream(left, Role::Server, huge.clone(), Echo).unwrap();
    let mut client = WebSocket::from_stream(right, Role::Client, huge).unwrap();
    for number in 0..MESSAGES {
        client.try_send(vec![number; LARGE]).unwrap();
    }
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    let waiting = session.buffered_bytes();
    assert!((1..=LARGE + 10).contains(&waiting), "{waiting} bytes wait");
    for number in 0..MESSAGES {
        assert!(session.buffered_bytes() <= LARGE + 10);
        let echo = client.recv().await.unwrap();
        assert!(echo == Some(Message::from(vec![number; LARGE])));
    }
}

#[tokio::test]
async fn a_lost_connection_is_not_open_when_the_endpoint_hears_of_it() {
    struct Looks(mpsc::UnboundedSender<bool>);
    impl Endpoint for Looks {
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::None
        }

        fn on_error(&mut self, session: &Session, _: &Error) {
            self.0.send(session.is_open()).unwrap();
        }

        fn on_close(&mut self, session: &Session, _: &Closed) {
            self.0.send(session.is_open()).unwrap();
        }
    }
    let (left, right) = duplex(1 << 10);
    let (looks, mut seen) = mpsc::unbounded_channel();
    let settings = Settings::default();
    let _session = Session::from_stream(left, Role::Server, settings, Looks(looks)).unwrap();
    drop(right);
    assert_eq!(seen.recv().await, Some(false));
    assert_eq!(seen.recv().await, Some(false));
}

#[tokio::test]
async fn the_peer_of_a_panicking_endpoint_is_told_1011() {
    let (mut client, _, _heard) = recorder();
    client.send("echo first").await.unwrap();
    client.send("panic").await.unwrap();
    while let Ok(Some(_)) = client.recv().await {}
    assert_eq!(
        client.closed().unwrap().received,
        Some(CloseCode::INTERNAL_ERROR)
    );
}

/// An endpoint may do anything to its own session and to its groups from within a call.
#[tokio::test]
async fn an_endpoint_may_join_leave_send_and_close_within_a_call() {
    struct Restless(Group);
    impl Endpoint for Restless {
        fn on_open(&mut self, session: &Session) {
            self.0.join(session);
            self.0.send("hello");
        }

        fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
            session.try_send("to itself").unwrap();
            self.0.send(message);
            self.0.leave(session);
            self.0.join(session);
            session.ping(b"").unwrap();
            session.close(CloseCode::NORMAL, "enough");
            self.0.send("too late");
            Reply::Echo
        }

        fn on_close(&mut self, session: &Session, _: &Closed) {
            assert!(self.0.is_empty());
            self.0.join(session);
            assert!(self.0.is_empty());
            assert!(session.try_send("over").is_err());
        }
    }
    let group = Group::new();
    let (left, right) = duplex(1 << 10);
    let endpoint = Restless(group.clone());
    let settings = Settings::default();
    let session = Session::from_stream(left, Role::Server, settings.clone(), endpoint).unwrap();
    let mut client = WebSocket::from_stream(right, Role::Client, settings).unwrap();
    client.send("all").await.unwrap();
    for expected in ["hello", "to itself", "all"] {
        assert_eq!(client.recv().await.unwrap(), Some(expected.into()));
    }
    assert_eq!(client.recv().await.unwrap(), None);
    assert!(session.closed().await.is_clean());
}

#[tokio::test]
async fn an_app_heartbeat_is_answered_and_not_heard() {
    let mut settings = Settings::default();
    settings.app_heartbeat = Some(AppHeartbeat {
        ping: "are you there?".into(),
        pong: "yes".into(),
    });
    for role in [Role::Server, Role::Client] {
        let (heard, hears) = mpsc::unbounded_channel();
        let (left, right) = duplex(64 << 10);
        let recorder = Recorder { heard };
        Session::from_stream(left, role, settings.clone(), recorder).unwrap();
        let mut peer = WebSocket::from_stream(right, role.peer(), Settings::default()).unwrap();
        for message in ["are you there?", "echo me", "ping", "are you there? "] {
            peer.send(message).await.unwrap();
        }
        // Binary is no text.
        peer.send(b"are you there?").await.unwrap();
        peer.send("are you there?").await.unwrap();
        for answer in ["welcome", "yes", "echo me", "ping", "are you there? "] {
            assert_eq!(peer.recv().await.unwrap(), Some(answer.into()));
        }
        let echo = peer.recv().await.unwrap();
        assert_eq!(echo, Some(Message::from(b"are you there?")));
        assert_eq!(peer.recv().await.unwrap(), Some("yes".into()));
        let mut heard = Heard(hears);
        for expected in [
            "open",
            "message Some(\"echo me\")",
            "message Some(\"ping\")",
            "message Some(\"are you there? \")",
            "message None",
        ] {
            assert_eq!(heard.next().await, expected);
        }
    }
}
