//! A listening socket on a worker.

use std::{io, net::SocketAddr, time::Duration};

use mio::{Interest, Registry, Token, net::TcpListener, net::TcpStream};
use socket2::SockRef;
use tokio::time::Instant;

use crate::server::listen::{AcceptBackoff, tune};

/// A listening socket on a worker.
pub(crate) struct Acceptor {
    socket: TcpListener,
    local_addr: SocketAddr,
    backoff: AcceptBackoff,
    /// Whether it failed, and the time to try again hasn't come: each newcomer meanwhile would make one
    /// more timer.
    is_paused: bool,
}

/// What accepting has brought.
pub(crate) enum Arrival {
    Slot(TcpStream, SocketAddr),
    /// Nobody is waiting.
    Nobody,
    /// It failed, and is to be tried again then.
    Pause(Instant),
}

impl Acceptor {
    /// # Errors
    ///
    /// The socket can't be set up.
    pub(crate) fn new(
        socket: std::net::TcpListener,
        local_addr: SocketAddr,
        keepalive: Option<Duration>,
    ) -> io::Result<Self> {
        // On Linux what is accepted inherits these options: no call for each connection.
        if INHERITS {
            tune(&SockRef::from(&socket), keepalive)?;
        }
        Ok(Self {
            socket: TcpListener::from_std(socket),
            local_addr,
            backoff: AcceptBackoff::new(),
            is_paused: false,
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// The time to try again has come.
    pub(crate) fn end_pause(&mut self) {
        self.is_paused = false;
    }

    /// `is_serving` is asked when accepting fails: the socket of a server that ends does.
    pub(crate) fn accept(
        &mut self,
        keepalive: Option<Duration>,
        is_serving: impl Fn() -> bool,
    ) -> Arrival {
        if self.is_paused {
            return Arrival::Nobody;
        }
        loop {
            let error = match self.socket.accept() {
                Ok((socket, peer_addr)) => {
                    self.backoff.handle_success();
                    if INHERITS || tune(&SockRef::from(&socket), keepalive).is_ok() {
                        return Arrival::Slot(socket, peer_addr);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Arrival::Nobody,
                Err(_) if !is_serving() => return Arrival::Nobody,
                Err(error) => error,
            };
            let now = Instant::now();
            let backoff = &mut self.backoff;
            if let Some(pause) = backoff.handle_error(&error, self.local_addr, now.into_std()) {
                self.is_paused = true;
                return Arrival::Pause(now + pause);
            }
        }
    }
}

/// Whether an accepted socket has the options of the one that listens.
const INHERITS: bool = cfg!(target_os = "linux");

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn newcomers_during_a_pause_make_no_second_pause() {
        // A socket that doesn't listen: accepting fails, and not for lack of newcomers.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut acceptor = Acceptor::new(socket.into(), addr, None).unwrap();
        for _ in 0..3 {
            assert!(matches!(acceptor.accept(None, || true), Arrival::Pause(_)));
            assert!(matches!(acceptor.accept(None, || true), Arrival::Nobody));
            assert!(matches!(acceptor.accept(None, || true), Arrival::Nobody));
            acceptor.end_pause();
        }
    }
}
