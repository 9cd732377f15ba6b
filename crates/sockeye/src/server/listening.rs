//! The sockets that a server listens on.

use std::{io, net::TcpListener};

use parking_lot::Mutex;
use socket2::SockRef;

/// The sockets of a server that listens, so that they end at once when it does. Whoever accepts has them too,
/// on other threads, which may have something else to do at that moment.
#[derive(Debug, Default)]
pub(crate) struct Listening(Mutex<Vec<TcpListener>>);

impl Listening {
    /// # Errors
    ///
    /// The system has no more descriptors.
    pub(crate) fn add(&self, sockets: &[TcpListener]) -> io::Result<()> {
        let sockets = sockets.iter().map(TcpListener::try_clone);
        let sockets: Vec<TcpListener> = sockets.collect::<io::Result<_>>()?;
        self.0.lock().extend(sockets);
        Ok(())
    }

    /// None of them listens any more when this returns, on Linux; elsewhere it is those who accept that close
    /// them, a moment later.
    pub(crate) fn end(&self) {
        for socket in self.0.lock().drain(..) {
            // Elsewhere it is an error for a socket that isn't connected.
            let _ = SockRef::from(&socket).shutdown(std::net::Shutdown::Both);
        }
    }
}
