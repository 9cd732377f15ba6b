//! Whether a session lives, and what carries its messages.

use std::time::Duration;

/// The state of one session: its heartbeat and what carries it. Time is a `Duration` since an origin that the caller picks.
///
/// Call an input (`handle_*`) when something happens, then [`Lifecycle::poll_ping`] until it returns `false`, and
/// [`Lifecycle::poll_timeout`] for the time of the next [`Lifecycle::handle_timeout`].
///
/// ```text
///   Polling ──handle_probe──> Probed ──handle_upgrade──> WebSocket
///      ^───handle_probe_failed───┘
///
///   Quiet ──(ping_interval)──> Pinged ──handle_pong──> Quiet
///                                 └──(ping_timeout)──> ended
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lifecycle {
    ping_interval: Duration,
    ping_timeout: Duration,
    heartbeat: HeartbeatState,
    carrier: Carrier,
    /// Whether a ping has to be sent.
    owes_ping: bool,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeartbeatState {
    /// The server pings at this time, whatever else is sent: a client counts from the last ping.
    Quiet(Duration),
    /// The client answers until then. Nothing but a pong counts.
    Pinged(Duration),
}

/// What carries the session's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Requests.
    Polling,
    /// Requests; a WebSocket has asked to take over, and each request that receives is answered soon.
    Probed,
    WebSocket,
}

/// How a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has said so.
    ByClient,
    /// The endpoint has closed the session, and the client knows it.
    ByServer,
    /// The client hasn't answered a ping.
    PingTimeout,
    /// The client broke the protocol: a packet that is none, or two requests at a time.
    Broken,
    /// A request or the WebSocket was torn off, so that messages may be lost.
    Lost,
}

/// The error of a WebSocket that can't take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotPolling;

