//! Points in time, and numbers to spread them by.

use std::time::Duration;

use tokio::time::Instant;

/// Returns `instant + duration`, at most 30 years later. A program that wants no limit sets
/// [`Duration::MAX`], which no clock can hold.
pub(crate) fn later(instant: Instant, duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
    instant + duration.min(NEVER)
}

/// Returns a number from 0 to 1. Successive ids are steps of the golden ratio, which spread evenly however
/// many there are.
pub(crate) fn fraction(id: u64) -> f64 {
    let bits = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    bits as f64 / f64::from(1 << 24)
}
