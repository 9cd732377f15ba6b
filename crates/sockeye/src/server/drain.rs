//! Emptying a server at a set pace.

use std::{num::NonZeroU32, time::Duration};

use sockeye_proto::CloseCode;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    connection::Session,
    server::{
        farewell::{Farewell, Retry},
        shared::{Phase, ServerShared},
        stats::Endings,
    },
    time::later,
};

/// How to empty a server: how fast to say goodbye, and how long to wait.
///
/// The pace is there for those who come next: a thousand clients that are told at once come back at
/// once, to a server that has just started.
///
/// ```
/// use std::time::Duration;
/// use sockeye::{CloseCode, Drain};
///
/// let mut drain = Drain::default();
/// drain.per_second = 500;
/// drain.timeout = Duration::from_secs(20);
/// assert_eq!(drain.code, CloseCode::GOING_AWAY);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// Sessions told per second; 0 means all at once. Default 1000.
    pub per_second: u32,
    /// From the beginning to the moment when what is left is cut. Default 30 s.
    pub timeout: Duration,
    /// The code of the Close frames. Default 1001.
    pub code: CloseCode,
    /// Their reason. Default empty.
    pub reason: String,
    /// When to come back, told to each in the reason. Default `None`: nothing is told.
    pub retry: Option<Retry>,
}

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

/// How the sessions of a server ended that was drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// With a Close frame in both directions.
    pub closed: usize,
    /// Without: the peer didn't answer the Close frame in time, or the network failed.
    pub aborted: usize,
    /// Still open at the end of the time, and cut.
    pub timed_out: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Empties the server.
pub(crate) async fn run(shared: &ServerShared, drain: &Drain) -> DrainReport {
    let began = Instant::now();
    let deadline = later(began, drain.timeout);
    let before = shared.registry.stats().endings();
    shared.advance(Phase::Draining);
    let farewell = Farewell::new(drain.code).with(&drain.reason, drain.retry);
    let mut sessions = shared.registry.begin_farewell(&farewell);
    let in_order = async {
        // Within the time: an endpoint that blocks its worker must not hold up the others' drain.
        let workers = &shared.workers;
        sessions.extend(workers.begin_farewell(&farewell).await);
        say_goodbye(sessions, &farewell, drain.per_second).await;
        // Sessions, requests in progress, handshakes that were under way.
        shared.connections.emptied().await;
        shared.reserve.emptied().await;
    };
    let timed_out = match timeout_at(deadline, in_order).await {
        Ok(()) => 0,
        Err(_) => shared.registry.len(),
    };
    let after = shared.registry.stats().endings();
    shared.advance(Phase::Ended);
    shared.registry.cut();
    report(before, after, timed_out, began.elapsed())
}

async fn say_goodbye(sessions: Vec<Session>, farewell: &Farewell, per_second: u32) {
    let Some(per_second) = NonZeroU32::new(per_second) else {
        for session in sessions {
            farewell.say_to(&session);
        }
        return;
    };
    let began = Instant::now();
    for (told, session) in sessions.into_iter().enumerate() {
        // Counted from the beginning, so that a late wake-up does not slow the whole down.
        let due = Duration::from_secs(1).mul_f64(told as f64 / f64::from(per_second.get()));
        if began.elapsed() < due {
            sleep_until(began + due).await;
        }
        farewell.say_to(&session);
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
