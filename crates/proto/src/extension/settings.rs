//! The settings of permessage-deflate.

use super::params::WINDOW_BITS_MAX;

/// The settings of permessage-deflate, for both roles.
///
/// By default a server compresses each message without context, so that it compresses a message to many clients once. It
/// demands of its clients only what they offer, because some clients ignore anything else.
///
/// Memory: from a client's first compressed message on, the server keeps the last bytes that the client sent: 4 KiB if the
/// client offers `client_max_window_bits`, otherwise 32 KiB. It keeps nothing of a client that offers
/// `client_no_context_takeover`.
///
/// Allow takeover to the server where many small messages to one client resemble each other; up to 4 KiB of what was sent are
/// kept then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// Whether the server compresses each message without context. Default true. For a client this is a request: of a server
    /// that doesn't grant it, up to 32 KiB are kept.
    pub server_no_context_takeover: bool,
    /// Whether the client compresses each message without context. Default false.
    ///
    /// With `true` a client offers this and does it, and a server demands it of all clients. RFC 7692 allows that, but some
    /// clients ignore it, such as Tornado's: their connection is closed with 1007 after the second message. With `false` a
    /// server agrees where a client offers it.
    pub client_no_context_takeover: bool,
    /// The server's window has at most 2 to this power bytes. 8 to 15, default 15; a value outside is taken as the nearest.
    pub server_max_window_bits: u8,
    /// The client's window has at most 2 to this power bytes. 8 to 15, default 15; a value outside is taken as the nearest.
    ///
    /// A server can't demand this of a client that doesn't offer the parameter (RFC 7692 section 7.1.2.2); such a client uses
    /// 15.
    pub client_max_window_bits: u8,
    /// In a server: the upper limit of `client_max_window_bits` for a client whose context is taken over, because the window is
    /// kept between its messages. 8 to 15, default 12, which is 4 KiB; a value outside is taken as the nearest.
    pub kept_window_bits_max: u8,
    /// The compression level: 0 (stored) to 9 (smallest). Default 1. Where bandwidth costs more than processors, use 2.
    ///
    /// Measured with JSON of 1, 4 and 16 KiB, deflated and inflated without context:
    ///
    /// | level | time | remaining size |
    /// |---|---|---|
    /// | 1 | 5, 17 and 65 µs | 28, 23 and 23 % |
    /// | 2 | 23, 42 and 110 µs | 24, 18 and 17 % |
    /// | 6 | 27, 58 and 223 µs | 22, 15 and 15 % |
    pub level: u8,
    /// A message with fewer payload bytes is sent uncompressed. Default 1 KiB: a smaller message fits one packet anyway, and
    /// shrinks little without context. With takeover use 64.
    pub threshold_bytes: usize,
}

crate::setters!(Deflate {
    with_server_no_context_takeover: server_no_context_takeover: bool,
    with_client_no_context_takeover: client_no_context_takeover: bool,
    with_server_max_window_bits: server_max_window_bits: u8,
    with_client_max_window_bits: client_max_window_bits: u8,
    with_kept_window_bits_max: kept_window_bits_max: u8,
    with_level: level: u8,
    with_threshold_bytes: threshold_bytes: usize,
});

impl Default for Deflate {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: false,
            server_max_window_bits: WINDOW_BITS_MAX,
            client_max_window_bits: WINDOW_BITS_MAX,
            kept_window_bits_max: KEPT_WINDOW_BITS_MAX,
            level: 1,
            threshold_bytes: 1 << 10,
        }
    }
}

/// 4 KiB: chat messages shrink as far with a larger window, within a few per cent.
const KEPT_WINDOW_BITS_MAX: u8 = 12;
