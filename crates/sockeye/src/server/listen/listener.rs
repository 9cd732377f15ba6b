//! An accept loop on tokio.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use socket2::SockRef;
use tokio::net::{TcpListener, UnixListener};

use crate::{
    connection::AsyncSocket,
    server::{
        admit::{Accepted, Capacity},
        first_request::{AcceptSettings, Preface, handle_socket},
        listen::accept::{AcceptBackoff, tune},
        listening::{ListeningSocket, LocalAddr},
        shared::{Phase, ServerShared},
    },
};

/// A listening socket on tokio.
pub(crate) struct Listener {
    socket: AsyncListener,
    accept_settings: AcceptSettings,
    local_addr: LocalAddr,
}

enum AsyncListener {
    Tcp(TcpListener),
    Unix(UnixListener),
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
        socket: ListeningSocket,
        accept_settings: AcceptSettings,
        local_addr: LocalAddr,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: match socket {
                ListeningSocket::Tcp(socket) => AsyncListener::Tcp(TcpListener::from_std(socket)?),
                ListeningSocket::Unix(socket) => {
                    AsyncListener::Unix(UnixListener::from_std(socket)?)
                }
            },
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
                Ok((socket, peer_addr)) => {
                    backoff.handle_success();
                    self.handle_accepted(socket, peer_addr, &shared);
                    continue;
                }
                Err(error) => error,
            };
            // `Listening` has shut the socket down.
            if !shared.is_serving() {
                return;
            }
            if let Some(pause) = backoff.handle_error(&error, &self.local_addr, Instant::now()) {
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
        socket: AsyncSocket,
        peer_addr: Option<SocketAddr>,
        shared: &Arc<ServerShared>,
    ) {
        // Behind a proxy the address in the PROXY head counts, which isn't read yet.
        let counted = peer_addr.filter(|_| self.accept_settings.preface == Preface::Nothing);
        let Some(capacity) = Capacity::new(shared, counted) else {
            return;
        };
        if let AsyncSocket::Tcp(tcp) = &socket
            && let Err(error) = tune(&SockRef::from(tcp), shared.tcp_keepalive)
        {
            tracing::debug!(peer_addr = peer_addr.map(display), %error, "the peer closed the connection before it was served");
            return;
        }
        let accepted = Accepted {
            peer_addr,
            peer_certificates: None,
            capacity,
            shared: Arc::clone(shared),
        };
        tokio::spawn(handle_socket(
            socket,
            self.accept_settings.clone(),
            accepted,
        ));
    }
}

impl AsyncListener {
    /// # Cancel safety
    ///
    /// This is cancel safe: a connection is returned or stays in the kernel's queue.
    async fn accept(&self) -> io::Result<(AsyncSocket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer_addr) = listener.accept().await?;
                Ok((socket.into(), Some(peer_addr)))
            }
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().await?;
                Ok((socket.into(), None))
            }
        }
    }
}
