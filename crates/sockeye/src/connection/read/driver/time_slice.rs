//! The time for which one connection is driven at a time.

use std::time::{Duration, Instant};

use crate::connection::fan_out::backlog;

/// How long a peer that sends without a pause is read from before other connections are driven. Long enough
/// for a large message in one go, because the kernel's memory just read is still in the cache when it is
/// written again. Short enough that no other connection waits noticeably.
const TIME_SLICE: Duration = Duration::from_millis(2);

/// The time that one connection has had.
#[derive(Default)]
pub(super) enum TimeSlice {
    #[default]
    Fresh,
    /// One read or two, after which most connections have no more to read. They need no clock.
    Short,
    Since(Instant),
}

impl TimeSlice {
    /// Returns whether the time is over, or the connection has sent enough to groups. Called between two
    /// reads.
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
