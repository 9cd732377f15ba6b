//! When to dial again: a pure function of the attempt and a random number.

use core::time::Duration;

/// Exponential backoff with full jitter: before attempt n a random time between zero and
/// `base × 2^n`, at most `max`, so that the clients of a dead server don't come back all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The upper end of the first delay. Default 500 ms.
    pub base: Duration,
    /// The upper end of all delays. Default 30 s.
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
    /// How long to wait before the attempt after `failures` failures in a row (0 for the first);
    /// `random` is uniform over all of its values.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let ceiling = 2_u32
            .checked_pow(failures)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.max, |delay| delay.min(self.max));
        let nanos = (ceiling.as_nanos() * u128::from(random)) >> 64;
        // Below the ceiling, so it fits whatever fits a Duration of 584 years.
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
