//! A limit for log lines that any peer can cause.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The rate limit of one kind of log line that any peer can cause: one line per [`INTERVAL`], which says how many
/// were left out.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<LogLimitState>);

#[derive(Debug, Default)]
struct LogLimitState {
    /// When the last line was written.
    logged: Option<Instant>,
    /// Lines left out since then.
    suppressed: u64,
}

impl LogLimit {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(LogLimitState {
            logged: None,
            suppressed: 0,
        }))
    }

    /// Returns how many lines were left out since the last one, if a line may be written now.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        let since = |at| now.saturating_duration_since(at);
        if state.logged.is_some_and(|at| since(at) < INTERVAL) {
            state.suppressed += 1;
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

/// Time between two lines of one kind. A person can read that many.
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
