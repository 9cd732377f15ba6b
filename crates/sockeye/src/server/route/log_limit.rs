//! Log lines that strangers can cause: not more of them than somebody can read.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// One kind of log line that strangers can cause: once in a while it is written, and tells how many weren't.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the last one was written.
    written: Option<Instant>,
    /// Lines left out since then.
    untold: u64,
}

impl LogLimit {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State {
            written: None,
            untold: 0,
        }))
    }

    /// How many lines were left out since the last one, if one may be written now.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        let since = |at| now.saturating_duration_since(at);
        if state.written.is_some_and(|at| since(at) < INTERVAL) {
            state.untold += 1;
            return None;
        }
        state.written = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

/// Between two lines of a kind.
const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_and_the_next_one_tells_how_many_were_not() {
        let limit = LogLimit::default();
        let begin = Instant::now();
        assert_eq!(limit.due(begin), Some(0));
        assert_eq!(limit.due(begin), None);
        assert_eq!(limit.due(begin + INTERVAL / 2), None);
        assert_eq!(limit.due(begin + INTERVAL), Some(2));
        assert_eq!(limit.due(begin + INTERVAL * 3), Some(0));
    }
}
