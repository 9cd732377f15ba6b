//! When a connection of HTTP/2 is asked whether it lives, told to go, and ended.

use tokio::time::{Duration, Instant};

use crate::time::later;

/// When a connection of HTTP/2 is asked whether it lives, told to go, and ended. A pure function of time:
///
/// ```text
///   Awaited ──first request──> Busy <──> Idle ──keepalive──> Leaving ──> End
///      └──────deadline──────────┼─────────┼────────────────────────────> End
///                               └─ no answer to a ping ────────────────> End
/// ```
#[derive(Debug)]
pub(super) struct Watch {
    stage: Stage,
    keepalive: Duration,
    /// When it is told to go, whatever it does.
    leave_by: Option<Instant>,
    /// When a ping went out that wasn't answered.
    pinged: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No request has come; the connection ends then.
    Awaited(Instant),
    /// Requests or WebSockets are open.
    Busy,
    /// None have been since then.
    Idle(Instant),
    /// It was told that it isn't needed any more, and ends then.
    Leaving(Instant),
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Ping,
    /// Tell the peer that no more requests are taken.
    SayGoodbye,
    End,
}

impl Watch {
    pub(super) fn new(deadline: Instant, keepalive: Duration) -> Self {
        Self {
            stage: Stage::Awaited(deadline),
            keepalive,
            leave_by: None,
            pinged: None,
        }
    }

    /// Of a connection that is there for a little while only.
    pub(super) fn of_guest(deadline: Instant) -> Self {
        Self {
            leave_by: Some(deadline),
            ..Self::new(deadline, GUEST_KEEPALIVE)
        }
    }

    pub(super) fn handle_request(&mut self) {
        if !matches!(self.stage, Stage::Leaving(_)) {
            self.stage = Stage::Busy;
        }
    }

    pub(super) fn handle_idle(&mut self, now: Instant) {
        if self.stage == Stage::Busy {
            self.stage = Stage::Idle(now);
        }
    }

    /// When to look again, of a peer that last showed a sign of life then.
    pub(super) fn due(&self, alive: Instant) -> Instant {
        let ping = match self.pinged {
            Some(pinged) if alive < pinged => pinged + PING_TIMEOUT,
            _ => alive + PING_INTERVAL,
        };
        let due = match self.stage {
            Stage::Awaited(deadline) | Stage::Leaving(deadline) => return deadline,
            Stage::Busy => ping,
            Stage::Idle(since) => later(since, self.keepalive).min(ping),
        };
        self.leave_by.map_or(due, |leave_by| leave_by.min(due))
    }

    /// The time has come, or it hasn't.
    pub(super) fn handle_timer(&mut self, now: Instant, alive: Instant) -> Act {
        match self.stage {
            Stage::Awaited(deadline) | Stage::Leaving(deadline) if deadline <= now => {
                return Act::End;
            }
            Stage::Awaited(_) | Stage::Leaving(_) => return Act::Nothing,
            Stage::Idle(since) if later(since, self.keepalive) <= now => {
                return self.leave(now);
            }
            Stage::Idle(_) | Stage::Busy => {}
        }
        if self.leave_by.is_some_and(|leave_by| leave_by <= now) {
            return self.leave(now);
        }
        match self.pinged {
            Some(pinged) if alive < pinged => match pinged + PING_TIMEOUT <= now {
                true => Act::End,
                false => Act::Nothing,
            },
            _ if alive + PING_INTERVAL <= now => {
                self.pinged = Some(now);
                Act::Ping
            }
            _ => Act::Nothing,
        }
    }
}

impl Watch {
    fn leave(&mut self, now: Instant) -> Act {
        self.stage = Stage::Leaving(now + GOODBYE_TIMEOUT);
        Act::SayGoodbye
    }
}

/// How long a guest may stay without a request under way.
const GUEST_KEEPALIVE: Duration = Duration::from_secs(5);

/// A peer without a sign of life for this long is asked for one.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// And has this long to give it.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// From the goodbye to a connection that nobody uses to its end, if the peer doesn't close it.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_a_request_it_ends_at_the_deadline() {
        let began = Instant::now();
        let mut watch = Watch::new(began + 10 * SECOND, 60 * SECOND);
        assert_eq!(watch.due(began), began + 10 * SECOND);
        assert_eq!(watch.handle_timer(began + 9 * SECOND, began), Act::Nothing);
        assert_eq!(watch.handle_timer(began + 10 * SECOND, began), Act::End);
    }

    #[test]
    fn one_that_is_idle_is_told_to_go_and_then_ended() {
        let began = Instant::now();
        let mut watch = Watch::new(began + 10 * SECOND, 20 * SECOND);
        watch.handle_request();
        watch.handle_idle(began + 5 * SECOND);
        let due = watch.due(began + 5 * SECOND);
        assert_eq!(due, began + 25 * SECOND);
        assert_eq!(watch.handle_timer(due, due), Act::SayGoodbye);
        // A request that was under way doesn't change that.
        watch.handle_request();
        assert_eq!(watch.due(due), due + GOODBYE_TIMEOUT);
        assert_eq!(watch.handle_timer(due + GOODBYE_TIMEOUT, due), Act::End);
    }

    #[test]
    fn a_guest_leaves_soon_whatever_it_does() {
        let began = Instant::now();
        let mut watch = Watch::of_guest(began + 10 * SECOND);
        watch.handle_request();
        assert_eq!(watch.due(began), began + 10 * SECOND);
        watch.handle_idle(began);
        assert_eq!(watch.due(began), began + GUEST_KEEPALIVE);
        watch.handle_request();
        let due = began + 10 * SECOND;
        assert_eq!(watch.handle_timer(due - SECOND, began), Act::Nothing);
        assert_eq!(watch.handle_timer(due, began), Act::SayGoodbye);
        assert_eq!(watch.handle_timer(due + GOODBYE_TIMEOUT, began), Act::End);
    }

    #[test]
    fn one_that_is_busy_and_silent_is_asked_and_ended_without_an_answer() {
        let began = Instant::now();
        let mut watch = Watch::new(began + 10 * SECOND, 60 * SECOND);
        watch.handle_request();
        let due = watch.due(began);
        assert_eq!(due, began + PING_INTERVAL);
        assert_eq!(watch.handle_timer(due, began), Act::Ping);
        assert_eq!(watch.due(began), due + PING_TIMEOUT);
        assert_eq!(watch.handle_timer(due + SECOND, began), Act::Nothing);
        // Any byte is an answer.
        let alive = due + 2 * SECOND;
        assert_eq!(watch.due(alive), alive + PING_INTERVAL);
        assert_eq!(watch.handle_timer(due + PING_TIMEOUT, alive), Act::Nothing);
        let due = watch.due(alive);
        assert_eq!(watch.handle_timer(due, alive), Act::Ping);
        assert_eq!(watch.handle_timer(due + PING_TIMEOUT, alive), Act::End);
    }
}
