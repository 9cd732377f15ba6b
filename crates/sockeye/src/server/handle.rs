//! The server, while it runs.

use std::{fmt, net::SocketAddr, sync::Arc};

use sockeye_proto::CloseCode;

use crate::{
    connection::Stream,
    server::{
        admit::{Accepted, Capacity},
        drain::{self, Drain, DrainReport},
        farewell::Farewell,
        first_request::first_request,
        shared::{Phase, ServerShared},
        stats::Endings,
    },
};

/// A running server.
///
/// # Closing
///
/// Dropping it stops accepting and sends close code 1001 to every session at once, without waiting
/// for anything. [`ServerHandle::drain`] does it with care.
///
/// # Starting again
///
/// On Linux its addresses are free when the drop returns, or when a drain has begun: another server of the
/// same process can listen on them at once, while the sessions of this one still end. On other systems a
/// moment passes until its threads have closed their sockets; [`crate::Server::start`] may have to be tried
/// again there.
///
/// ```no_run
/// # async fn example(make: impl Fn() -> sockeye::Server) -> Result<(), sockeye::Error> {
/// let server = make().start().await?;
/// drop(server);
/// let server = make().start().await?;
/// # Ok(()) }
/// ```
pub struct ServerHandle {
    shared: Arc<ServerShared>,
    local_addrs: Vec<SocketAddr>,
}

impl ServerHandle {
    pub(crate) fn new(shared: Arc<ServerShared>, local_addrs: Vec<SocketAddr>) -> Self {
        Self {
            shared,
            local_addrs,
        }
    }

    /// Serves one connection that somebody else has accepted: a Unix socket, a tunnel, a pipe in
    /// memory. It counts and drains as if it had come by a listener.
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
    /// Outside a tokio runtime.
    pub fn accept(&self, stream: impl Stream, peer_addr: Option<SocketAddr>) {
        if let Some(capacity) = Capacity::new(&self.shared, peer_addr) {
            let accepted = Accepted {
                peer_addr,
                capacity,
                shared: Arc::clone(&self.shared),
            };
            tokio::spawn(first_request::take_stream(stream, accepted));
        }
    }

    /// Where it listens, in the order in which the builder was told. A name may stand for more than
    /// one address.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Connections at this moment, of whatever kind. Over HTTP/2 each WebSocket of a connection counts but
    /// the first.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Open WebSockets at this moment. One HTTP/2 connection may carry several.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.registry.len()
    }

    /// How sessions have ended, since it began.
    #[must_use]
    pub fn endings(&self) -> Endings {
        self.shared.registry.stats().endings()
    }

    /// Empties the server: stops accepting, says goodbye to every session at a set pace, waits, and
    /// cuts what is left. Requests in progress are answered; new ones get 503.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the server stays closed for newcomers; call it again to go on.
    pub async fn drain(&self, drain: Drain) -> DrainReport {
        drain::run(&self.shared, &drain).await
    }

    /// Waits until a thread of the server has panicked, which is a fault of this crate, and says which one. Its
    /// connections are gone then, and some of those that come would be too: a program does best to drain the server
    /// and to begin anew. Panics in endpoints and handlers are none of these; they end one connection.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
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
        let farewell = Farewell::new(CloseCode::GOING_AWAY);
        for session in registry.begin_farewell(&farewell) {
            farewell.say_to(&session);
        }
        self.shared.workers.farewell(&farewell);
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addrs", &self.local_addrs)
            .field("connections", &self.connections())
            .field("sessions", &self.sessions())
            .finish()
    }
}
