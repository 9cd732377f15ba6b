//! `/health/ready`: whether a load balancer should send new clients.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    http::StatusCode,
    response::IntoResponse,
    routing::{self, MethodRouter},
};
use sockeye_hub::broker::LogBroker;

/// Whether a load balancer should send new clients: yes from the start, no once the server is asked to end, while one of its
/// components has a failure that may pass, and when one has failed for good. Clones share the state.
#[derive(Clone, Default)]
pub(crate) struct Readiness {
    has_ended: Arc<AtomicBool>,
    parts: Vec<Part>,
    /// Those whose failures pass, and are not over by another start.
    passing: Vec<Part>,
}

/// Returns the failure of a component, in one line.
type Part = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Readiness {
    /// Adds a component.
    pub(crate) fn with(
        mut self,
        part: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.parts.push(Arc::new(part));
        self
    }

    /// Adds a component whose failure may pass, and would be there again after another start: a full disk.
    pub(crate) fn with_passing(
        mut self,
        part: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.passing.push(Arc::new(part));
        self
    }

    /// Adds the log of channels.
    pub(crate) fn with_log(self, log: &LogBroker) -> Self {
        let (ended, log) = (log.clone(), log.clone());
        self.with(move || {
            let text = || "the log of channels has ended".to_owned();
            ended.has_ended().then(text)
        })
        .with_passing(move || {
            let failure = log.failure()?;
            Some(format!("the log of channels can't be written: {failure}"))
        })
    }

    /// Makes the server not ready.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Returns the failures that are for good, each in one line. Empty while all components live.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.parts.iter().filter_map(|part| part()).collect()
    }

    /// Answers `200 ready`, or `503` with the reason.
    pub(crate) fn route(&self) -> MethodRouter {
        let readiness = self.clone();
        routing::get(move || async move { readiness.answer() })
    }

    fn answer(&self) -> impl IntoResponse + use<> {
        if self.has_ended.load(Ordering::Acquire) {
            return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
        }
        let passing = self.passing.iter().filter_map(|part| part());
        let wrong: Vec<String> = self.failures().into_iter().chain(passing).collect();
        match wrong.is_empty() {
            true => (StatusCode::OK, "ready\n".to_owned()),
            false => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{}\n", wrong.join("\n")),
            ),
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("has_ended", &self.has_ended)
            .field("parts", &self.parts.len())
            .field("passing", &self.passing.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_part_that_has_failed_is_named_and_the_end_comes_first() {
        let failure = Arc::new(Mutex::new(None));
        let asked = Arc::clone(&failure);
        let readiness = Readiness::default()
            .with(|| None)
            .with(move || asked.lock().unwrap().clone());
        let status = || readiness.answer().into_response().status();
        assert_eq!(status(), StatusCode::OK);
        *failure.lock().unwrap() = Some("the chat has stopped".to_owned());
        assert_eq!(status(), StatusCode::SERVICE_UNAVAILABLE);
        *failure.lock().unwrap() = None;
        let full = || Some("the disk is full".to_owned());
        let with_full_disk = readiness.clone().with_passing(full);
        let answer = with_full_disk.answer().into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(with_full_disk.failures().is_empty(), "no restart mends it");
        readiness.end();
        assert_eq!(status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
