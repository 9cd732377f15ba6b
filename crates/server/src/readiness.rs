//! `/health/ready`: whether newcomers should come here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    http::StatusCode,
    response::IntoResponse,
    routing::{self, MethodRouter},
};

/// Whether newcomers should come here: yes from the beginning, no once the server is asked to end.
/// Clones speak of the same server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    has_ended: Arc<AtomicBool>,
}

impl Readiness {
    /// From now on they should not.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// `200 ready`, or `503 draining`.
    pub(crate) fn route(&self) -> MethodRouter {
        let readiness = self.clone();
        routing::get(move || async move { readiness.answer() })
    }

    fn answer(&self) -> impl IntoResponse + use<> {
        match self.has_ended.load(Ordering::Acquire) {
            false => (StatusCode::OK, "ready\n"),
            true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }
}
