//! An accept loop on tokio.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::server::{
    admit::{Accepted, Capacity},
    first_request::{AcceptSettings, Preface, handle_tcp},
    listen::accept::{AcceptBackoff, tune},
    shared::{Phase, ServerShared},
};

/// A listening socket on tokio.
pub(crate) struct Listener {
    socket: TcpListener,
    accept_settings: AcceptSettings,
    local_addr: SocketAddr,
}

impl Listener {
    /// # Errors
    ///
    /// tokio can't register the socket.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with I/O enabled.
    pub(crate) fn new(
        socket: std::net::TcpListener,
        accept_settings: AcceptSettings,
        local_addr: SocketAddr,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::from_std(socket)?,
            accept_settings,
            local_addr,
        })
    }

    /// Accepts connections until the server drains.
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
                    self.handle_accepted(stream, peer_addr, &shared);
                    continue;
                }
                Err(error) => error,
            };
            // `Listening` has shut the socket down.
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

    /// Counts the connection and spawns a task for it, which ends once a handler has taken the connection over.
    fn handle_accepted(
        &self,
        stream: TcpStream,
        peer_addr: SocketAddr,
        shared: &Arc<ServerShared>,
    ) {
        // Behind a proxy the address in the PROXY head counts, which isn't read yet.
        let counted = (self.accept_settings.preface == Preface::Nothing).then_some(peer_addr);
        let Some(capacity) = Capacity::new(shared, counted) else {
            return;
        };
        if let Err(error) = tune(&SockRef::from(&stream), shared.tcp_keepalive) {
            tracing::debug!(%peer_addr, %error, "the peer closed the connection before it was served");
            return;
        }
        let accepted = Accepted {
            peer_addr: Some(peer_addr),
            capacity,
            shared: Arc::clone(shared),
        };
        tokio::spawn(handle_tcp(stream, self.accept_settings.clone(), accepted));
    }
}
