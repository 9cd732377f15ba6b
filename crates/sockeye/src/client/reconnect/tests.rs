//! A reconnecting client in simulated time, against a server whose answers the test decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockeye_proto::{CloseCode, Message, Role};
use tokio::{
    io::duplex,
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{supervisor::Dial, *};
use crate::{
    connection::{Session, TrySendError},
    error::{Error, ErrorKind},
    settings::Settings,
    websocket::WebSocket,
};

/// The server's end: receives the attempts of the client.
struct Server(mpsc::UnboundedReceiver<oneshot::Sender<Result<WebSocket, Error>>>);

fn start(policy: Policy) -> (Reconnecting, Server) {
    let (sender, attempts) = mpsc::unbounded_channel();
    let dial = Dial::new(move || {
        let (answer, answered) = oneshot::channel();
        sender.send(answer).unwrap();
        async move { answered.await.unwrap() }
    });
    (Reconnecting::start(dial, policy), Server(attempts))
}

impl Server {
    /// Waits for an attempt and opens a connection. Returns the server's end of it.
    async fn accept(&mut self) -> WebSocket {
        let (ours, theirs) = duplex(64 << 10);
        let settings = Settings::default;
        let client = WebSocket::from_stream(theirs, Role::Client, settings());
        self.answer(client).await;
        WebSocket::from_stream(ours, Role::Server, settings()).unwrap()
    }

    async fn refuse(&mut self) {
        self.answer(Err(Error::new(ErrorKind::Io, "refused"))).await;
    }

    async fn answer(&mut self, answer: Result<WebSocket, Error>) {
        self.0.recv().await.unwrap().send(answer).ok().unwrap();
    }
}

async fn connected(feed: &mut Reconnecting) -> Session {
    match feed.next().await {
        Some(Event::Connected(session)) => session,
        other => panic!("{other:?}"),
    }
}

async fn disconnected(feed: &mut Reconnecting) -> (Outage, Option<Duration>) {
    match feed.next().await {
        Some(Event::Disconnected { closed, retry_in }) => (closed, retry_in),
        other => panic!("{other:?}"),
    }
}

async fn message(feed: &mut Reconnecting) -> String {
    match feed.next().await {
        Some(Event::Message(message)) => message.as_text().unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn dropped(feed: &mut Reconnecting) -> (String, Reason) {
    match feed.next().await {
        Some(Event::Dropped(dropped)) => (
            dropped.message.as_text().unwrap().to_owned(),
            dropped.reason,
        ),
        other => panic!("{other:?}"),
    }
}

async fn heard(server: &mut WebSocket) -> String {
    let message = server.recv().await.unwrap().unwrap();
    message.as_text().unwrap().to_owned()
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_announced_and_replaced_in_the_time_announced() {
    let (mut feed, mut server) = start(Policy::new());
    for round in 0..20 {
        let mut peer = server.accept().await;
        connected(&mut feed).await;
        peer.send("hello").await.unwrap();
        assert_eq!(message(&mut feed).await, "hello");
        // Long enough to count as a connection.
        tokio::time::sleep(10 * SECOND).await;
        peer.send("bye").await.unwrap();
        let at = Instant::now();
        if round % 2 == 0 {
            let session = peer.session().clone();
            session.close(CloseCode::SERVICE_RESTART, "retry_ms=700");
            tokio::spawn(async move { while let Ok(Some(_)) = peer.recv().await {} });
        } else {
            drop(peer);
        }
        // What was received before the end comes before the event of the end.
        assert_eq!(message(&mut feed).await, "bye");
        let (outage, retry_in) = disconnected(&mut feed).await;
        let retry_in = retry_in.unwrap();
        let hint = outage.retry_hint(std::time::UNIX_EPOCH).unwrap_or_default();
        assert_eq!(hint.as_millis(), if round % 2 == 0 { 700 } else { 0 });
        assert!(hint <= retry_in && retry_in < hint + SECOND / 2);
        server.refuse().await;
        let waited = at.elapsed();
        assert!(retry_in <= waited && waited < retry_in + SECOND / 100);
        let (outage, retry_in) = disconnected(&mut feed).await;
        assert_eq!(outage.to_string(), "refused");
        assert!(retry_in.unwrap() < SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_that_falls_silent_is_noticed_by_the_heartbeat() {
    let (mut feed, mut server) = start(Policy::new());
    let (silence, theirs) = duplex(64 << 10);
    let client = WebSocket::from_stream(theirs, Role::Client, Settings::default());
    server.answer(client).await;
    connected(&mut feed).await;
    let at = Instant::now();
    let (outage, retry_in) = disconnected(&mut feed).await;
    let heartbeat = Settings::default().heartbeat.unwrap();
    assert!(at.elapsed() <= heartbeat.interval + heartbeat.timeout + SECOND);
    let error = outage.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Heartbeat);
    // The connection has lasted long enough to count as a success.
    assert!(retry_in.unwrap() < SECOND / 2);
    server.accept().await;
    connected(&mut feed).await;
    drop(silence);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_away_goes_out_first_and_in_order() {
    let (mut feed, mut server) = start(Policy::new());
    feed.send("one").await.unwrap();
    server.refuse().await;
    disconnected(&mut feed).await;
    feed.try_send("two").unwrap();
    assert_eq!(feed.sender().waiting(), 2);
    let mut peer = server.accept().await;
    feed.send("three").await.unwrap();
    connected(&mut feed).await;
    feed.sender().clone().send("four").await.unwrap();
    for text in ["one", "two", "three", "four"] {
        assert_eq!(heard(&mut peer).await, text);
    }
    assert_eq!(feed.sender().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_larger_than_the_outbox_waits_on_if_the_connection_dies() {
    let (mut feed, mut server) = start(Policy::new().queue(Queue::default().bytes_max(8 << 20)));
    let large = "x".repeat(600 << 10);
    for number in 0..6 {
        feed.send(format!("{number}{large}")).await.unwrap();
    }
    // The server doesn't read: the pipe and the outbox take some messages, the rest stays in the queue.
    let peer = server.accept().await;
    connected(&mut feed).await;
    tokio::time::sleep(SECOND).await;
    let waiting = feed.sender().waiting();
    assert!(0 < waiting && waiting < 6, "{waiting}");
    // While the queue is being sent, a sender whose message doesn't fit waits.
    let sender = feed.sender().clone();
    let late = tokio::spawn(async move { sender.send("y".repeat(8 << 20)).await.is_ok() });
    drop(peer);
    disconnected(&mut feed).await;
    // One message was waiting for the outbox and has been put back.
    let left = feed.sender().waiting();
    assert!(left == waiting || left == waiting + 1, "{waiting} {left}");
    // A message that can never fit is refused without a connection.
    assert!(!late.await.unwrap());
    let mut peer = server.accept().await;
    connected(&mut feed).await;
    for number in 6 - left..6 {
        assert_eq!(heard(&mut peer).await[..1], number.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn each_policy_of_the_queue_gives_back_what_it_does_not_keep() {
    let queue = Queue::reject_when_full().messages_max(1);
    let (feed, _server) = start(Policy::new().queue(queue));
    feed.send("kept").await.unwrap();
    let refused = feed.send("refused").await;
    assert_eq!(refused, Err(TrySendError::Full(Message::from("refused"))));

    let (feed, _server) = start(Policy::new().queue(Queue::none()));
    assert!(feed.send("nowhere").await.is_err());

    let queue = Queue::drop_oldest().messages_max(1);
    let (mut feed, _server) = start(Policy::new().queue(queue));
    feed.send("old").await.unwrap();
    feed.send("new").await.unwrap();
    let old = ("old".to_owned(), Reason::Displaced);
    assert_eq!(dropped(&mut feed).await, old);

    let queue = Queue::default().time_to_live(5 * SECOND);
    let (mut feed, mut server) = start(Policy::new().queue(queue));
    let at = Instant::now();
    feed.send("short-lived").await.unwrap();
    let expired = ("short-lived".to_owned(), Reason::Expired);
    assert_eq!(dropped(&mut feed).await, expired);
    assert!(at.elapsed() >= 5 * SECOND && at.elapsed() < 6 * SECOND);
    feed.send("fresh").await.unwrap();
    let mut peer = server.accept().await;
    assert_eq!(heard(&mut peer).await, "fresh");
}

#[tokio::test(start_paused = true)]
async fn a_final_answer_ends_it_and_gives_back_what_waited() {
    let (mut feed, mut server) = start(Policy::new());
    feed.send("unsent").await.unwrap();
    let error = Error::new(ErrorKind::Config, "no such thing");
    server.answer(Err(error)).await;
    let (outage, retry_in) = disconnected(&mut feed).await;
    assert_eq!(
        (outage.to_string().as_str(), retry_in),
        ("no such thing", None)
    );
    let unsent = ("unsent".to_owned(), Reason::Ended);
    assert_eq!(dropped(&mut feed).await, unsent);
    assert!(feed.next().await.is_none());
    assert!(feed.next().await.is_none());
    let refused = feed.send("late").await;
    assert_eq!(refused, Err(TrySendError::Closed(Message::from("late"))));
}

#[tokio::test(start_paused = true)]
async fn the_rule_of_the_user_decides_what_is_final() {
    let policy = Policy::new().give_up(|outage| {
        outage
            .closed()
            .is_some_and(|closed| closed.code.as_u16() == 4001)
    });
    let (mut feed, mut server) = start(policy);
    for (code, is_final) in [(1008, false), (4000, false), (4001, true)] {
        let mut peer = server.accept().await;
        connected(&mut feed).await;
        peer.session().close(CloseCode::new(code), "");
        let (closing, (outage, retry_in)) =
            tokio::join!(peer.recv(), async { disconnected(&mut feed).await });
        for error in [&closing.unwrap_err(), outage.error().unwrap()] {
            assert_eq!(error.closed().unwrap().code, CloseCode::new(code));
        }
        assert_eq!(retry_in.is_none(), is_final, "{code}");
    }
    assert!(feed.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_request_is_an_attempt_that_failed_whatever_its_kind() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let policy = Policy::new().attempts_max(3).request(move |_connect| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err(Error::new(ErrorKind::Config, "no token today")) }
    });
    let mut feed = crate::connect("ws://127.0.0.1:1/").reconnect(policy);
    for attempt in 1..=3 {
        let (outage, retry_in) = disconnected(&mut feed).await;
        assert_eq!(outage.to_string(), "no token today");
        assert!(!outage.is_final());
        assert_eq!(retry_in.is_some(), attempt < 3);
    }
    assert!(feed.next().await.is_none());
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
    // A wrong URL stays wrong.
    let mut feed = crate::connect("ftp://127.0.0.1/").reconnect(Policy::new());
    assert!(disconnected(&mut feed).await.1.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_panics_ends_it_for_all_who_wait() {
    let (mut feed, mut server) = start(Policy::new().give_up(|_| panic!("told to")));
    let sender = feed.sender().clone();
    server.refuse().await;
    assert!(feed.next().await.is_none());
    assert!(sender.send("late").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn attempts_end_with_their_maximum() {
    let (mut feed, mut server) = start(Policy::new().attempts_max(3));
    for _ in 0..2 {
        server.refuse().await;
        assert!(disconnected(&mut feed).await.1.is_some());
    }
    server.refuse().await;
    assert!(disconnected(&mut feed).await.1.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_while_nobody_looks_but_not_for_ever() {
    let (mut feed, mut server) = start(Policy::new());
    for _ in 0..100 {
        server.refuse().await;
    }
    let mut connections = 0;
    // The test doesn't call `next`, so at some point there is no other attempt.
    while let Ok(peer) = tokio::time::timeout(600 * SECOND, server.accept()).await {
        drop(peer);
        connections += 1;
        assert!(connections < 10);
    }
    assert!(connections >= 3);
    // Of a hundred failures in a row only the last one is an event.
    disconnected(&mut feed).await;
    for _ in 0..connections {
        connected(&mut feed).await;
        disconnected(&mut feed).await;
    }
    server.accept().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_next_event_can_be_cancelled_at_any_time() {
    let (mut feed, mut server) = start(Policy::new());
    let peer = tokio::spawn(async move {
        let peer = server.accept().await;
        for number in 0..500 {
            peer.send(number.to_string()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        (server, peer)
    });
    let mut expected = 0;
    while expected < 500 {
        match tokio::time::timeout(Duration::from_millis(1), feed.next()).await {
            Ok(Some(Event::Message(message))) => {
                assert_eq!(message.as_text(), Some(expected.to_string().as_str()));
                expected += 1;
            }
            Ok(Some(Event::Connected(_))) | Err(_) => {}
            Ok(other) => panic!("{other:?}"),
        }
    }
    peer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_closes_the_connection_and_dials_no_more() {
    let (mut feed, mut server) = start(Policy::new());
    let mut peer = server.accept().await;
    connected(&mut feed).await;
    let sender = feed.sender().clone();
    let (_, received) = tokio::join!(feed.close(CloseCode::NORMAL, "done"), peer.recv());
    assert!(received.unwrap().is_none());
    assert_eq!(peer.closed().unwrap().received, Some(CloseCode::NORMAL));
    assert!(feed.next().await.is_none());
    assert!(sender.send("late").await.is_err());
    assert!(server.0.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn closing_ends_a_wait_and_an_attempt_too() {
    let (mut feed, mut server) = start(Policy::new());
    server.refuse().await;
    disconnected(&mut feed).await;
    feed.close(CloseCode::NORMAL, "").await;
    assert!(feed.next().await.is_none());

    let (mut feed, mut server) = start(Policy::new());
    let attempt = server.0.recv().await.unwrap();
    feed.close(CloseCode::NORMAL, "").await;
    assert!(attempt.is_closed());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_ends_it_though_a_sender_is_left() {
    let (feed, mut server) = start(Policy::new());
    let sender = feed.sender().clone();
    let mut peer = server.accept().await;
    drop(feed);
    assert!(peer.recv().await.unwrap().is_none());
    assert_eq!(peer.closed().unwrap().received, Some(CloseCode::GOING_AWAY));
    assert!(server.0.recv().await.is_none());
    assert!(sender.send("late").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn retry_now_ends_the_wait() {
    let backoff = Backoff {
        base: 3600 * SECOND,
        max: 3600 * SECOND,
    };
    let (mut feed, mut server) = start(Policy::new().backoff(backoff));
    server.refuse().await;
    let (_, retry_in) = disconnected(&mut feed).await;
    let at = Instant::now();
    feed.sender().retry_now();
    let _peer = server.accept().await;
    // The random wait may have been shorter than this.
    assert!(at.elapsed() < SECOND || retry_in.unwrap() < 2 * SECOND);
}
