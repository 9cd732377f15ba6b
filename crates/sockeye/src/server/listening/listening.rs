//! The listening sockets of a server.

use std::io;

use parking_lot::Mutex;
use socket2::SockRef;

use crate::server::listening::{listening_socket::ListeningSocket, socket_file::SocketFile};

/// The listening sockets of a server. Accept loops on other threads hold them too and may be busy, so the server
/// shuts the sockets down here when it stops accepting.
#[derive(Debug, Default)]
pub(crate) struct Listening(Mutex<Sockets>);

#[derive(Debug, Default)]
struct Sockets {
    /// Dropped before the sockets: see [`SocketFile`].
    files: Vec<SocketFile>,
    sockets: Vec<ListeningSocket>,
}

impl Listening {
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub(crate) fn add(
        &self,
        sockets: &[ListeningSocket],
        file: Option<SocketFile>,
    ) -> io::Result<()> {
        let sockets = sockets.iter().map(ListeningSocket::try_clone);
        let sockets: Vec<ListeningSocket> = sockets.collect::<io::Result<_>>()?;
        let mut all = self.0.lock();
        all.sockets.extend(sockets);
        all.files.extend(file);
        Ok(())
    }

    /// Shuts all sockets down, and removes the files of Unix sockets. On Linux none of them listens when this returns;
    /// elsewhere the accept loops close them a moment later.
    pub(crate) fn shut_down(&self) {
        let mut all = self.0.lock();
        all.files.clear();
        for socket in all.sockets.drain(..) {
            // On other systems this is an error for a socket that isn't connected.
            let _ = SockRef::from(&socket).shutdown(std::net::Shutdown::Both);
        }
    }
}
