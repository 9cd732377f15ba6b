//! When an HTTP/2 connection is pinged, gets a GOAWAY, and is closed.

use tokio::time::{Duration, Instant};

use crate::time::later;

/// The rules for when an HTTP/2 connection is pinged, gets a GOAWAY, and is closed. It has no clock; the caller
/// passes the time.
///
/// ```text
///   Awaited ──first request──> Busy <──> Idle ──keepalive──> GoingAway ──> End
///      └──────deadline──────────┼─────────┼──────────────────────────────> End
///                               └─ no answer to a ping ──────────────────> End
/// ```
#[derive(Debug)]
pub(super) struct Http2Keepalive {
    stage: KeepaliveStage,
    keepalive: Duration,
    /// When the connection gets a GOAWAY, whatever it does.
    go_away_by: Option<Instant>,
    /// When the last ping was sent that may be unanswered.
    pinged: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepaliveStage {
    /// No request has come. Without one the connection closes at this time.
    Awaited(Instant),
    /// Requests or WebSockets are open.
    Busy,
    /// No request or WebSocket has been open since then.
    Idle(Instant),
    /// A GOAWAY was sent. The connection closes at this time.
    GoingAway(Instant),
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepaliveAction {
    Nothing,
    Ping,
    /// Send a GOAWAY: no more requests are accepted.
    GoAway,
    End,
}

impl Http2Keepalive {
    pub(super) fn new(deadline: Instant, keepalive: Duration) -> Self {
        Self {
            stage: KeepaliveStage::Awaited(deadline),
            keepalive,
            go_away_by: None,
            pinged: None,
        }
    }

    /// Creates the rules for a connection in the reserve, which is open for a short time only.
    pub(super) fn for_reserve(deadline: Instant) -> Self {
        Self {
            go_away_by: Some(deadline),
            ..Self::new(deadline, RESERVE_KEEPALIVE)
        }
    }

    pub(super) fn handle_request(&mut self) {
        if !matches!(self.stage, KeepaliveStage::GoingAway(_)) {
            self.stage = KeepaliveStage::Busy;
        }
    }

    pub(super) fn handle_idle(&mut self, now: Instant) {
        if self.stage == KeepaliveStage::Busy {
            self.stage = KeepaliveStage::Idle(now);
        }
    }

    /// Returns when to call [`Http2Keepalive::handle_timer`]. `alive` is when the peer was last active.
    pub(super) fn due(&self, alive: Instant) -> Instant {
        let ping = match self.pinged {
            Some(pinged) if alive < pinged => pinged + PING_TIMEOUT,
            _ => alive + PING_INTERVAL,
        };
        let due = match self.stage {
            KeepaliveStage::Awaited(deadline) | KeepaliveStage::GoingAway(deadline) => {
                return deadline;
            }
            KeepaliveStage::Busy => ping,
            KeepaliveStage::Idle(since) => later(since, self.keepalive).min(ping),
        };
        self.go_away_by
            .map_or(due, |go_away_by| go_away_by.min(due))
    }

    /// Returns what to do now. May be called early.
    pub(super) fn handle_timer(&mut self, now: Instant, alive: Instant) -> KeepaliveAction {
        match self.stage {
            KeepaliveStage::Awaited(deadline) | KeepaliveStage::GoingAway(deadline)
                if deadline <= now =>
            {
                return KeepaliveAction::End;
            }
            KeepaliveStage::Awaited(_) | KeepaliveStage::GoingAway(_) => {
                return KeepaliveAction::Nothing;
            }
            KeepaliveStage::Idle(since) if later(since, self.keepalive) <= now => {
                return self.go_away(now);
            }
            KeepaliveStage::Idle(_) | KeepaliveStage::Busy => {}
        }
        if self.go_away_by.is_some_and(|go_away_by| go_away_by <= now) {
            return self.go_away(now);
        }
        match self.pinged {
            Some(pinged) if alive < pinged => match pinged + PING_TIMEOUT <= now {
                true => KeepaliveAction::End,
                false => KeepaliveAction::Nothing,
            },
            _ if alive + PING_INTERVAL <= now => {
                self.pinged = Some(now);
                KeepaliveAction::Ping
            }
            _ => KeepaliveAction::Nothing,
        }
    }
}

impl Http2Keepalive {
    fn go_away(&mut self, now: Instant) -> KeepaliveAction {
        self.stage = KeepaliveStage::GoingAway(now + GOAWAY_TIMEOUT);
        KeepaliveAction::GoAway
    }
}

/// How long a connection in the reserve may be open without a request in progress.
const RESERVE_KEEPALIVE: Duration = Duration::from_secs(5);

/// A peer that was inactive for this long gets a ping.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long the peer has to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Time from a GOAWAY on an unused connection to its end, if the peer doesn't close it.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_a_request_it_ends_at_the_deadline() {
        let began = Instant::now();
        let mut http2_keepalive = Http2Keepalive::new(began + 10 * SECOND, 60 * SECOND);
        assert_eq!(http2_keepalive.due(began), began + 10 * SECOND);
        assert_eq!(
            http2_keepalive.handle_timer(began + 9 * SECOND, began),
            KeepaliveAction::Nothing
        );
        assert_eq!(
            http2_keepalive.handle_timer(began + 10 * SECOND, began),
            KeepaliveAction::End
        );
    }

