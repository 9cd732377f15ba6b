//! When to connect again: a pure function of the number of failures and a random number.

use core::time::Duration;

/// Exponential backoff with full jitter, so that the clients of a failed server don't all reconnect at once.
///
/// After `n` failed attempts in a row the delay is random between zero and `base × 2^n`, at most `max`.
///
/// ```
/// use core::time::Duration;
/// use sockeye_proto::Backoff;
///
/// let backoff = Backoff::default();
/// assert_eq!(backoff.delay(0, 1 << 63), Duration::from_millis(250));
/// assert_eq!(backoff.delay(3, 1 << 63), Duration::from_secs(2));
/// assert_eq!(backoff.delay(30, 1 << 63), Duration::from_secs(15));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first delay. Default 500 ms.
    pub base: Duration,
    /// The longest of all delays. Default 30 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            max: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// Returns how long to wait before the next attempt. `failures` is how many attempts in a row have failed: 0 before the
    /// first attempt. `random` must be uniform over all values.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let ceiling = 2_u32
            .checked_pow(failures)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.max, |delay| delay.min(self.max));
        let nanos = (ceiling.as_nanos() * u128::from(random)) >> 64;
        // It saturates only for a `max` of more than 584 years.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_doubles_until_the_maximum() {
        let backoff = Backoff::default();
        let ceilings = [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(|failures| {
            let delay = backoff.delay(failures, u64::MAX);
            delay.as_millis() + 1
        });
        assert_eq!(
            ceilings,
            [500, 1000, 2000, 16_000, 30_000, 30_000, 30_000, 30_000]
        );
    }

    proptest! {
        #[test]
        fn a_delay_is_the_random_share_of_its_ceiling(failures in 0..200_u32, random: u64) {
            let backoff = Backoff::default();
            let ceiling = backoff.delay(failures, u64::MAX).as_secs_f64();
            let share = random as f64 / u64::MAX as f64;
            let delay = backoff.delay(failures, random).as_secs_f64();
            prop_assert!((delay - ceiling * share).abs() < 1e-6);
        }
    }
}
