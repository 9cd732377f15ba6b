//! Two thousand clients of one server that is killed: they reconnect spread over time, and all are served.

use std::time::{Duration, Instant};

use sockeye::reconnect::{Backoff, Event, Policy};
use sockeye_checks::{Port, Server, allow_open_files};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

const CLIENTS: usize = 2_000;

/// Long enough for a small machine that does other things, too: fifty attempts in a tenth of a second.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(4),
    max: Duration::from_secs(8),
};

/// Only a failure reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// An event of a client.
enum News {
    /// It is connected, and its message came back.
    Served(usize, Instant),
    /// It isn't connected, and tries again after this time.
    Lost(usize, Duration),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_of_a_killed_server_come_back_spread_and_are_served() {
    allow_open_files(2 * CLIENTS as u64 + 200);
    let port = Port::reserve();
    let addr = port.addr().to_string();
    let start = || Server::start_with(&["--listen", &addr]);
    let Some(server) = start() else { return };
    let (sender, mut news) = unbounded_channel();
    // The first connections aren't under test: few at a time.
    for first in (0..CLIENTS).step_by(100) {
        for number in first..first + 100 {
            tokio::spawn(client(number, addr.clone(), sender.clone()));
        }
        for _ in 0..100 {
            let served = next(&mut news).await;
            assert!(matches!(served, News::Served(..)));
        }
    }

    // kill -9.
    drop(server);
    let mut delays = vec![None; CLIENTS];
    while delays.iter().any(Option::is_none) {
        if let News::Lost(number, delay) = next(&mut news).await {
            delays[number].get_or_insert(delay);
        }
    }
    let delays: Vec<Duration> = delays.into_iter().flatten().collect();
    assert!(delays.iter().all(|delay| *delay < BACKOFF.base));
    // Fifty, give or take seven.
    let peak = peak_of(&delays);
    assert!(peak < 100, "{peak} meant to come in a tenth of a second");

    let server = start().expect("it has started before");
    let up_at = Instant::now();
    let mut arrivals = vec![None; CLIENTS];
    while arrivals.iter().any(Option::is_none) {
        if let News::Served(number, at) = next(&mut news).await {
            arrivals[number] = Some(at.saturating_duration_since(up_at));
        }
    }
    let arrivals: Vec<Duration> = arrivals.into_iter().flatten().collect();
    let peak = peak_of(&arrivals);
    let last = arrivals.iter().max().expect("somebody");
    println!("back within {last:?}, at most {peak} in a tenth of a second");
    drop(server);
}

/// Stays connected, and sends a message over each connection.
async fn client(number: usize, addr: String, news: UnboundedSender<News>) {
    let policy = Policy::new().backoff(BACKOFF).uptime_min(Duration::ZERO);
    let mut feed = sockeye::connect(format!("ws://{addr}/echo")).reconnect(policy);
    while let Some(event) = feed.next().await {
        let told = match event {
            Event::Connected(session) => {
                // The connection may be lost again; then the message goes over the next one.
                let _ = session.try_send(number.to_string());
                continue;
            }
            Event::Message(message) => {
                assert_eq!(message.as_text(), Some(number.to_string().as_str()));
                News::Served(number, Instant::now())
            }
            Event::Disconnected {
                retry_in: Some(delay),
                ..
            } => News::Lost(number, delay),
            other => panic!("{other:?}"),
        };
        if news.send(told).is_err() {
            return;
        }
    }
}

async fn next(news: &mut UnboundedReceiver<News>) -> News {
    let next = timeout(PATIENCE, news.recv()).await;
    next.expect("news in time").expect("somebody is left")
}

/// Returns how many of `times` are in the same tenth of a second, for the fullest one.
fn peak_of(times: &[Duration]) -> usize {
    let mut slots = vec![0; 100];
    for time in times {
        let slot = (time.as_millis() / 100) as usize;
        if slot >= slots.len() {
            slots.resize(slot + 1, 0);
        }
        slots[slot] += 1;
    }
    slots.into_iter().max().unwrap_or_default()
}
