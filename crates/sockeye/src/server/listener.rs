//! One listening socket and its accept loop.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio_rustls::TlsAcceptor;

use super::{
    Phase, Shared,
    intake::{self, Accepted, Standing},
};
use crate::{Error, ErrorKind, ServerTls};

/// Where to listen, as the builder was told.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub(crate) addr: String,
    pub(crate) tls: Option<ServerTls>,
}

/// One listening socket.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    local_addr: SocketAddr,
}

impl Listen {
    /// Binds every address that the name resolves to: `localhost` means IPv4 and IPv6. An address
    /// of a family that this machine doesn't have is passed over, if another one can be bound.
    ///
    /// # Errors
    ///
    /// Kind `Resolve` or `Io`, naming the address.
    pub(crate) async fn bind(self) -> Result<Vec<Listener>, Error> {
        let fail = |kind, error: io::Error| {
            Error::new(kind, format!("cannot listen on {}", self.addr)).with_source(error)
        };
        let addrs = lookup_host(&self.addr)
            .await
            .map_err(|error| fail(ErrorKind::Resolve, error))?;
        let mut listeners: Vec<Listener> = Vec::new();
        let mut absent = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for addr in addrs {
            let bound = bind(addr).and_then(|socket| Ok((socket.local_addr()?, socket)));
            match bound {
                Ok((local_addr, socket)) => listeners.push(Listener {
                    socket,
                    tls: self.tls.as_ref().map(ServerTls::acceptor),
                    local_addr,
                }),
                Err(error) if is_family_absent(&error) => absent = error,
                Err(error) => return Err(fail(ErrorKind::Io, error)),
            }
            // Any free port is one port.
            if addr.port() == 0 && !listeners.is_empty() {
                break;
            }
        }
        match listeners.is_empty() {
            true => Err(fail(ErrorKind::Io, absent)),
            false => Ok(listeners),
        }
    }
}

impl Listener {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts until the server drains. Whatever fails meanwhile, it goes on: an accept loop that
    /// ends is a server that looks alive and is not.
    pub(crate) async fn run(self, shared: Arc<Shared>) {
        let mut complaint = Complaint::default();
        let mut pause = PAUSE_MIN;
        let draining = shared.reached(Phase::Draining);
        tokio::pin!(draining);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut draining => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer_addr)) => {
                    pause = PAUSE_MIN;
                    self.take(stream, peer_addr, &shared);
                }
                // The peer was gone before we came.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    complaint.make(&error, self.local_addr);
                    tokio::select! {
                        () = &mut draining => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Counts the connection and gives it a task, which ends when it is known what it wants.
    fn take(&self, stream: TcpStream, peer_addr: SocketAddr, shared: &Arc<Shared>) {
        let Some(standing) = Standing::new(shared) else {
            return;
        };
        if let Err(error) = tune(&stream, shared.tcp_keepalive) {
            tracing::debug!(%peer_addr, %error, "the peer was gone at once");
            return;
        }
        let accepted = Accepted {
            peer_addr: Some(peer_addr),
            standing,
            shared: Arc::clone(shared),
        };
        tokio::spawn(intake::take_tcp(stream, self.tls.clone(), accepted));
    }
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // Elsewhere than on Unix it would let two servers share a port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn tune(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(time) = keepalive {
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(time);
        SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// Errors that tell of a machine without IPv6, or without IPv4.
fn is_family_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Errors that tell of the connection that was to be accepted, and nothing of us.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// Says that accepting fails, now and then.
#[derive(Default)]
struct Complaint {
    last: Option<Instant>,
    /// Failures since `last` that were not told.
    untold: u32,
}

impl Complaint {
    fn make(&mut self, error: &io::Error, local_addr: SocketAddr) {
        let is_due = self
            .last
            .is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL);
        if !is_due {
            self.untold += 1;
            return;
        }
        tracing::error!(%local_addr, %error, untold = self.untold, "cannot accept connections");
        self.last = Some(Instant::now());
        self.untold = 0;
    }
}

/// "Address family not supported by protocol" on Linux, for which std has no kind.
const EAFNOSUPPORT: i32 = 97;

/// Connections that the kernel holds for us while we are busy. It may cut the number down
/// (`net.core.somaxconn`, 4096 on Linux today).
const BACKLOG: i32 = 4096;

/// First pause after a failure such as a lack of descriptors. Short, because one may return at once.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// Longest pause: descriptors that have returned stay unused for no longer than this.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A server without descriptors fails a thousand times a second; a log should not.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);
