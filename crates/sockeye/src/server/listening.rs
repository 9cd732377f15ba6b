//! The listening sockets of a server.

use std::{io, net::TcpListener};

use parking_lot::Mutex;
use socket2::SockRef;

/// The listening sockets of a server. Accept loops on other threads hold them too and may be busy, so the server
/// shuts the sockets down here when it stops accepting.
#[derive(Debug, Default)]
pub(crate) struct Listening(Mutex<Vec<TcpListener>>);

impl Listening {
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub(crate) fn add(&self, sockets: &[TcpListener]) -> io::Result<()> {
        let sockets = sockets.iter().map(TcpListener::try_clone);
        let sockets: Vec<TcpListener> = sockets.collect::<io::Result<_>>()?;
        self.0.lock().extend(sockets);
        Ok(())
    }

    /// Shuts all sockets down. On Linux none of them listens when this returns; elsewhere the accept loops close them
    /// a moment later.
    pub(crate) fn shut_down(&self) {
        for socket in self.0.lock().drain(..) {
            // On other systems this is an error for a socket that isn't connected.
            let _ = SockRef::from(&socket).shutdown(std::net::Shutdown::Both);
        }
    }
}
