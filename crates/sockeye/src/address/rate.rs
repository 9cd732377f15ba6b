//! A limit on how often something may happen.

use std::{fmt, num::NonZero, time::Duration};

/// A limit on how often something may happen: a burst at once, then one after another at an even pace.
///
/// ```
/// use sockeye::Rate;
///
/// let rate = Rate::per_second(10).burst(100);
/// assert_eq!(Rate::per_minute(60).burst(10), Rate::per_second(1).burst(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time until one more may happen.
    interval: Duration,
    burst: NonZero<u32>,
}

/// The error of a rate limit: how long the client must wait at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(Duration);

impl Rate {
    /// Allows `count` a second, and as many at once; at least 1.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self::per(Duration::from_secs(1), count)
    }

    /// Allows `count` a minute, and as many at once; at least 1.
    #[must_use]
    pub fn per_minute(count: u32) -> Self {
        Self::per(Duration::from_secs(60), count)
    }

    /// Allows `count` an hour, and as many at once; at least 1.
    #[must_use]
    pub fn per_hour(count: u32) -> Self {
        Self::per(Duration::from_secs(3600), count)
    }

    /// Sets how many may happen at once after a pause; at least 1.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = NonZero::new(burst).unwrap_or(NonZero::<u32>::MIN);
        self
    }

    fn per(time: Duration, count: u32) -> Self {
        let count = NonZero::new(count).unwrap_or(NonZero::<u32>::MIN);
        Self {
            interval: time / count.get(),
            burst: count,
        }
    }

    /// Counts one more, by the generic cell rate algorithm. `full_at` is when the whole burst is available
    /// again, which is all the state there is. Returns its next value.
    pub(crate) fn count(self, full_at: Duration, now: Duration) -> Result<Duration, RetryAfter> {
        let next = full_at.max(now) + self.interval;
        match next.checked_sub(now + self.interval * self.burst.get()) {
            Some(early) if !early.is_zero() => Err(RetryAfter(early)),
            _ => Ok(next),
        }
    }
}

impl RetryAfter {
    pub(crate) fn new(time: Duration) -> Self {
        Self(time)
    }

    /// Returns the time exactly.
    #[cfg(feature = "sockjs")]
    pub(crate) fn duration(self) -> Duration {
        self.0
    }

    /// Returns whole seconds, rounded up and at least 1: the value of `Retry-After`.
    #[must_use]
    pub fn as_secs(self) -> u64 {
        let secs = self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0);
        secs.max(1)
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.as_secs();
        write!(f, "too many from your address, come back in {secs} s")
    }
}

impl std::error::Error for RetryAfter {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_at_once_and_comes_back_at_the_pace() {
        let rate = Rate::per_second(10).burst(3);
        let ms = Duration::from_millis;
        let mut full_at = Duration::ZERO;
        let mut count = |now| {
            let counted = rate.count(full_at, now);
            full_at = counted.unwrap_or(full_at);
            counted.map(|_| ()).map_err(|RetryAfter(early)| early)
        };
        for _ in 0..3 {
            assert_eq!(count(ms(5000)), Ok(()));
        }
        // A refused attempt isn't counted.
        assert_eq!(count(ms(5000)), Err(ms(100)));
        assert_eq!(count(ms(5040)), Err(ms(60)));
        assert_eq!(count(ms(5100)), Ok(()));
        assert_eq!(count(ms(5100)), Err(ms(100)));
        for _ in 0..3 {
            assert_eq!(count(ms(9000)), Ok(()));
        }
        assert!(count(ms(9000)).is_err());
    }
}
