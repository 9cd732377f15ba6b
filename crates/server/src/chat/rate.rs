//! The rate limit of one connection: a token bucket.

use std::time::Duration;

use super::Limits;

/// The token bucket of one connection.
#[derive(Debug)]
pub(crate) struct MessageRate {
    /// Messages allowed now. `0.0 <= left <= burst`.
    left: f64,
    burst: f64,
    per_second: f64,
    /// The time of `left`, since an origin that the caller picks.
    at: Duration,
    /// Messages in a row that were refused.
    strikes: u32,
    strikes_max: u32,
}

/// The verdict on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateVerdict {
    Allowed,
    /// The message is refused.
    TooFast,
    /// The message is refused and the connection is closed.
    Disconnect,
}

impl MessageRate {
    pub(crate) fn new(limits: &Limits, now: Duration) -> Self {
        Self {
            left: f64::from(limits.burst),
            burst: f64::from(limits.burst),
            per_second: f64::from(limits.per_second),
            at: now,
            strikes: 0,
            strikes_max: limits.rate_strikes_max,
        }
    }

    pub(crate) fn handle_message(&mut self, now: Duration) -> RateVerdict {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.burst);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            self.strikes = 0;
            return RateVerdict::Allowed;
        }
        self.strikes += 1;
        match self.strikes > self.strikes_max {
            true => RateVerdict::Disconnect,
            false => RateVerdict::TooFast,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_counts_then_the_connection_ends() {
        let limits = Limits {
            burst: 2,
            per_second: 1,
            rate_strikes_max: 2,
            ..Limits::default()
        };
        let mut rate = MessageRate::new(&limits, Duration::ZERO);
        let mut at = |ms| rate.handle_message(Duration::from_millis(ms));
        assert_eq!([at(0), at(0)], [RateVerdict::Allowed, RateVerdict::Allowed]);
        assert_eq!(at(500), RateVerdict::TooFast);
        assert_eq!(at(1100), RateVerdict::Allowed);
        assert_eq!(
            [at(1100), at(1100)],
            [RateVerdict::TooFast, RateVerdict::TooFast]
        );
        assert_eq!(at(1100), RateVerdict::Disconnect);
        // A long pause allows no more than the burst.
        assert_eq!(
            [at(60_000), at(60_000)],
            [RateVerdict::Allowed, RateVerdict::Allowed]
        );
        assert_eq!(at(60_000), RateVerdict::TooFast);
    }
}
