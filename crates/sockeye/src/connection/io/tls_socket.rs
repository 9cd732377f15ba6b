//! TLS on a worker's socket.

use std::io::{self, IoSlice, Read, Write};

use rustls::ServerConnection;

use crate::connection::io::socket::Socket;

/// TLS on a worker's socket, after the handshake. It is non-blocking like the socket.
pub(crate) struct TlsSocket {
    socket: Socket,
    tls: ServerConnection,
}

impl TlsSocket {
    pub(crate) fn new(socket: Socket, tls: ServerConnection) -> Self {
        Self { socket, tls }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Sends `close_notify`, and ends the sending direction.
    pub(crate) fn shutdown(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.write_out()?;
        self.socket.shutdown()
    }

    /// Writes records until the socket refuses or none is left.
    fn write_out(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.socket)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

impl Read for TlsSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            match self.tls.reader().read(&mut buffer[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(len) => {
                    filled += len;
                    if filled == buffer.len() {
                        return Ok(filled);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Bytes before the end are handed out first; the next read reports the end.
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
            match self.tls.read_tls(&mut self.socket) {
                // At the end, the reader says whether it is a clean one.
                Ok(_) => {}
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
            let processed = self.tls.process_new_packets();
            if self.tls.wants_write() {
                // An answer of TLS itself, such as a new key or an alert. If the socket refuses it, the next
                // write sends it.
                let _ = self.write_out();
            }
            if let Err(error) = processed {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

impl TlsSocket {
    /// Encrypts as much as fits, and writes as much as the socket takes.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            let taken = self.tls.writer().write_vectored(slices)?;
            match self.write_out() {
                Ok(()) if taken > 0 => return Ok(taken),
                // The TLS session's buffer was full, and has room now.
                Ok(()) => {}
                Err(error) if taken > 0 && error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(taken);
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.write_out()
    }
}
