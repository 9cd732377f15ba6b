//! A listening socket on a worker.

use std::{io, net::SocketAddr, time::Duration};

use mio::{
    Interest, Registry, Token,
    net::{TcpListener, UnixListener},
};
use socket2::SockRef;
use tokio::time::Instant;

use crate::{
    connection::Socket,
    server::{
        listen::{AcceptBackoff, tune},
        listening::{ListeningSocket, LocalAddr},
    },
};

/// A listening socket on a worker.
pub(crate) struct Acceptor {
    socket: WatchedListener,
    local_addr: LocalAddr,
    backoff: AcceptBackoff,
    /// Whether accepting has failed and the pause has not ended. Each new connection in a pause would otherwise arm
    /// one more timer.
    is_paused: bool,
}

/// A listening socket that a poller watches.
enum WatchedListener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The result of accepting.
pub(crate) enum AcceptOutcome {
    /// A connection, with the peer's address if it has one.
    Accepted(Socket, Option<SocketAddr>),
    /// No connection is waiting.
    Empty,
    /// Accepting has failed, and is to be tried again at this time.
    Pause(Instant),
}

impl Acceptor {
    /// # Errors
    ///
    /// The socket's options can't be set.
    pub(crate) fn new(
        socket: ListeningSocket,
        local_addr: LocalAddr,
        keepalive: Option<Duration>,
    ) -> io::Result<Self> {
        // On Linux accepted sockets inherit these options, so that no call is needed for each of them.
        if INHERITS && let ListeningSocket::Tcp(socket) = &socket {
            tune(&SockRef::from(socket), keepalive)?;
        }
        Ok(Self {
            socket: match socket {
                ListeningSocket::Tcp(socket) => WatchedListener::Tcp(TcpListener::from_std(socket)),
                ListeningSocket::Unix(socket) => {
                    WatchedListener::Unix(UnixListener::from_std(socket))
                }
            },
            local_addr,
            backoff: AcceptBackoff::new(),
            is_paused: false,
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            WatchedListener::Tcp(socket) => registry.register(socket, token, Interest::READABLE),
            WatchedListener::Unix(socket) => registry.register(socket, token, Interest::READABLE),
        }
    }

    /// Ends the pause after a failure.
    pub(crate) fn end_pause(&mut self) {
        self.is_paused = false;
    }

    /// Accepts one connection. `is_serving` is called when accepting fails, because it fails on the socket of a
    /// server that ends.
    pub(crate) fn accept(
        &mut self,
        keepalive: Option<Duration>,
        is_serving: impl Fn() -> bool,
    ) -> AcceptOutcome {
        if self.is_paused {
            return AcceptOutcome::Empty;
        }
        loop {
            let error = match self.socket.accept() {
                Ok((socket, peer_addr)) => {
                    self.backoff.handle_success();
                    let is_tuned = match &socket {
                        Socket::Tcp(tcp) if !INHERITS => {
                            tune(&SockRef::from(tcp), keepalive).is_ok()
                        }
                        _ => true,
                    };
                    if is_tuned {
                        return AcceptOutcome::Accepted(socket, peer_addr);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return AcceptOutcome::Empty;
                }
                Err(_) if !is_serving() => return AcceptOutcome::Empty,
                Err(error) => error,
            };
            let now = Instant::now();
            let backoff = &mut self.backoff;
            if let Some(pause) = backoff.handle_error(&error, &self.local_addr, now.into_std()) {
                self.is_paused = true;
                return AcceptOutcome::Pause(now + pause);
            }
        }
    }
}

impl WatchedListener {
    fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (socket, peer_addr) = socket.accept()?;
                Ok((Socket::Tcp(socket), Some(peer_addr)))
            }
            Self::Unix(socket) => Ok((Socket::Unix(socket.accept()?.0), None)),
        }
    }
}

/// Whether an accepted TCP socket has the options of the listening one.
const INHERITS: bool = cfg!(target_os = "linux");

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn connections_during_a_pause_make_no_second_pause() {
        // Accepting fails on a socket that doesn't listen, and not because no connection waits.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let socket = ListeningSocket::Tcp(socket.into());
        let mut acceptor = Acceptor::new(socket, LocalAddr::Unix(None), None).unwrap();
        for _ in 0..3 {
            assert!(matches!(
                acceptor.accept(None, || true),
                AcceptOutcome::Pause(_)
            ));
            assert!(matches!(
                acceptor.accept(None, || true),
                AcceptOutcome::Empty
            ));
            assert!(matches!(
                acceptor.accept(None, || true),
                AcceptOutcome::Empty
            ));
            acceptor.end_pause();
        }
    }
}
