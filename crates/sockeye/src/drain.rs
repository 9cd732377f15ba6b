//! Emptying a server at a set pace.

use std::{num::NonZeroU32, time::Duration};

use sockeye_proto::CloseCode;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    Endings, Session,
    server::{Phase, Shared},
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
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            per_second: 1000,
            timeout: Duration::from_secs(30),
            code: CloseCode::GOING_AWAY,
            reason: String::new(),
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
pub(crate) async fn run(shared: &Shared, drain: &Drain) -> DrainReport {
    let began = Instant::now();
    let deadline = later(began, drain.timeout);
    let before = shared.registry.tally().endings();
    shared.advance(Phase::Draining);
    let mut sessions = shared.registry.begin_farewell(drain.code, &drain.reason);
    let in_order = async {
        // Within the time: an endpoint that blocks its worker must not hold up the others' drain.
        let crew = &shared.crew;
        sessions.extend(crew.begin_farewell(drain.code, &drain.reason).await);
        say_goodbye(sessions, drain).await;
        // Sessions, requests in progress, handshakes that were under way.
        shared.connections.emptied().await;
    };
    let timed_out = match timeout_at(deadline, in_order).await {
        Ok(()) => 0,
        Err(_) => shared.registry.len(),
    };
    let after = shared.registry.tally().endings();
    shared.advance(Phase::Ended);
    shared.registry.cut();
    report(before, after, timed_out, began.elapsed())
}

/// `instant + duration`, or so late that nobody sees it: somebody who wants no limit sets
/// [`Duration::MAX`], which no clock can hold.
pub(crate) fn later(instant: Instant, duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
    instant + duration.min(NEVER)
}

async fn say_goodbye(sessions: Vec<Session>, drain: &Drain) {
    let Some(per_second) = NonZeroU32::new(drain.per_second) else {
        for session in sessions {
            session.close(drain.code, &drain.reason);
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
        session.close(drain.code, &drain.reason);
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
