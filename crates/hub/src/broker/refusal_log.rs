//! The log lines about what a limit of the broker refuses.

use std::time::Duration;

use crate::{broker::BrokerError, log_limit::LogLimit};

/// Logs refusals, which clients can cause as often as they like.
#[derive(Default)]
pub(crate) struct BrokerRefusalLog(LogLimit);

impl BrokerRefusalLog {
    /// Logs a refusal if a line is due.
    pub(crate) fn write(&self, error: &BrokerError, now: Duration) {
        if let Some(left_out) = self.0.due(now) {
            tracing::warn!(%error, left_out, "the broker refuses what it can't keep");
        }
    }
}
