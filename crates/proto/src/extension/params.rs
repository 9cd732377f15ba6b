//! The agreed parameters of permessage-deflate.

use super::Takeover;
use crate::Role;

/// The agreed parameters of permessage-deflate (RFC 7692 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// Whether the server compresses each message without context.
    pub server_no_context_takeover: bool,
    /// Whether the client compresses each message without context.
    pub client_no_context_takeover: bool,
    /// 8 to 15: the server's window has at most 2 to this power bytes.
    pub server_max_window_bits: u8,
    /// 8 to 15: the client's window has at most 2 to this power bytes.
    pub client_max_window_bits: u8,
    /// Without the feature `deflate` nothing can be agreed on, so there is no value of this type.
    #[cfg(not(feature = "deflate"))]
    pub(super) absent: core::convert::Infallible,
}

impl DeflateParams {
    /// Returns whether both windows have a size that RFC 7692 section 7.1.2 allows. What was negotiated has.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let range = WINDOW_BITS_MIN..=WINDOW_BITS_MAX;
        range.contains(&self.server_max_window_bits) && range.contains(&self.client_max_window_bits)
    }

    /// Returns the window bits and the takeover of the messages that `sender` compresses.
    pub(crate) fn direction(&self, sender: Role) -> (u8, Takeover) {
        let (bits, no_takeover) = match sender {
            Role::Server => (self.server_max_window_bits, self.server_no_context_takeover),
            Role::Client => (self.client_max_window_bits, self.client_no_context_takeover),
        };
        let takeover = if no_takeover {
            Takeover::No
        } else {
            Takeover::Yes
        };
        (bits, takeover)
    }
}

/// RFC 7692 section 7.1.2: the smallest window, 256 bytes.
pub(super) const WINDOW_BITS_MIN: u8 = 8;

/// RFC 7692 section 7.1.2: the largest window, 32 KiB, which is also the default.
pub(super) const WINDOW_BITS_MAX: u8 = 15;
