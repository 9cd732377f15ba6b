//! Durations by how long they are.

use std::time::Duration;

use super::{cells::Cells, snapshot::DurationHistogram};

/// Where the cells of one histogram are: a cell for each bucket, one for what is longer than all of them, and one for the
/// sum in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Histogram {
    first: usize,
    /// Upper bounds of the buckets, rising.
    bounds: &'static [Duration],
}

impl Histogram {
    pub(crate) const fn len(bounds: &'static [Duration]) -> usize {
        bounds.len() + 2
    }

    pub(crate) const fn at(first: usize, bounds: &'static [Duration]) -> Self {
        Self { first, bounds }
    }

    pub(crate) fn observe(self, cells: &Cells, duration: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < duration);
        cells.add(self.first + bucket, 1);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        cells.add(self.first + self.bounds.len() + 1, nanos);
    }

    pub(crate) fn snapshot(self, cells: &Cells) -> DurationHistogram {
        let mut count = 0;
        let buckets = self.bounds.iter().enumerate().map(|(at, bound)| {
            count += cells.sum(self.first + at);
            (*bound, count)
        });
        let buckets = buckets.collect();
        DurationHistogram {
            buckets,
            count: count + cells.sum(self.first + self.bounds.len()),
            sum: Duration::from_nanos(cells.sum(self.first + self.bounds.len() + 1)),
        }
    }
}

/// Bounds for commands and pings, as Centrifugo has them: 100 µs to 10 s.
pub(crate) const COMMAND_BOUNDS: &[Duration] = &[
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Bounds for the delivery to all subscribers of a channel, as Centrifugo has them: 1 µs to 10 s.
pub(crate) const BROADCAST_BOUNDS: &[Duration] = &[
    Duration::from_micros(1),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Bounds for the age of a publication, as Centrifugo has them: 1 ms to 10 s.
pub(crate) const LAG_BOUNDS: &[Duration] = &[
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
