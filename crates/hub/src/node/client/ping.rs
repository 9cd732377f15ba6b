//! When to ping a client, and when to give it up. A pure function of time.
//!
//! ```text
//!             due: send a ping            pong
//!   Waiting ───────────────────> Pinged ───────> Waiting
//!      │ pong: nobody asked         │ no pong in time
//!      v                            v
//!    3501                         3012
//! ```

use std::time::Duration;

use crate::node::compact_time::Moment;

/// Pings of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ping {
    /// The client isn't connected yet, or its transport pings.
    Off,
    Waiting {
        due: Moment,
    },
    Pinged {
        sent: Moment,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingAction {
    Nothing,
    Send,
    GiveUp,
}

/// A pong that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnexpectedPong;

impl Ping {
    /// Begins. The first ping comes after half of `interval` to a whole one, as `random` says, so that clients that came
    /// together are not pinged together.
    pub(crate) fn start(now: Duration, interval: Duration, random: u32) -> Self {
        let half = interval / 2;
        let spread = half.mul_f64(f64::from(random) / f64::from(u32::MAX));
        Self::Waiting {
            due: (now + half + spread).into(),
        }
    }

    /// Returns when [`Ping::handle_timeout`] is to be called.
    pub(crate) fn deadline(&self, pong_timeout: Duration) -> Option<Duration> {
        match *self {
            Self::Off => None,
            Self::Waiting { due } => Some(due.elapsed()),
            Self::Pinged { sent } => Some(sent.elapsed() + pong_timeout),
        }
    }

    /// `expects_pong` is false for clients that can't send: they are pinged, and lost when the transport is.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Duration,
        interval: Duration,
        pong_timeout: Duration,
        expects_pong: bool,
    ) -> PingAction {
        match *self {
            Self::Waiting { due } if due.elapsed() <= now => {
                *self = match expects_pong {
                    true => Self::Pinged { sent: now.into() },
                    false => Self::Waiting {
                        due: (now + interval).into(),
                    },
                };
                PingAction::Send
            }
            Self::Pinged { sent } if sent.elapsed() + pong_timeout <= now => PingAction::GiveUp,
            _ => PingAction::Nothing,
        }
    }

    /// Returns when the ping was sent.
    pub(crate) fn handle_pong(&mut self, interval: Duration) -> Result<Duration, UnexpectedPong> {
        match *self {
            Self::Pinged { sent } => {
                let sent = sent.elapsed();
                *self = Self::Waiting {
                    due: (sent + interval).into(),
                };
                Ok(sent)
            }
            _ => Err(UnexpectedPong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(25);
    const PONG_TIMEOUT: Duration = Duration::from_secs(8);

    fn timeout(ping: &mut Ping, seconds: u64) -> PingAction {
        ping.handle_timeout(Duration::from_secs(seconds), INTERVAL, PONG_TIMEOUT, true)
    }

    #[test]
    fn the_first_ping_comes_between_half_an_interval_and_a_whole_one() {
        let due =
            |random| Ping::start(Duration::from_secs(100), INTERVAL, random).deadline(PONG_TIMEOUT);
        assert_eq!(due(0), Some(Duration::from_millis(112_500)));
        assert_eq!(due(u32::MAX), Some(Duration::from_secs(125)));
    }

    #[test]
    fn a_client_that_answers_is_pinged_once_per_interval() {
        let mut ping = Ping::Waiting {
            due: Duration::from_secs(10).into(),
        };
        assert_eq!(timeout(&mut ping, 9), PingAction::Nothing);
        assert_eq!(timeout(&mut ping, 10), PingAction::Send);
        assert_eq!(ping.deadline(PONG_TIMEOUT), Some(Duration::from_secs(18)));
        assert_eq!(timeout(&mut ping, 17), PingAction::Nothing);
        assert_eq!(ping.handle_pong(INTERVAL), Ok(Duration::from_secs(10)));
        assert_eq!(ping.deadline(PONG_TIMEOUT), Some(Duration::from_secs(35)));
        assert_eq!(timeout(&mut ping, 35), PingAction::Send);
    }

    #[test]
    fn a_client_that_does_not_answer_is_given_up() {
        let mut ping = Ping::Waiting {
            due: Duration::from_secs(10).into(),
        };
        timeout(&mut ping, 10);
        assert_eq!(timeout(&mut ping, 18), PingAction::GiveUp);
    }

    #[test]
    fn a_pong_that_nobody_asked_for_is_an_error() {
        let mut ping = Ping::Waiting {
            due: Duration::from_secs(10).into(),
        };
        assert_eq!(ping.handle_pong(INTERVAL), Err(UnexpectedPong));
        timeout(&mut ping, 10);
        assert_eq!(ping.handle_pong(INTERVAL), Ok(Duration::from_secs(10)));
        assert_eq!(ping.handle_pong(INTERVAL), Err(UnexpectedPong));
    }

    #[test]
    fn a_client_that_cannot_send_is_pinged_without_an_answer() {
        let mut ping = Ping::Waiting {
            due: Duration::from_secs(10).into(),
        };
        let mut timeout = |seconds| {
            ping.handle_timeout(Duration::from_secs(seconds), INTERVAL, PONG_TIMEOUT, false)
        };
        assert_eq!(timeout(10), PingAction::Send);
        assert_eq!(timeout(34), PingAction::Nothing);
        assert_eq!(timeout(35), PingAction::Send);
    }
}
