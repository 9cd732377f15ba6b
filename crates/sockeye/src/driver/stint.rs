//! How long one connection is worked for at a time.

use std::time::{Duration, Instant};

/// Whoever sends without a pause is read from for so long, and then others get their turn. Long enough to take
/// what is large in one go: the kernel's memory that was just read is still in the cache when it is written
/// again, and after a change of connections it isn't. Short enough that nobody feels it who waits.
const STINT: Duration = Duration::from_millis(2);

/// The time that one connection has had.
#[derive(Default)]
pub(super) struct Stint {
    began: Option<Instant>,
}

impl Stint {
    /// Whether it was long enough. Asked between two reads, and for the first time after one: most
    /// connections have no more to read then, and need no clock.
    pub(super) fn is_over(&mut self) -> bool {
        match self.began {
            Some(began) => began.elapsed() >= STINT,
            None => {
                self.began = Some(Instant::now());
                false
            }
        }
    }
}
