//! Emptying a server at a set pace.

use std::{num::NonZeroU32, time::Duration};

use sockeye_proto::{CloseCode, CloseFrame};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    connection::Session,
    server::{
        shared::{Phase, Shared},
        tally::Endings,
    },
    time::{fraction, later},
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

/// When those who were sent away may come back: each is told a time of its own.
///
/// It stands at the end of the reason as `retry_ms=1234`, milliseconds from the Close frame on; so
/// clients that know it, [`crate::Connect::reconnect`] among them, come back spread over that time
/// although they may have been told in the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The least: how long it takes until somebody answers again.
    pub after: Duration,
    /// How much more it may be, spread evenly over all who are told.
    pub spread: Duration,
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

/// What is said to those who are sent away.
#[derive(Clone, Debug)]
pub(crate) struct Farewell {
    code: CloseCode,
    reason: String,
    retry: Option<Retry>,
}

impl Farewell {
    /// Without a reason.
    pub(crate) fn new(code: CloseCode) -> Self {
        Self {
            code,
            reason: String::new(),
            retry: None,
        }
    }

    fn of(drain: &Drain) -> Self {
        Self {
            code: drain.code,
            reason: drain.reason.clone(),
            retry: drain.retry,
        }
    }

    /// Says it, unless the session is closing already.
    pub(crate) fn say_to(&self, session: &Session) {
        session.close(self.code, &self.reason_for(session.id()));
    }

    fn reason_for(&self, id: u64) -> String {
        let Some(retry) = self.retry else {
            return self.reason.clone();
        };
        let time = retry.after + retry.spread.mul_f64(fraction(id));
        let hint = format!("retry_ms={}", time.as_millis());
        match self.reason.as_str() {
            "" => hint,
            // The hint is for programs, and must not be cut off.
            reason => {
                let reason = CloseFrame::fitting_reason(reason, hint.len() + 1);
                format!("{reason} {hint}")
            }
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
    let farewell = Farewell::of(drain);
    let mut sessions = shared.registry.begin_farewell(&farewell);
    let in_order = async {
        // Within the time: an endpoint that blocks its worker must not hold up the others' drain.
        let crew = &shared.crew;
        sessions.extend(crew.begin_farewell(&farewell).await);
        say_goodbye(sessions, &farewell, drain.per_second).await;
        // Sessions, requests in progress, handshakes that were under way.
        shared.connections.emptied().await;
        shared.reserve.emptied().await;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn farewell(reason: &str) -> Farewell {
        Farewell {
            code: CloseCode::SERVICE_RESTART,
            reason: reason.to_owned(),
            retry: Some(Retry {
                after: Duration::from_secs(1),
                spread: Duration::from_secs(4),
            }),
        }
    }

    #[test]
    fn each_is_told_a_time_of_its_own_to_come_back() {
        let farewell = farewell("");
        let time = |id| -> u64 {
            let reason = farewell.reason_for(id);
            let (name, time) = reason.split_once('=').unwrap();
            assert_eq!(name, "retry_ms");
            time.parse().unwrap()
        };
        let mut times: Vec<u64> = (1..=1000).map(time).collect();
        times.sort_unstable();
        assert!(times[0] >= 1000 && times[999] <= 5000);
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(gap <= Some(10), "{gap:?}");
    }

    #[test]
    fn the_hint_is_never_cut_off() {
        assert!(
            farewell("restart")
                .reason_for(1)
                .starts_with("restart retry_ms=")
        );
        let reason = farewell(&"\u{9c7c}".repeat(60)).reason_for(1);
        assert!(reason.len() <= CloseFrame::REASON_BYTES_MAX);
        let (_, time) = reason.split_once(" retry_ms=").unwrap();
        assert!(time.parse::<u64>().is_ok(), "{reason}");
    }
}