impl Lifecycle {
    pub(super) fn new(
        ping_interval: Duration,
        ping_timeout: Duration,
        carrier: Carrier,
        now: Duration,
    ) -> Self {
        Self {
            ping_interval,
            ping_timeout,
            heartbeat: HeartbeatState::Quiet(now.saturating_add(ping_interval)),
            carrier,
            owes_ping: false,
            end: None,
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        match self.heartbeat {
            HeartbeatState::Quiet(due) if due <= now => {
                self.owes_ping = true;
                // Counted from when it was due, so that a late timer doesn't make the wait longer than the client's own.
                let until = due.saturating_add(self.ping_timeout);
                self.heartbeat = HeartbeatState::Pinged(until);
                if until <= now {
                    self.handle_end(End::PingTimeout);
                }
            }
            HeartbeatState::Pinged(until) if until <= now => self.handle_end(End::PingTimeout),
            HeartbeatState::Quiet(_) | HeartbeatState::Pinged(_) => {}
        }
    }

    /// Notes a pong. One without a ping changes nothing.
    pub(super) fn handle_pong(&mut self, now: Duration) {
        if let HeartbeatState::Pinged(_) = self.heartbeat {
            self.heartbeat = HeartbeatState::Quiet(now.saturating_add(self.ping_interval));
        }
    }

    /// Notes that a WebSocket asks to take over.
    ///
    /// # Errors
    ///
    /// Another one does or has, or the session has ended.
    pub(super) fn handle_probe(&mut self) -> Result<(), NotPolling> {
        if self.end.is_some() || self.carrier != Carrier::Polling {
            return Err(NotPolling);
        }
        self.carrier = Carrier::Probed;
        Ok(())
    }

    /// Notes that the WebSocket that has asked takes over.
    ///
    /// # Errors
    ///
    /// None has asked, or the session has ended.
    pub(super) fn handle_upgrade(&mut self) -> Result<(), NotPolling> {
        if self.end.is_some() || self.carrier != Carrier::Probed {
            return Err(NotPolling);
        }
        self.carrier = Carrier::WebSocket;
        Ok(())
    }

    /// Notes that the WebSocket that has asked is gone.
    pub(super) fn handle_probe_failed(&mut self) {
        if self.carrier == Carrier::Probed {
            self.carrier = Carrier::Polling;
        }
    }

    /// Notes that the session has ended. The first end counts.
    pub(super) fn handle_end(&mut self, end: End) {
        self.owes_ping = false;
        self.end.get_or_insert(end);
    }

    /// Returns whether a ping has to be sent, once for each.
    pub(super) fn poll_ping(&mut self) -> bool {
        std::mem::take(&mut self.owes_ping)
    }

    /// Returns when something is due; `None` once the session has ended.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let (HeartbeatState::Quiet(due) | HeartbeatState::Pinged(due)) = self.heartbeat;
        self.end.is_none().then_some(due)
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn session() -> Lifecycle {
        Lifecycle::new(25 * SECOND, 20 * SECOND, Carrier::Polling, Duration::ZERO)
    }

    #[test]
    fn the_server_pings_after_the_interval_and_again_after_a_pong() {
        let mut session = session();
        assert_eq!(session.poll_timeout(), Some(25 * SECOND));
        session.handle_timeout(24 * SECOND);
        assert!(!session.poll_ping());
        session.handle_timeout(25 * SECOND);
        assert!(session.poll_ping() && !session.poll_ping());
        assert_eq!(session.poll_timeout(), Some(45 * SECOND));
        session.handle_pong(30 * SECOND);
        assert_eq!(session.poll_timeout(), Some(55 * SECOND));
    }

    #[test]
    fn a_client_that_does_not_answer_a_ping_is_gone_after_its_time() {
        let mut session = session();
        session.handle_timeout(25 * SECOND);
        session.handle_timeout(44 * SECOND);
        assert_eq!(session.end(), None);
        session.handle_timeout(45 * SECOND);
        assert_eq!(
            (session.end(), session.poll_timeout()),
            (Some(End::PingTimeout), None)
        );
    }

    #[test]
    fn a_timer_that_is_very_late_ends_the_session_at_once_and_sends_no_ping() {
        let mut session = session();
        session.handle_timeout(46 * SECOND);
        assert_eq!(
            (session.end(), session.poll_ping()),
            (Some(End::PingTimeout), false)
        );
    }

    #[test]
    fn a_pong_without_a_ping_buys_no_time() {
        let mut session = session();
        session.handle_pong(20 * SECOND);
        assert_eq!(session.poll_timeout(), Some(25 * SECOND));
    }

    #[test]
    fn one_websocket_at_a_time_takes_over_and_only_after_it_has_asked() {
        let mut session = session();
        assert_eq!(session.handle_upgrade(), Err(NotPolling));
        assert_eq!(session.handle_probe(), Ok(()));
        assert_eq!(session.handle_probe(), Err(NotPolling));
        session.handle_probe_failed();
        assert_eq!(
            (session.carrier(), session.handle_probe()),
            (Carrier::Polling, Ok(()))
        );
        assert_eq!(session.handle_upgrade(), Ok(()));
        assert_eq!(session.handle_probe(), Err(NotPolling));
        session.handle_probe_failed();
        assert_eq!(session.carrier(), Carrier::WebSocket);
    }

    #[test]
    fn nothing_takes_over_a_session_that_has_ended_and_the_first_end_counts() {
        let mut session = session();
        session.handle_end(End::ByClient);
        session.handle_end(End::Broken);
        assert_eq!(session.handle_probe(), Err(NotPolling));
        assert_eq!(session.end(), Some(End::ByClient));
    }

    proptest! {
        #[test]
        fn a_client_that_answers_each_ping_in_time_lives_and_one_that_stops_is_gone_after_45_seconds(
            answers in prop::collection::vec(0..20_u32, 0..50),
        ) {
            let mut session = session();
            let mut now = Duration::ZERO;
            for answer in answers {
                now = session.poll_timeout().unwrap();
                session.handle_timeout(now);
                prop_assert!(session.poll_ping());
                now += SECOND * answer;
                session.handle_timeout(now);
                session.handle_pong(now);
                prop_assert_eq!(session.end(), None);
            }
            let last = now;
            while let Some(due) = session.poll_timeout() {
                now = due;
                session.handle_timeout(now);
            }
            prop_assert_eq!(now - last, 45 * SECOND);
        }
    }
}
