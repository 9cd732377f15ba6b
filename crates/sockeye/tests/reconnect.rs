//! Reconnecting over real sockets: a new request for each attempt, final answers, hints.

mod scripted;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use scripted::{accept, answer, greet, listen};
use sockeye::{
    CloseCode, Error, ErrorKind,
    reconnect::{Backoff, Event, Outage, Policy, Reconnecting},
};
use tokio::io::AsyncWriteExt as _;

/// No delay: these tests don't depend on random waits.
const QUICK: Backoff = Backoff {
    base: Duration::from_millis(1),
    max: Duration::from_millis(5),
};

async fn disconnected(feed: &mut Reconnecting) -> (Outage, Option<Duration>) {
    match feed.next().await {
        Some(Event::Disconnected { closed, retry_in }) => (closed, retry_in),
        other => panic!("{other:?}"),
    }
}

async fn connected(feed: &mut Reconnecting) {
    let event = feed.next().await;
    assert!(matches!(event, Some(Event::Connected(_))), "{event:?}");
    let greeting = feed.next().await;
    assert!(matches!(greeting, Some(Event::Message(_))), "{greeting:?}");
}

#[tokio::test]
async fn each_attempt_has_a_request_of_its_own() {
    let (listener, address) = listen().await;
    let tokens = Arc::new(AtomicU32::new(0));
    let issued = Arc::clone(&tokens);
    let policy = Policy::new().backoff(QUICK).request(move |connect| {
        let number = issued.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::task::yield_now().await;
            match number {
                // The service that makes tokens may fail too.
                1 => Err(Error::new(ErrorKind::Io, "no token today")),
                number => Ok(connect
                    .url(format!("ws://{address}/feed?attempt={number}"))
                    .header("Authorization", format!("Bearer {number}"))),
            }
        }
    });
    let mut feed = sockeye::connect("ws://nowhere.invalid/").reconnect(policy);
    for number in [0, 2, 3] {
        let mut stream = accept(&listener).await;
        let head = greet(&mut stream).await;
        assert_eq!(head.line(), format!("GET /feed?attempt={number} HTTP/1.1"));
        let token = format!("Bearer {number}");
        assert_eq!(head.field("Authorization"), Some(token.as_str()));
        connected(&mut feed).await;
        drop(stream);
        let (outage, _) = disconnected(&mut feed).await;
        assert_eq!(outage.closed().unwrap().code, CloseCode::ABNORMAL);
        assert!(outage.error().is_some(), "{outage:?}");
        if number == 0 {
            assert_eq!(
                disconnected(&mut feed).await.0.to_string(),
                "no token today"
            );
        }
    }
}

#[tokio::test]
async fn refusals_that_would_stay_the_same_are_final() {
    for (status, is_final) in [(401, true), (403, true), (404, false), (500, false)] {
        let (listener, address) = listen().await;
        let policy = Policy::new().backoff(QUICK);
        let mut feed = sockeye::connect(format!("ws://{address}/")).reconnect(policy);
        let refusal = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        answer(&mut accept(&listener).await, &refusal).await;
        let (outage, retry_in) = disconnected(&mut feed).await;
        assert_eq!(outage.status().unwrap(), status);
        assert_eq!(retry_in.is_none(), is_final, "{status}");
        if is_final {
            assert!(feed.next().await.is_none());
        } else {
            greet(&mut accept(&listener).await).await;
        }
    }
}

#[tokio::test]
async fn a_close_with_1008_is_final_and_one_with_1012_is_not() {
    let (listener, address) = listen().await;
    let policy = Policy::new().backoff(QUICK);
    let mut feed = sockeye::connect(format!("ws://{address}/")).reconnect(policy);
    for (close, code) in [
        (&b"\x88\x02\x03\xf4"[..], CloseCode::SERVICE_RESTART),
        (b"\x88\x02\x03\xf0", CloseCode::POLICY_VIOLATION),
    ] {
        let mut stream = accept(&listener).await;
        greet(&mut stream).await;
        stream.write_all(close).await.unwrap();
        connected(&mut feed).await;
        let (outage, retry_in) = disconnected(&mut feed).await;
        assert_eq!(outage.closed().unwrap().code, code);
        let error = outage.error().expect("not a normal close");
        assert_eq!(error.closed().unwrap().code, code);
        assert_eq!(retry_in.is_none(), code == CloseCode::POLICY_VIOLATION);
    }
    assert!(feed.next().await.is_none());
}

#[tokio::test]
async fn a_busy_server_says_when_to_reconnect() {
    for (answers, hint) in [
        (
            "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            1000,
        ),
        (
            "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            1000,
        ),
    ] {
        let (listener, address) = listen().await;
        let policy = Policy::new().backoff(QUICK);
        let mut feed = sockeye::connect(format!("ws://{address}/")).reconnect(policy);
        answer(&mut accept(&listener).await, answers).await;
        let refused_at = Instant::now();
        let (_, retry_in) = disconnected(&mut feed).await;
        assert!(retry_in.unwrap() >= Duration::from_millis(hint));
        greet(&mut accept(&listener).await).await;
        // The clock of the test began later than the client's.
        assert!(refused_at.elapsed() >= Duration::from_millis(hint - 100));
    }
}
