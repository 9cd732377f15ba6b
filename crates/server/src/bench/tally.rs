//! Histograms of times from many tasks.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

/// Histograms of one kind of times, in shards. Connections share a few shards, so that a thousand of them neither wait for one
/// lock nor need a histogram each.
pub(crate) struct Tally(Vec<Mutex<Histogram<u64>>>);

impl Tally {
    pub(crate) fn new(shards: usize) -> Self {
        Self(
            (0..shards.max(1))
                .map(|_| Mutex::new(histogram()))
                .collect(),
        )
    }

    /// `key` picks the shard: the number of a connection.
    pub(crate) fn record(&self, key: usize, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        lock(&self.0[key % self.0.len()]).saturating_record(ns.max(1));
    }

    pub(crate) fn copied(&self) -> Self {
        Self(vec![Mutex::new(self.sum())])
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Returns the sum of all shards, in nanoseconds.
    pub(crate) fn sum(&self) -> Histogram<u64> {
        let mut sum = histogram();
        for shard in &self.0 {
            // Both have the same bounds, so this can't fail.
            let _ = sum.add(&*lock(shard));
        }
        sum
    }
}

/// From a nanosecond to an hour with three digits: 0.1 % off at most, about 270 KB.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are constants that fit")
}

/// Ignores poisoning: a panic leaves a count that is off by one at worst.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up() {
        let tally = Tally::new(3);
        for key in 0..10 {
            tally.record(key, Duration::from_micros(100));
        }
        tally.record(10, Duration::from_secs(7200));
        assert_eq!(tally.count(), 11);
        let sum = tally.sum();
        assert_eq!(sum.len(), 11);
        assert!((99_900..100_200).contains(&sum.value_at_quantile(0.5)));
        assert!(
            sum.max() >= 3_600_000_000_000,
            "longer than an hour counts as an hour"
        );
    }
}
