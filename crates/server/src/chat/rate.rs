//! How fast one connection may talk: a bucket of tokens, refilled at a steady pace.

use std::time::Duration;

use super::Limits;

/// One connection's allowance.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// Messages that may come now. `0.0 <= left <= burst`.
    left: f64,
    burst: f64,
    per_second: f64,
    /// When `left` was right, since an origin that the caller picks.
    at: Duration,
    /// Messages in a row that were refused.
    strikes: u32,
    strikes_max: u32,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Fine,
    /// It is refused.
    TooFast,
    /// It is refused, and so is whoever doesn't listen.
    Relentless,
}

impl Allowance {
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

    pub(crate) fn handle_message(&mut self, now: Duration) -> Pace {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.burst);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            self.strikes = 0;
            return Pace::Fine;
        }
        self.strikes += 1;
        match self.strikes > self.strikes_max {
            true => Pace::Relentless,
            false => Pace::TooFast,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_pace_counts_then_the_connection_ends() {
        let limits = Limits {
            burst: 2,
            per_second: 1,
            rate_strikes_max: 2,
            ..Limits::default()
        };
        let mut allowance = Allowance::new(&limits, Duration::ZERO);
        let mut at = |ms| allowance.handle_message(Duration::from_millis(ms));
        assert_eq!([at(0), at(0)], [Pace::Fine, Pace::Fine]);
        assert_eq!(at(500), Pace::TooFast);
        assert_eq!(at(1100), Pace::Fine);
        assert_eq!([at(1100), at(1100)], [Pace::TooFast, Pace::TooFast]);
        assert_eq!(at(1100), Pace::Relentless);
        // However long the silence, no more than the burst.
        assert_eq!([at(60_000), at(60_000)], [Pace::Fine, Pace::Fine]);
        assert_eq!(at(60_000), Pace::TooFast);
    }
}
