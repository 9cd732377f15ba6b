//! A connection whose first request isn't whole yet.

use std::{
    io::{self, Read as _},
    net::SocketAddr,
};

use mio::net::TcpStream;
use sockeye_proto::Limits;
use tokio::time::Instant;

use crate::{
    handshake::{Incoming, Tls},
    memory::MemoryAccount,
    server::admit::{Capacity, First},
};

/// A connection whose first request isn't whole yet.
pub(crate) struct PendingHandshake {
    pub(crate) socket: TcpStream,
    pub(crate) peer_addr: SocketAddr,
    pub(crate) capacity: Capacity,
    /// When the request must be whole.
    pub(crate) deadline: Instant,
    /// What has come, if it came in pieces.
    pub(crate) bytes: Vec<u8>,
    /// What is charged for it.
    pub(crate) account: MemoryAccount,
}

/// What became of it.
pub(crate) enum Step {
    /// More must come.
    Wait,
    /// The peer has gone.
    Gone,
    /// It asks for a WebSocket; the bytes that came behind the request.
    Asked(Box<Incoming>, Vec<u8>),
    /// It doesn't, or not well; all bytes that came.
    Other(First, Vec<u8>),
}

impl PendingHandshake {
    /// Reads what is there, through `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut [u8], limits: &Limits) -> Step {
        loop {
            let len = match self.socket.read(buffer) {
                Ok(0) => return Step::Gone,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Step::Gone,
            };
            let came = &buffer[..len];
            let bytes = match self.bytes.is_empty() {
                true => came,
                false => {
                    self.bytes.extend_from_slice(came);
                    &self.bytes
                }
            };
            match First::judge(bytes, limits, Some(self.peer_addr), Tls::No) {
                Some(First::WebSocket(incoming, head_bytes)) => {
                    let behind = bytes[head_bytes..].to_vec();
                    return Step::Asked(incoming, behind);
                }
                Some(first) => return Step::Other(first, bytes.to_vec()),
                None if self.bytes.is_empty() => self.bytes.extend_from_slice(came),
                None => {}
            }
            self.account.set(self.bytes.capacity());
        }
    }
}
