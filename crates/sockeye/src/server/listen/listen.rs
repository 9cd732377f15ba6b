//! From an address or a path to the sockets that listen there.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::lookup_host;

use crate::{
    error::{Error, ErrorKind},
    server::{
        first_request::Preface,
        listening::{BACKLOG, FileAccess, ListeningSocket, LocalAddr, SocketFile},
    },
    tls::{ServerTls, TlsAcceptor},
};

/// An address or a path on which to listen, from the builder.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub(crate) place: ListenPlace,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) preface: Preface,
}

/// What a listener of the builder is made from.
#[derive(Clone, Debug)]
pub(crate) enum ListenPlace {
    /// An address or a name, with a port.
    Address(String),
    /// The path of a Unix socket.
    Path(PathBuf, FileAccess),
    /// A socket of the program that listens already.
    Socket(Arc<ListeningSocket>),
}

/// Whether a listening socket may be shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketOwner {
    /// The server has made it.
    Server,
    /// Somebody else may go on to listen on it, such as the service manager.
    Program,
}

/// An address with its listening sockets.
pub(crate) struct Bound {
    pub(crate) local_addr: LocalAddr,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) preface: Preface,
    pub(crate) owner: SocketOwner,
    /// The file of a Unix socket that the server has made. Dropped before the sockets: see [`SocketFile`].
    pub(crate) file: Option<SocketFile>,
    /// At least one, all non-blocking. The kernel gives each new connection to one of them.
    pub(crate) sockets: Vec<ListeningSocket>,
}

impl Listen {
    /// Returns whether workers accept on this address themselves. They read nothing but plain HTTP: no TLS and no
    /// PROXY head.
    pub(crate) fn is_for_workers(&self) -> bool {
        self.tls.is_none() && self.preface == Preface::Nothing
    }

    /// Binds every address that the name resolves to: `localhost` means IPv4 and IPv6. An address of a family that
    /// this machine doesn't have is skipped, if another one can be bound.
    ///
    /// If workers accept on it, each address gets `count` sockets, as far as the system lets sockets share an
    /// address.
    ///
    /// # Errors
    ///
    /// Kind `Resolve` or `Io`, with the address in the message.
    pub(crate) async fn bind(self, count: NonZero<usize>) -> Result<Vec<Bound>, Error> {
        let count = match self.is_for_workers() {
            true => count,
            false => NonZero::<usize>::MIN,
        };
        let name = match &self.place {
            ListenPlace::Address(name) => name,
            ListenPlace::Path(path, access) => {
                let bound = self.bind_path(path, *access, count).await;
                return Ok(vec![bound.map_err(|error| {
                    let message = format!("cannot listen on unix:{}", path.display());
                    Error::new(ErrorKind::Io, message).with_source(error)
                })?]);
            }
            ListenPlace::Socket(socket) => {
                let bound = self.shared(socket, SocketOwner::Program, count);
                return Ok(vec![bound.map_err(|error| {
                    let message = "cannot use the listening socket of the program";
                    Error::new(ErrorKind::Io, message).with_source(error)
                })?]);
            }
        };
        let fail = |kind, error: io::Error| {
            Error::new(kind, format!("cannot listen on {name}")).with_source(error)
        };
        let addrs = lookup_host(name)
            .await
            .map_err(|error| fail(ErrorKind::Resolve, error))?;
        let mut all: Vec<Bound> = Vec::new();
        let mut absent = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for addr in addrs {
            match bind(addr, count) {
                Ok((local_addr, sockets)) => all.push(Bound {
                    local_addr: LocalAddr::Tcp(local_addr),
                    tls: self.tls.as_ref().map(ServerTls::acceptor),
                    preface: self.preface,
                    owner: SocketOwner::Server,
                    sockets: sockets.into_iter().map(ListeningSocket::Tcp).collect(),
                    file: None,
                }),
                Err(error) if is_family_absent(&error) => absent = error,
                Err(error) => return Err(fail(ErrorKind::Io, error)),
            }
            // Port 0 stands for one free port, not for one per address.
            if addr.port() == 0 && !all.is_empty() {
                break;
            }
        }
        match all.is_empty() {
            true => Err(fail(ErrorKind::Io, absent)),
            false => Ok(all),
        }
    }
}

