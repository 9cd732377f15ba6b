//! What we ask for and put up with in permessage-deflate.

use super::params::WINDOW_BITS_MAX;

/// Settings of permessage-deflate, for both roles: what we ask for and what we put up with.
///
/// By default a server compresses each message for itself, so that it compresses once what goes to many.
/// Of its peers it demands only what they offer: there are clients that ignore anything else. The last bytes
/// of what a client sent are kept for as long as the connection, 4 KiB if the client lets itself be told and
/// 32 KiB otherwise, from its first compressed message on; nothing is kept of a client that offers
/// `client_no_context_takeover`. Allow takeover to the server, too, where many small messages to one client
/// resemble each other; up to 4 KiB of what was sent are kept then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// Each message of the server is compressed for itself. Default true. For a client this is a wish: of a
    /// server that doesn't grant it, up to 32 KiB are kept.
    pub server_no_context_takeover: bool,
    /// Each message of the client is compressed for itself. Default false.
    ///
    /// A client offers it and keeps to it. A server agrees where it is offered; with true it demands it of
    /// all clients, which RFC 7692 allows, but some ignore it, such as Tornado's: their second message is
    /// closed with 1007 then.
    pub client_no_context_takeover: bool,
    /// The server's window is at most 2 to this power, in bytes. 8 to 15 (a value outside is taken
    /// as the nearest), default 15.
    pub server_max_window_bits: u8,
    /// The client's window is at most 2 to this power, in bytes. 8 to 15 (a value outside is taken
    /// as the nearest), default 15. For a server this is a wish: a client that doesn't offer the
    /// parameter can't be told (RFC 7692 section 7.1.2.2), and uses 15.
    pub client_max_window_bits: u8,
    /// In a server: as `client_max_window_bits`, for a client whose context is taken over, so that less is
    /// kept between its messages. 8 to 15 (a value outside is taken as the nearest), default 12: 4 KiB.
    pub kept_window_bits_max: u8,
    /// How hard we try: 0 (stored) to 9. Default 1. JSON of 1, 4 and 16 KiB, deflated and inflated again,
    /// each message for itself: level 1 takes 5, 17 and 65 µs and leaves 28, 23 and 23 per cent; level 2
    /// takes 23, 42 and 110 µs and leaves 24, 18 and 17; level 6 takes 27, 58 and 223 µs and leaves 22, 15
    /// and 15. Where bandwidth is dearer than processors, 2 is a good value.
    pub level: u8,
    /// A message with fewer payload bytes goes out as it is. Default 1 KiB: less fits one packet
    /// anyway, and without takeover shrinks little. With takeover 64 is a good value.
    pub threshold_bytes: usize,
}

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

/// 4 KiB of a client's messages: chat messages shrink as far as with more, within some per cent.
const KEPT_WINDOW_BITS_MAX: u8 = 12;
