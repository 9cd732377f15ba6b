//! A connection whose first request isn't whole yet.

use std::{
    io::{self, Read as _},
    net::SocketAddr,
};

use sockeye_proto::Limits;
use tokio::time::Instant;

use crate::{
    connection::Socket,
    handshake::{Incoming, Tls},
    memory::MemoryAccount,
    server::admit::{Capacity, RequestKind},
};

/// A connection whose first request isn't whole yet.
pub(crate) struct PendingHandshake {
    pub(crate) socket: Socket,
    /// `None` for a Unix socket.
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) capacity: Capacity,
    /// When the request must be whole.
    pub(crate) deadline: Instant,
    /// The bytes that have come, if the head came in pieces.
    pub(crate) bytes: Vec<u8>,
    /// Charges `bytes` to the memory budget.
    pub(crate) account: MemoryAccount,
}

/// The result of reading from the connection.
pub(crate) enum HandshakeProgress {
    /// More bytes must come.
    Wait,
    /// The peer has closed the connection.
    Closed,
    /// The request asks for a WebSocket. The bytes came after its head.
    Upgrade(Box<Incoming>, Vec<u8>),
    /// The request asks for something else, or is malformed. The bytes are all that came.
    Other(RequestKind, Vec<u8>),
}

impl PendingHandshake {
    /// Reads what the socket has, through `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut [u8], limits: &Limits) -> HandshakeProgress {
        loop {
            let len = match self.socket.read(buffer) {
                Ok(0) => return HandshakeProgress::Closed,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return HandshakeProgress::Wait;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return HandshakeProgress::Closed,
            };
            let came = &buffer[..len];
            let bytes = match self.bytes.is_empty() {
                true => came,
                false => {
                    self.bytes.extend_from_slice(came);
                    &self.bytes
                }
            };
            match RequestKind::classify(bytes, limits, self.peer_addr, Tls::No) {
                Some(RequestKind::WebSocket(incoming, head_bytes)) => {
                    let behind = bytes[head_bytes..].to_vec();
                    return HandshakeProgress::Upgrade(incoming, behind);
                }
                Some(first) => return HandshakeProgress::Other(first, bytes.to_vec()),
                None if self.bytes.is_empty() => self.bytes.extend_from_slice(came),
                None => {}
            }
            self.account.set(self.bytes.capacity());
        }
    }
}
