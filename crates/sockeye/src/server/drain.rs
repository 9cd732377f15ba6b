//! How a server is drained.

use std::{num::NonZeroU32, time::Duration};

use sockeye_proto::CloseCode;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    connection::Session,
    server::{
        closing_notice::{ClosingNotice, Retry},
        shared::{Phase, ServerShared},
        stats::Endings,
    },
    time::later,
};

/// How to drain a server: how fast its sessions are closed, and how long the server waits for them.
///
/// The pace protects the next server: a thousand clients whose sessions are closed in one moment reconnect in one
/// moment, to a server that has just started.
///
/// ```
/// use std::time::Duration;
/// use sockeye::{CloseCode, Drain};
///
/// let drain = Drain::default().with_per_second(500).with_timeout(Duration::from_secs(20));
/// assert_eq!(drain.code, CloseCode::GOING_AWAY);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// Sessions to which the server sends a Close frame per second; 0 sends all of them at once. Default 1000.
    pub per_second: u32,
    /// Time from the start of the drain until what is still open is aborted. Default 30 s.
    pub timeout: Duration,
    /// The code of the Close frames. Default 1001.
    pub code: CloseCode,
    /// The reason in the Close frames; a text that is too long is cut at 123 bytes. Default empty.
    pub reason: String,
    /// When clients may reconnect, which is added to the reason. Default `None`: nothing is added.
    pub retry: Option<Retry>,
}

sockeye_proto::setters!(Drain {
    with_per_second: per_second: u32,
    with_timeout: timeout: Duration,
    with_code: code: CloseCode,
    with_reason: reason: impl Into<String>,
    with_retry: retry: impl Into<Option<Retry>>,
});

impl Default for Drain {
    fn default() -> Self {
        Self {
            per_second: 1000,
            timeout: Duration::from_secs(30),
            code: CloseCode::GOING_AWAY,
            reason: String::new(),
            retry: None,
        }
    }
}

/// How the sessions of a drained server have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Sessions that ended with a Close frame in both directions.
    pub closed: usize,
    /// Sessions that ended otherwise: the peer didn't answer the Close frame in time, or the network failed.
    pub aborted: usize,
    /// Sessions that were still open at the end of the time and were aborted.
    pub timed_out: usize,
    /// How long the drain took.
    pub elapsed: Duration,
}

/// Drains the server.
pub(crate) async fn run(shared: &ServerShared, drain: &Drain) -> DrainReport {
    let began = Instant::now();
    let deadline = later(began, drain.timeout);
    let before = shared.registry.stats().endings();
    shared.advance(Phase::Draining);
    let closing_notice = ClosingNotice::new(drain.code).with(&drain.reason, drain.retry);
    let mut sessions = shared.registry.begin_closing(&closing_notice);
    let in_order = async {
        // Under the deadline: an endpoint that blocks its worker must not hold up the drain of the others.
        let workers = &shared.workers;
        sessions.extend(workers.begin_closing(&closing_notice).await);
        close_sessions(sessions, &closing_notice, drain.per_second).await;
        // Connections are sessions, requests in progress, and handshakes that had begun before the drain.
        shared.connections.emptied().await;
        shared.reserve.emptied().await;
    };
    let timed_out = match timeout_at(deadline, in_order).await {
        Ok(()) => 0,
        Err(_) => shared.registry.len(),
    };
    let after = shared.registry.stats().endings();
    shared.advance(Phase::Ended);
    shared.registry.abort_tasks();
    report(before, after, timed_out, began.elapsed())
}

async fn close_sessions(sessions: Vec<Session>, closing_notice: &ClosingNotice, per_second: u32) {
    let Some(per_second) = NonZeroU32::new(per_second) else {
        for session in sessions {
            closing_notice.send_to(&session);
        }
        return;
    };
    let began = Instant::now();
    for (number, session) in sessions.into_iter().enumerate() {
        // Counted from the start, so that one late wake-up does not slow down the whole drain.
        let due = Duration::from_secs(1).mul_f64(number as f64 / f64::from(per_second.get()));
        if began.elapsed() < due {
            sleep_until(began + due).await;
        }
        closing_notice.send_to(&session);
    }
}

fn report(before: Endings, after: Endings, timed_out: usize, elapsed: Duration) -> DrainReport {
    DrainReport {
        closed: after.clean - before.clean,
        aborted: after.total() - after.clean - (before.total() - before.clean),
        timed_out,
        elapsed,
    }
}
