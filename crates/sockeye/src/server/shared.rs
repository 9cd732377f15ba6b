//! What all connections of a server share.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use tokio::sync::watch;

use crate::{
    address::{AddressPermit, Key, RetryAfter},
    connection::Connections,
    handshake::{RequestInfo, Shown},
    server::{
        failure::Failure,
        handoff::Workers,
        http_settings::HttpSettings,
        listening::Listening,
        registry::Registry,
        route::{Addresses, LogLimit, Routes, TrustedProxies},
    },
    settings::Settings,
};

/// What all connections of a server share.
pub(crate) struct ServerShared {
    pub(crate) routes: Routes,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) addresses: Addresses,
    pub(crate) log_limits: LogLimits,
    /// For requests that are not a WebSocket's.
    pub(crate) fallback: Option<axum::Router>,
    /// For the time before a route is known, and for routes that have none of their own.
    pub(crate) settings: Settings,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) connections_max: usize,
    pub(crate) connections: Connections,
    /// Those of addresses that have too many, which are there to be told so.
    pub(crate) overflow: Connections,
    /// Connections over the limit that are there for plain requests.
    pub(crate) reserve: Connections,
    pub(crate) reserve_max: usize,
    pub(crate) http: HttpSettings,
    pub(crate) registry: Arc<Registry>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) listening: Listening,
    pub(crate) workers: Workers,
    /// Whether a thread or a task of its own has panicked.
    pub(crate) failure: Failure,
}

/// Of log lines that strangers can cause.
#[derive(Debug, Default)]
pub(crate) struct LogLimits {
    address: LogLimit,
    pub(crate) origin: LogLimit,
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

impl ServerShared {
    /// What a client has asked for, whatever stands between it and us.
    pub(crate) fn info<'h>(
        &self,
        shown: Shown<'_>,
        headers: impl FnOnce() -> &'h HeaderMap,
    ) -> RequestInfo {
        self.trusted_proxies
            .request_info(shown, &self.addresses, headers)
    }

    /// Counts one more connection of an address, unless it is that of a trusted proxy, whose requests count
    /// for the addresses that it tells.
    pub(crate) fn enter(&self, peer: IpAddr) -> Result<Option<AddressPermit>, RetryAfter> {
        if self.trusted_proxies.trusts(peer) {
            return Ok(None);
        }
        self.enter_for(self.addresses.key(peer), Some(peer))
    }

    /// Counts one more handshake and one more connection of an address.
    pub(crate) fn enter_for(
        &self,
        key: Option<Key>,
        addr: Option<IpAddr>,
    ) -> Result<Option<AddressPermit>, RetryAfter> {
        let counted = self.addresses.count_handshake(key);
        let entered = counted.and_then(|()| self.addresses.enter(key));
        entered.inspect_err(|_| {
            if let (Some(untold), Some(addr)) = (self.log_limits.address.due(Instant::now()), addr)
            {
                tracing::warn!(%addr, untold, "an address has reached its limits and is refused");
            }
        })
    }

    /// Goes on to `phase`, if it is not there or beyond.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let is_news = *current < phase;
            *current = phase.max(*current);
            is_news
        });
        if phase > Phase::Serving {
            self.listening.end();
        }
        self.workers.tell_phase();
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