    #[test]
    fn an_idle_connection_gets_a_goaway_and_is_then_closed() {
        let began = Instant::now();
        let mut http2_keepalive = Http2Keepalive::new(began + 10 * SECOND, 20 * SECOND);
        http2_keepalive.handle_request();
        http2_keepalive.handle_idle(began + 5 * SECOND);
        let due = http2_keepalive.due(began + 5 * SECOND);
        assert_eq!(due, began + 25 * SECOND);
        assert_eq!(
            http2_keepalive.handle_timer(due, due),
            KeepaliveAction::GoAway
        );
        // A request that was under way doesn't change that.
        http2_keepalive.handle_request();
        assert_eq!(http2_keepalive.due(due), due + GOAWAY_TIMEOUT);
        assert_eq!(
            http2_keepalive.handle_timer(due + GOAWAY_TIMEOUT, due),
            KeepaliveAction::End
        );
    }

    #[test]
    fn a_connection_in_the_reserve_closes_soon_whatever_it_does() {
        let began = Instant::now();
        let mut http2_keepalive = Http2Keepalive::for_reserve(began + 10 * SECOND);
        http2_keepalive.handle_request();
        assert_eq!(http2_keepalive.due(began), began + 10 * SECOND);
        http2_keepalive.handle_idle(began);
        assert_eq!(http2_keepalive.due(began), began + RESERVE_KEEPALIVE);
        http2_keepalive.handle_request();
        let due = began + 10 * SECOND;
        assert_eq!(
            http2_keepalive.handle_timer(due - SECOND, began),
            KeepaliveAction::Nothing
        );
        assert_eq!(
            http2_keepalive.handle_timer(due, began),
            KeepaliveAction::GoAway
        );
        assert_eq!(
            http2_keepalive.handle_timer(due + GOAWAY_TIMEOUT, began),
            KeepaliveAction::End
        );
    }

    #[test]
    fn a_busy_connection_is_pinged_and_closed_without_an_answer() {
        let began = Instant::now();
        let mut http2_keepalive = Http2Keepalive::new(began + 10 * SECOND, 60 * SECOND);
        http2_keepalive.handle_request();
        let due = http2_keepalive.due(began);
        assert_eq!(due, began + PING_INTERVAL);
        assert_eq!(
            http2_keepalive.handle_timer(due, began),
            KeepaliveAction::Ping
        );
        assert_eq!(http2_keepalive.due(began), due + PING_TIMEOUT);
        assert_eq!(
            http2_keepalive.handle_timer(due + SECOND, began),
            KeepaliveAction::Nothing
        );
        // Any byte is an answer.
        let alive = due + 2 * SECOND;
        assert_eq!(http2_keepalive.due(alive), alive + PING_INTERVAL);
        assert_eq!(
            http2_keepalive.handle_timer(due + PING_TIMEOUT, alive),
            KeepaliveAction::Nothing
        );
        let due = http2_keepalive.due(alive);
        assert_eq!(
            http2_keepalive.handle_timer(due, alive),
            KeepaliveAction::Ping
        );
        assert_eq!(
            http2_keepalive.handle_timer(due + PING_TIMEOUT, alive),
            KeepaliveAction::End
        );
    }
}
