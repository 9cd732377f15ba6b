//! A listening socket: TCP or Unix.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixListener,
    },
    path::PathBuf,
};

/// A listening socket: TCP or Unix. Non-blocking once it is part of a [`crate::server::listen::Bound`].
#[derive(Debug)]
pub(crate) enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LocalAddr {
    Tcp(SocketAddr),
    /// The path of a Unix socket. `None` if the socket has none, as in the abstract namespace of Linux.
    Unix(Option<PathBuf>),
}

impl ListeningSocket {
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }

    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<LocalAddr> {
        Ok(match self {
            Self::Tcp(socket) => LocalAddr::Tcp(socket.local_addr()?),
            Self::Unix(socket) => {
                LocalAddr::Unix(socket.local_addr()?.as_pathname().map(PathBuf::from))
            }
        })
    }
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// Writes `127.0.0.1:8080` or `unix:/run/a.sock`.
impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("a Unix socket without a path"),
        }
    }
}

/// Connections per socket that the kernel keeps until the accept loop takes them. The kernel may lower the number
/// (`net.core.somaxconn`, 4096 on Linux today).
pub(crate) const BACKLOG: i32 = 4096;
