//! What all connections of a server share.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    Failure, HttpSettings, Registry, connections::Connections, forwarded::TrustedProxies,
    route::Routes,
};
use crate::{Settings, worker::Crew};

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) routes: Routes,
    pub(crate) trusted_proxies: TrustedProxies,
    /// For requests that are not a WebSocket's.
    pub(crate) fallback: Option<axum::Router>,
    /// For the time before a route is known, and for routes that have none of their own.
    pub(crate) settings: Settings,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) connections_max: usize,
    pub(crate) connections: Connections,
    /// Connections over the limit that are there for plain requests.
    pub(crate) reserve: Connections,
    pub(crate) reserve_max: usize,
    pub(crate) http: HttpSettings,
    pub(crate) registry: Arc<Registry>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) crew: Crew,
    /// Whether a thread or a task of its own has panicked.
    pub(crate) failure: Failure,
}

/// The life of a server. Never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// No new connection; those that are open end in order.
    Draining,
    /// What is still open is cut.
    Ended,
}

impl Shared {
    /// Goes on to `phase`, if it is not there or beyond.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let is_news = *current < phase;
            *current = phase.max(*current);
            is_news
        });
        self.crew.tell_phase();
    }

    /// Waits until the server is at `phase` or beyond.
    pub(crate) async fn reached(&self, phase: Phase) {
        // The sender lives in `self`, so that this cannot fail.
        let _ = self
            .phase
            .subscribe()
            .wait_for(|current| *current >= phase)
            .await;
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.phase() == Phase::Serving
    }
}
