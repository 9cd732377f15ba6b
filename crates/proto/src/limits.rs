//! Everything that a peer could make grow, with its bound.

use core::time::Duration;

/// Everything that a peer could make grow, with its bound.
///
/// Going over a limit of the handshake is answered with an HTTP status, over a limit of the
/// open connection with close code 1009.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the request or response head, start line and final blank line included. Default 16 KiB.
    pub head_bytes_max: usize,
    /// Header fields in the head. Default 100.
    pub headers_max: usize,
    /// Payload bytes of one frame, as on the wire. Default 16 MiB.
    pub frame_bytes_max: usize,
    /// Payload bytes of one message, after reassembly and inflation. Default 16 MiB.
    pub message_bytes_max: usize,
    /// Continuation frames of one message, so one less than its frames. Default 65,536: enough for
    /// 4 MiB in fragments of 64 bytes, and for the empty frame with which some senders end.
    pub fragments_max: u32,
    /// From the first byte (of TCP, or of TLS) to the end of the handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// From our Close frame to the peer's, and from both to the end of TCP. Default 5 s.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 << 10,
            headers_max: 100,
            frame_bytes_max: 16 << 20,
            message_bytes_max: 16 << 20,
            fragments_max: 65_536,
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }
}
