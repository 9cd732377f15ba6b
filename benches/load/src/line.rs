//! The way to a server: TCP, or TLS over it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
};

use rustix::net::RecvFlags;
use rustls::ClientConnection;

use crate::wrong::Wrong;

/// One connection's way.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Line {
    pub(crate) fn new(socket: TcpStream, tls: Option<Box<ClientConnection>>) -> Self {
        Self { socket, tls }
    }

    /// Bytes that came; `None`: nothing there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Wrong> {
        let Some(tls) = &mut self.tls else {
            return came(self.socket.read(buffer));
        };
        loop {
            match tls.reader().read(buffer) {
                Ok(0) => return Err(Wrong::Closed),
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(Wrong::System("receiving", error)),
            }
            if came(tls.read_tls(&mut self.socket))?.is_none() {
                return Ok(None);
            }
            tls.process_new_packets()
                .map_err(|error| Wrong::Answer(format!("TLS: {error}")))?;
        }
    }

    /// Bytes that came, and which the kernel throws away (`MSG_TRUNC` on TCP); `None`: nothing there.
    pub(crate) fn discard(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Wrong> {
        if self.tls.is_some() {
            return self.read(buffer);
        }
        let received = rustix::net::recv(&self.socket, buffer, RecvFlags::TRUNC);
        came(received.map(|(_, count)| count).map_err(io::Error::from))
    }

    /// Whether less than there was room for means that there is no more.
    pub(crate) fn ends_short(&self) -> bool {
        self.tls.is_none()
    }

    /// Bytes taken; 0: none fits now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Wrong> {
        let Some(tls) = &mut self.tls else {
            return gone(self.socket.write(bytes));
        };
        if tls.wants_write() {
            return Ok(0);
        }
        let count = tls
            .writer()
            .write(bytes)
            .map_err(Wrong::system("encrypting"))?;
        self.flush()?;
        Ok(count)
    }

    /// Hands the kernel what was encrypted, as far as it fits.
    pub(crate) fn flush(&mut self) -> Result<(), Wrong> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.wants_write() {
            if gone(tls.write_tls(&mut self.socket))? == 0 {
                break;
            }
        }
        Ok(())
    }
}

fn came(count: io::Result<usize>) -> Result<Option<usize>, Wrong> {
    match count {
        Ok(0) => Err(Wrong::Closed),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if is_end(&error) => Err(Wrong::Closed),
        Err(error) => Err(Wrong::System("receiving", error)),
    }
}

/// 0: the kernel takes nothing now.
fn gone(count: io::Result<usize>) -> Result<usize, Wrong> {
    match count {
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) if is_end(&error) => Err(Wrong::Closed),
        Err(error) => Err(Wrong::System("sending", error)),
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}
