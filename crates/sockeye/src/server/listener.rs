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
    /// Binds the first address that the name resolves to and that lets itself be bound.
    ///
    /// # Errors
    ///
    /// Kind `Resolve` or `Io`, naming the address.
    pub(crate) async fn bind(self) -> Result<Listener, Error> {
        let fail = |kind, error: io::Error| {
            Error::new(kind, format!("cannot listen on {}", self.addr)).with_source(error)
        };
        let addrs = lookup_host(&self.addr)
            .await
            .map_err(|error| fail(ErrorKind::Resolve, error))?;
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for addr in addrs {
            match bind(addr) {
                Ok(socket) => {
                    let local_addr = socket
                        .local_addr()
                        .map_err(|error| fail(ErrorKind::Io, error))?;
                    return Ok(Listener {
                        socket,
                        tls: self.tls.map(|tls| tls.acceptor()),
                        local_addr,
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(fail(ErrorKind::Io, failure))
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
        let admitted = shared.connections.admit(shared.connections_max);
        let standing = match admitted {
            Some(permit) => Standing::Welcome(permit),
            None => match shared.overflow.admit(OVERFLOW_MAX) {
                Some(permit) => Standing::Overflow(permit),
                None => return,
            },
        };
        if let Err(error) = tune(&stream, shared.tcp_keepalive) {
            tracing::debug!(%peer_addr, %error, "the peer was gone at once");
            return;
        }
        let accepted = Accepted {
            peer_addr,
            standing,
            shared: Arc::clone(shared),
        };
        tokio::spawn(intake::take(stream, self.tls.clone(), accepted));
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

/// Connections that the kernel holds for us while we are busy. It may cut the number down
/// (`net.core.somaxconn`, 4096 on Linux today).
const BACKLOG: i32 = 4096;

/// Connections over the limit that are told so at the same time. Beyond that they are just closed,
/// because who is told costs a task and a descriptor as well.
const OVERFLOW_MAX: usize = 64;

/// First pause after a failure such as a lack of descriptors. Short, because one may return at once.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// Longest pause: descriptors that have returned stay unused for no longer than this.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A server without descriptors fails a thousand times a second; a log should not.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);
