//! How long one connection is worked for at a time.

use std::time::{Duration, Instant};

use crate::connection::fan_out::backlog;

/// Whoever sends without a pause is read from for so long, and then others get their turn. Long enough to take
/// what is large in one go: the kernel's memory that was just read is still in the cache when it is written
/// again, and after a change of connections it isn't. Short enough that nobody feels it who waits.
const TIME_SLICE: Duration = Duration::from_millis(2);

/// The time that one connection has had.
#[derive(Default)]
pub(super) enum TimeSlice {
    #[default]
    Fresh,
    /// Read from once or twice, as most are that then have no more to read: they need no clock.
    Short,
    Since(Instant),
}

impl TimeSlice {
    /// Whether it was long enough, or has sent enough. Asked between two reads, and for the first time after one.
    pub(super) fn is_over(&mut self) -> bool {
        if backlog::is_behind() {
            return true;
        }
        *self = match self {
            Self::Fresh => Self::Short,
            Self::Short => Self::Since(Instant::now()),
            Self::Since(began) => return began.elapsed() >= TIME_SLICE,
        };
        false
    }
}
