//! Whether the log can be written.

use parking_lot::Mutex;

use crate::broker::BrokerError;

/// What the log's thread knows of its disk, for those who ask. A failure is over with the next write that succeeds.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failure: Option<BrokerError>,
    failures: u64,
    /// The log can't go on.
    has_ended: bool,
}

impl Health {
    pub(super) fn fail(&self, error: &BrokerError) {
        let mut state = self.0.lock();
        state.failure = Some(error.clone());
        state.failures += 1;
    }

    pub(super) fn recover(&self) {
        self.0.lock().failure = None;
    }

    /// Notes that the log's thread has ended without an order to do so.
    pub(crate) fn end(&self) {
        self.0.lock().has_ended = true;
    }

    /// Returns why the last write has failed, if it has.
    pub(crate) fn failure(&self) -> Option<BrokerError> {
        self.0.lock().failure.clone()
    }

    /// Returns how many writes have failed.
    pub(crate) fn failures(&self) -> u64 {
        self.0.lock().failures
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.lock().has_ended
    }
}
