//! Points in time, and how to spread them.

use std::time::Duration;

use tokio::time::Instant;

/// `instant + duration`, or so late that nobody sees it: somebody who wants no limit sets
/// [`Duration::MAX`], which no clock can hold.
pub(crate) fn later(instant: Instant, duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
    instant + duration.min(NEVER)
}

/// From 0 to 1. Steps of the golden ratio: however many numbers there have been, they are spread evenly.
pub(crate) fn fraction(id: u64) -> f64 {
    let bits = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    bits as f64 / f64::from(1 << 24)
}
