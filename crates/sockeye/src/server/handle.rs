//! The handle of a running server.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use sockeye_proto::CloseCode;

use crate::{
    connection::Stream,
    server::{
        admit::{Accepted, Capacity},
        closing_notice::ClosingNotice,
        drain::{self, Drain, DrainReport},
        first_request::first_request,
        shared::{Phase, ServerShared},
        stats::Endings,
    },
};

/// A running server.
///
/// # Closing
///
/// Dropping the handle stops accepting and sends every session a Close frame with code 1001, all at once, without
/// waiting for anything. [`ServerHandle::drain`] closes them at a set pace and waits.
///
/// # Starting again
///
/// On Linux the addresses are free when the drop returns, or as soon as a drain has begun: another server in the same
/// process can listen on them at once, while the sessions of this one still end. On other systems the threads close
/// their sockets a moment later, so [`crate::Server::start`] may have to be repeated.
///
/// ```no_run
/// # async fn example(make: impl Fn() -> sockeye::Server) -> Result<(), sockeye::Error> {
/// let server = make().start().await?;
/// drop(server);
/// let server = make().start().await?;
/// # Ok(()) }
/// ```
///
/// # WebSockets of other servers
///
/// WebSockets of an axum or hyper server can count and drain with those of this one: see
/// `sockeye::upgrade::Upgrades`.
pub struct ServerHandle {
    shared: Arc<ServerShared>,
    local_addrs: Vec<SocketAddr>,
    unix_paths: Vec<PathBuf>,
}

impl ServerHandle {
    pub(crate) fn new(
        shared: Arc<ServerShared>,
        local_addrs: Vec<SocketAddr>,
        unix_paths: Vec<PathBuf>,
    ) -> Self {
        Self {
            shared,
            local_addrs,
            unix_paths,
        }
    }

    #[cfg(feature = "axum")]
    pub(crate) fn shared(&self) -> &Arc<ServerShared> {
        &self.shared
    }

    /// Serves one connection that the program has accepted: a socket, a tunnel, a pipe in memory. It counts and
    /// drains like a connection of a listener. `peer_addr` is `None` if the stream has no such address.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    ///
    /// let server = sockeye::Server::unbound().start().await?;
    /// let (mut client, stream) = duplex(1024);
    /// server.accept(stream, None);
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).await?;
    /// assert!(answer.starts_with("HTTP/1.1 404 "));
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn accept(&self, stream: impl Stream, peer_addr: Option<SocketAddr>) {
        if let Some(capacity) = Capacity::new(&self.shared, peer_addr) {
            let accepted = Accepted {
                peer_addr,
                peer_certificates: None,
                capacity,
                shared: Arc::clone(&self.shared),
            };
            tokio::spawn(first_request::handle_stream(stream, accepted));
        }
    }

    /// Returns the TCP addresses on which the server listens, in the order of the builder's calls. A name may stand for
    /// more than one address.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Returns the paths of the Unix sockets on which the server listens, in the order of the builder's calls. A socket of
    /// the abstract namespace has none.
    #[must_use]
    pub fn unix_paths(&self) -> &[PathBuf] {
        &self.unix_paths
    }

    /// Returns the number of open connections of any kind. Each WebSocket on an HTTP/2 connection counts, except the
    /// first.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Returns the number of open WebSockets. One HTTP/2 connection may carry several.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.registry.len()
    }

    /// Returns how many sessions have ended since the server started, and how.
    #[must_use]
    pub fn endings(&self) -> Endings {
        self.shared.registry.stats().endings()
    }

    /// Drains the server: stops accepting, sends a Close frame to every session at the pace of `drain`, waits, and
    /// aborts what is still open when the time is over. Requests in progress are answered; new ones get 503.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the server keeps refusing new connections; call this again to continue.
    pub async fn drain(&self, drain: Drain) -> DrainReport {
        drain::run(&self.shared, &drain).await
    }

    /// Waits until a thread or accept loop of the server itself has panicked, which is a bug in this crate, and
    /// returns a line that names it. Its connections are gone then, and some new ones would be lost too, so the
    /// program should drain the server and start a new one. A panic in an endpoint or a handler doesn't count; it
    /// ends one connection.
    ///
    /// # Cancel safety
    ///
    /// This is cancel safe: the failure is still returned by the next call.
    pub async fn failed(&self) -> Arc<str> {
        self.shared.failure.wait().await
    }

    /// Waits until a drain has ended.
    pub(crate) async fn ended(&self) {
        self.shared.reached(Phase::Ended).await;
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.shared.advance(Phase::Draining);
        let registry = &self.shared.registry;
        let closing_notice = ClosingNotice::new(CloseCode::GOING_AWAY);
        for session in registry.begin_closing(&closing_notice) {
            closing_notice.send_to(&session);
        }
        self.shared.workers.close_all(&closing_notice);
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addrs", &self.local_addrs)
            .field("unix_paths", &self.unix_paths)
            .field("connections", &self.connections())
            .field("sessions", &self.sessions())
            .finish()
    }
}
