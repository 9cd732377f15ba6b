//! When to ping, when to give up: a pure function of the time.

use core::time::Duration;

/// When to ping, when to give up. Times are since an origin that the driver picks.
///
/// ```text
///               interval without a byte             timeout without a byte
///   listening ──────────────────────────> pinged ──────────────────────────> dead
///       ^                                    │
///       └──────────── any byte ──────────────┘
/// ```
///
/// Inputs: [`Heartbeat::handle_bytes`], [`Heartbeat::handle_timeout`]; output:
/// [`Heartbeat::poll_timeout`] says when the next `handle_timeout` is due.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    heard_at: Duration,
    /// Since when a ping waits for a sign of life.
    pinged_at: Option<Duration>,
    /// Since when reading is paused by back-pressure: what can't be heard can't be late.
    paused_at: Option<Duration>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing yet.
    Wait,
    /// Send a ping.
    Ping,
    /// The peer is gone: end the connection.
    Dead,
}

impl Heartbeat {
    /// A heartbeat that pings after `interval` of silence and gives up `timeout` later.
    #[must_use]
    pub fn new(interval: Duration, timeout: Duration, now: Duration) -> Self {
        Self {
            interval,
            timeout,
            heard_at: now,
            pinged_at: None,
            paused_at: None,
        }
    }

    /// Any byte is a sign of life.
    pub fn handle_bytes(&mut self, now: Duration) {
        self.heard_at = now;
        self.pinged_at = None;
    }

    /// Reading stops by back-pressure: the deadline stands still until [`Heartbeat::handle_resume`].
    pub fn handle_pause(&mut self, now: Duration) {
        self.paused_at.get_or_insert(now);
    }

    /// Reading goes on.
    pub fn handle_resume(&mut self, now: Duration) {
        let Some(paused_at) = self.paused_at.take() else {
            return;
        };
        let pause = now.saturating_sub(paused_at);
        self.heard_at += pause;
        if let Some(pinged_at) = &mut self.pinged_at {
            *pinged_at += pause;
        }
    }

    /// Says what is due. After `Ping` the deadline runs.
    pub fn handle_timeout(&mut self, now: Duration) -> Beat {
        match self.poll_timeout() {
            Some(due) if due <= now => {}
            _ => return Beat::Wait,
        }
        match self.pinged_at {
            Some(_) => Beat::Dead,
            None => {
                self.pinged_at = Some(now);
                Beat::Ping
            }
        }
    }

    /// When [`Heartbeat::handle_timeout`] must be called next; `None` while paused.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        match (self.paused_at, self.pinged_at) {
            (Some(_), _) => None,
            (None, Some(pinged_at)) => Some(pinged_at.saturating_add(self.timeout)),
            (None, None) => Some(self.heard_at.saturating_add(self.interval)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(25);
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_is_pinged_and_then_given_up() {
        let mut heartbeat = Heartbeat::new(INTERVAL, TIMEOUT, seconds(100));
        assert_eq!(heartbeat.handle_timeout(seconds(124)), Beat::Wait);
        assert_eq!(heartbeat.poll_timeout(), Some(seconds(125)));
        assert_eq!(heartbeat.handle_timeout(seconds(125)), Beat::Ping);
        assert_eq!(heartbeat.handle_timeout(seconds(126)), Beat::Wait);
        assert_eq!(heartbeat.handle_timeout(seconds(135)), Beat::Dead);
    }

    #[test]
    fn any_byte_is_life() {
        let mut heartbeat = Heartbeat::new(INTERVAL, TIMEOUT, seconds(0));
        assert_eq!(heartbeat.handle_timeout(seconds(25)), Beat::Ping);
        heartbeat.handle_bytes(seconds(30));
        assert_eq!(heartbeat.handle_timeout(seconds(40)), Beat::Wait);
        assert_eq!(heartbeat.poll_timeout(), Some(seconds(55)));
    }

    #[test]
    fn the_deadline_stands_still_while_reading_is_paused() {
        let mut heartbeat = Heartbeat::new(INTERVAL, TIMEOUT, seconds(0));
        assert_eq!(heartbeat.handle_timeout(seconds(25)), Beat::Ping);
        heartbeat.handle_pause(seconds(30));
        assert_eq!(heartbeat.poll_timeout(), None);
        assert_eq!(heartbeat.handle_timeout(seconds(1000)), Beat::Wait);
        heartbeat.handle_resume(seconds(1000));
        assert_eq!(heartbeat.poll_timeout(), Some(seconds(1005)));
        assert_eq!(heartbeat.handle_timeout(seconds(1005)), Beat::Dead);
    }
}
