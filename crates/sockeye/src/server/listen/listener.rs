//! An accept loop on tokio.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::server::{
    admit::{Accepted, Capacity},
    first_request::{Preface, Ways, first_request},
    listen::accept::{AcceptBackoff, tune},
    shared::{Phase, ServerShared},
};

/// One listening socket in tokio's hands.
pub(crate) struct Listener {
    socket: TcpListener,
    ways: Ways,
    local_addr: SocketAddr,
}

impl Listener {
    /// # Errors
    ///
    /// The system watches no more sockets.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O.
    pub(crate) fn new(
        socket: std::net::TcpListener,
        ways: Ways,
        local_addr: SocketAddr,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::from_std(socket)?,
            ways,
            local_addr,
        })
    }

    /// Accepts until the server drains.
    pub(crate) async fn run(self, shared: Arc<ServerShared>) {
        let mut backoff = AcceptBackoff::new();
        let draining = shared.reached(Phase::Draining);
        tokio::pin!(draining);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut draining => return,
                accepted = self.socket.accept() => accepted,
            };
            let error = match accepted {
                Ok((stream, peer_addr)) => {
                    backoff.handle_success();
                    self.take(stream, peer_addr, &shared);
                    continue;
                }
                Err(error) => error,
            };
            // It was ended.
            if !shared.is_serving() {
                return;
            }
            if let Some(pause) = backoff.handle_error(&error, self.local_addr, Instant::now()) {
                tokio::select! {
                    () = &mut draining => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    /// Counts the connection and gives it a task, which ends when it is known what it wants.
    fn take(&self, stream: TcpStream, peer_addr: SocketAddr, shared: &Arc<ServerShared>) {
        // What the proxy says is the address that counts.
        let counted = (self.ways.preface == Preface::Nothing).then_some(peer_addr);
        let Some(capacity) = Capacity::new(shared, counted) else {
            return;
        };
        if let Err(error) = tune(&SockRef::from(&stream), shared.tcp_keepalive) {
            tracing::debug!(%peer_addr, %error, "the peer was gone at once");
            return;
        }
        let accepted = Accepted {
            peer_addr: Some(peer_addr),
            capacity,
            shared: Arc::clone(shared),
        };
        tokio::spawn(first_request::take_tcp(stream, self.ways.clone(), accepted));
    }
}
