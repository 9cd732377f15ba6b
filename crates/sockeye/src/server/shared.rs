//! The state that all connections of a server share.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use tokio::sync::watch;

#[cfg(feature = "engineio")]
use crate::server::engineio::EngineIoMounts;
#[cfg(feature = "axum")]
use crate::server::fallback::Fallback;
#[cfg(feature = "sockjs")]
use crate::server::sockjs::SockJsMounts;
use crate::{
    address::{AddressPermit, Key, RetryAfter},
    connection::Connections,
    handshake::{RequestInfo, Shown},
    log_limit::LogLimit,
    server::{
        bodies::Bodies,
        failure::Failure,
        handoff::Workers,
        http_settings::HttpSettings,
        listening::Listening,
        registry::Registry,
        route::{Addresses, Routes, TrustedProxies},
    },
    settings::Settings,
};

/// The state that all connections of a server share.
pub(crate) struct ServerShared {
    pub(crate) routes: Routes,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) addresses: Addresses,
    pub(crate) log_limits: LogLimits,
    #[cfg(feature = "sockjs")]
    pub(crate) sockjs: SockJsMounts,
    #[cfg(feature = "engineio")]
    pub(crate) engineio: EngineIoMounts,
    /// Answers requests that don't ask for a WebSocket.
    #[cfg(feature = "axum")]
    pub(crate) fallback: Option<Fallback>,
    /// Used before the route is known, and by routes without settings of their own.
    pub(crate) settings: Settings,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) connections_max: usize,
    pub(crate) connections: Connections,
    /// Connections of addresses that have reached their limits, which are open only to be refused.
    pub(crate) overflow: Connections,
    /// Connections beyond `connections_max`, which are open for plain requests.
    pub(crate) reserve: Connections,
    pub(crate) reserve_max: usize,
    pub(crate) http: HttpSettings,
    /// The bodies of plain requests that are being read.
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) listening: Listening,
    pub(crate) workers: Workers,
    /// Whether one of the server's own threads or tasks has panicked.
    pub(crate) failure: Failure,
}

/// How often the log lines are written that any peer can cause.
#[derive(Debug, Default)]
pub(crate) struct LogLimits {
    address: LogLimit,
    pub(crate) origin: LogLimit,
}

/// The phase of a server. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// Nothing new is accepted; open connections end in order.
    Draining,
    /// Whatever is still open is aborted.
    Ended,
}

impl ServerShared {
    /// Returns what the client has asked for, seen through the trusted proxies.
    pub(crate) fn info<'h>(
        &self,
        shown: Shown<'_>,
        headers: impl FnOnce() -> &'h HeaderMap,
    ) -> RequestInfo {
        self.trusted_proxies
            .request_info(shown, &self.addresses, headers)
    }

    /// Counts one more connection of a peer's address. The connections of a trusted proxy don't count; its requests
    /// count for the addresses that it names.
    pub(crate) fn count_connection(
        &self,
        peer: IpAddr,
    ) -> Result<Option<AddressPermit>, RetryAfter> {
        if self.trusted_proxies.trusts(peer) {
            return Ok(None);
        }
        self.count_for_key(self.addresses.key(peer), Some(peer))
    }

    /// Counts one more handshake and one more connection of an address.
    pub(crate) fn count_for_key(
        &self,
        key: Option<Key>,
        addr: Option<IpAddr>,
    ) -> Result<Option<AddressPermit>, RetryAfter> {
        let counted = self.addresses.count_handshake(key);
        let entered = counted.and_then(|()| self.addresses.count_connection(key));
        entered.inspect_err(|_| {
            if let (Some(suppressed), Some(addr)) = (self.log_limits.address.due(Instant::now()), addr)
            {
                tracing::warn!(%addr, suppressed, "an address has reached its limits and is refused");
            }
        })
    }

    /// Moves on to `phase`, unless the server is there or beyond.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let is_news = *current < phase;
            *current = phase.max(*current);
            is_news
        });
        if phase > Phase::Serving {
            self.listening.shut_down();
        }
        self.workers.notify_phase();
    }

    /// Waits until the server is at `phase` or beyond.
    pub(crate) async fn reached(&self, phase: Phase) {
        // This can't fail, because the sender lives in `self`.
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