impl Listen {
    /// Makes a Unix socket, of which each accept loop has a descriptor.
    async fn bind_path(
        &self,
        path: &Path,
        access: FileAccess,
        count: NonZero<usize>,
    ) -> io::Result<Bound> {
        let (socket, file) = SocketFile::listen(path, access).await?;
        let socket = ListeningSocket::Unix(socket);
        let mut bound = self.shared(&socket, SocketOwner::Server, count)?;
        bound.file = Some(file);
        Ok(bound)
    }

    /// Shares a socket among `count` accept loops: each has a descriptor of it, and a new connection goes to one that is
    /// free.
    fn shared(
        &self,
        socket: &ListeningSocket,
        owner: SocketOwner,
        count: NonZero<usize>,
    ) -> io::Result<Bound> {
        socket.set_nonblocking()?;
        let sockets = (0..count.get()).map(|_| socket.try_clone());
        Ok(Bound {
            local_addr: socket.local_addr()?,
            tls: self.tls.as_ref().map(ServerTls::acceptor),
            preface: self.preface,
            owner,
            sockets: sockets.collect::<io::Result<_>>()?,
            file: None,
        })
    }
}

/// Binds the sockets of one address, and returns the address with its port.
fn bind(addr: SocketAddr, count: NonZero<usize>) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // The first socket is bound without SO_REUSEPORT, so that a port in use is an error: with it, two servers of
    // one user would share the port unawares. Once the port is ours, our other sockets may share it.
    let first = socket(addr)?;
    first.bind(&addr.into())?;
    first.listen(BACKLOG)?;
    let others = others(&first, count.get() - 1)?;
    let first = TcpListener::from(first);
    let local_addr = first.local_addr()?;
    let mut sockets = vec![first];
    sockets.extend(others);
    Ok((local_addr, sockets))
}

/// Binds `count` more sockets to the port of `first`, among which the kernel spreads new connections.
#[cfg(target_os = "linux")]
fn others(first: &Socket, count: usize) -> io::Result<Vec<TcpListener>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    first.set_reuse_port(true)?;
    let addr = first.local_addr()?;
    let one_more = || {
        let socket = socket(addr.as_socket().ok_or(io::ErrorKind::Unsupported)?)?;
        socket.set_reuse_port(true)?;
        socket.bind(&addr)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    (0..count).map(|_| one_more()).collect()
}

/// Returns none, because on other systems the option is missing or only the last socket gets connections.
#[cfg(not(target_os = "linux"))]
fn others(_first: &Socket, _count: usize) -> io::Result<Vec<TcpListener>> {
    Ok(Vec::new())
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // On other systems than Unix this option would let two servers share a port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Returns whether the error means that this machine has no IPv6, or no IPv4.
fn is_family_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Linux's "Address family not supported by protocol", for which std has no kind.
const EAFNOSUPPORT: i32 = 97;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn count(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    #[test]
    fn port_of_another_server_is_refused_however_many_sockets_it_has() {
        for ours in [1, 4] {
            let (addr, _sockets) = bind(ANY_PORT, count(ours)).unwrap();
            for theirs in [1, 4] {
                let error = bind(addr, count(theirs)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{ours} {theirs}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn sockets_of_one_address_share_its_connections() {
        let (addr, sockets) = bind(ANY_PORT, count(4)).unwrap();
        assert_eq!(sockets.len(), 4);
        // The kernel spreads connections by a hash: that one of four sockets gets none of two hundred is one case
        // in 10^24.
        let streams: Vec<TcpStream> = (0..200)
            .map(|_| TcpStream::connect(addr).unwrap())
            .collect();
        let mut accepted = 0;
        for socket in sockets {
            assert_eq!(socket.local_addr().unwrap(), addr);
            let mut own = 0;
            while socket.accept().is_ok() {
                own += 1;
            }
            assert!(own > 0);
            accepted += own;
        }
        assert_eq!(accepted, streams.len());
    }
}
