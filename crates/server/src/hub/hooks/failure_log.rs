//! The log lines of a hook that fails, which can be often.

use std::time::{Duration, Instant};

use crate::line_limit::LineLimit;

/// Logs failures, one line a second at most, so that an application that is down doesn't fill the log; and answers with
/// keys that mean nothing.
pub(super) struct FailureLog {
    failures: LineLimit,
    unknown_keys: LineLimit,
}

impl Default for FailureLog {
    fn default() -> Self {
        Self {
            failures: LineLimit::every(Duration::from_secs(1)),
            unknown_keys: LineLimit::every(Duration::from_secs(10)),
        }
    }
}

impl FailureLog {
    pub(super) fn write(&self, hook: &str, endpoint: &str, reason: &str) {
        if let Some(unlogged) = self.failures.due(Instant::now()) {
            tracing::warn!(
                hook,
                endpoint,
                reason,
                unlogged,
                "the application can't be asked"
            );
        }
    }

    pub(super) fn write_unknown_keys(&self, hook: &str, endpoint: &str, keys: &[String]) {
        if let Some(unlogged) = self.unknown_keys.due(Instant::now()) {
            tracing::warn!(
                hook,
                endpoint,
                keys = keys.join(", "),
                unlogged,
                "the application's answer has keys that mean nothing"
            );
        }
    }
}
