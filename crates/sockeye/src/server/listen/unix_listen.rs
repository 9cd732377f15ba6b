//! A Unix socket on which to listen, from the builder.

use std::{
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(doc)]
use crate::Server;
use crate::{
    server::{
        first_request::Preface,
        listen::listen::{Listen, ListenPlace},
        listening::{FileAccess, ListeningSocket},
    },
    tls::ServerTls,
};

/// A Unix socket on which a server listens: a path, or a socket that listens already. For [`Server::listen_unix`].
///
/// A path is enough where the defaults will do: `listen_unix("/run/feed.sock")`.
///
/// ```no_run
/// use sockeye::{Server, UnixListen};
///
/// // nginx runs as another user of the group 33.
/// let socket = UnixListen::at("/run/feed/feed.sock").mode(0o660).group(33);
/// let server = Server::unbound().listen_unix(socket);
/// ```
///
/// # The file
///
/// [`Server::start`] creates the file. If a file is there, the server connects to it: a socket on which nobody listens
/// was left behind by a process that is gone, and is replaced. Anything else stays, and starting fails. Servers of this
/// crate lock the directory meanwhile (`flock`), so two that start at the same time don't take each other's file.
///
/// The server removes the file when it stops accepting, unless another one is there by then. A process that was killed
/// leaves it behind for the next.
///
/// # The peer
///
/// It has no address: [`Request::peer_addr`](crate::Request::peer_addr) is `None`, and no limits for each address apply.
/// Behind a reverse proxy the client's address comes by the PROXY protocol ([`UnixListen::behind_proxy`]), or in header
/// fields: [`Server::trusted_proxies`] with `unix:`.
#[derive(Clone, Debug)]
pub struct UnixListen {
    place: ListenPlace,
    tls: Option<ServerTls>,
    preface: Preface,
}

impl UnixListen {
    /// Listens at this path. The system limits its length, to 107 bytes on Linux.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::new(ListenPlace::Path(path.into(), FileAccess::default()))
    }

    fn new(place: ListenPlace) -> Self {
        Self {
            place,
            tls: None,
            preface: Preface::Nothing,
        }
    }

    /// Sets who may connect: the file's mode, of which Linux checks the write permission. Nobody can connect before it is
    /// set. Default: what the process's umask leaves of 0777, which is usually 0755: the owner alone may connect.
    ///
    /// For a socket that listens already this and the next two do nothing.
    pub fn mode(mut self, mode: u32) -> Self {
        if let ListenPlace::Path(_, access) = &mut self.place {
            access.mode = Some(mode);
        }
        self
    }

    /// Sets the user that owns the file, which takes privileges. Default: the process's.
    pub fn owner(mut self, user_id: u32) -> Self {
        if let ListenPlace::Path(_, access) = &mut self.place {
            access.user_id = Some(user_id);
        }
        self
    }

    /// Sets the group of the file. Without privileges it must be one of the process's groups. Default: the process's, or
    /// the directory's if that has its set-group-ID bit set.
    pub fn group(mut self, group_id: u32) -> Self {
        if let ListenPlace::Path(_, access) = &mut self.place {
            access.group_id = Some(group_id);
        }
        self
    }

    /// Speaks TLS on it. Default: plain.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Expects the header of the PROXY protocol at the beginning of each connection: see
    /// [`Server::listen_behind_proxy`]. Default: not expected.
    pub fn behind_proxy(mut self) -> Self {
        self.preface = Preface::ProxyHead;
        self
    }

    pub(crate) fn into_listen(self) -> Listen {
        Listen {
            place: self.place,
            tls: self.tls,
            preface: self.preface,
        }
    }
}

/// Listens at the path.
impl From<&str> for UnixListen {
    fn from(path: &str) -> Self {
        Self::at(path)
    }
}

/// Listens at the path.
impl From<String> for UnixListen {
    fn from(path: String) -> Self {
        Self::at(path)
    }
}

/// Listens at the path.
impl From<&Path> for UnixListen {
    fn from(path: &Path) -> Self {
        Self::at(path)
    }
}

/// Listens at the path.
impl From<PathBuf> for UnixListen {
    fn from(path: PathBuf) -> Self {
        Self::at(path)
    }
}

/// Accepts on a socket that listens already, such as one from the service manager. Its file stays when the server ends,
/// and the socket isn't shut down.
impl From<UnixListener> for UnixListen {
    fn from(socket: UnixListener) -> Self {
        Self::new(ListenPlace::Socket(Arc::new(ListeningSocket::Unix(socket))))
    }
}
