//! The loop style over an in-memory stream.
#![allow(dead_code, reason = "each test file uses a part of this")]

use sockeye::{Role, Settings, WebSocket};
use tokio::io::{DuplexStream, duplex};

/// Bytes of the pipe. Small, so that large messages meet back-pressure.
const PIPE_BYTES: usize = 16 << 10;

pub(crate) fn pair_with(server: Settings, client: Settings) -> (WebSocket, WebSocket) {
    let (left, right) = duplex(PIPE_BYTES);
    let server = WebSocket::from_stream(left, Role::Server, server).unwrap();
    let client = WebSocket::from_stream(right, Role::Client, client).unwrap();
    (server, client)
}

/// Returns settings for messages of up to 16 MiB.
pub(crate) fn generous() -> Settings {
    let mut settings = Settings::default();
    settings.limits.message_bytes_max = 16 << 20;
    settings
}

/// Returns a server, and the client's end of its stream, where the test reads and writes bytes.
pub(crate) fn server_and_wire() -> (WebSocket, DuplexStream) {
    let (left, right) = duplex(1 << 20);
    let server = WebSocket::from_stream(left, Role::Server, Settings::default()).unwrap();
    (server, right)
}

/// Returns a masked frame with the key 0, which leaves the payload as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mut frame = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}
