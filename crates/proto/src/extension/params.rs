//! What the two ends of permessage-deflate agreed on.

use super::Takeover;
use crate::Role;

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// The server compresses each message for itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message for itself.
    pub client_no_context_takeover: bool,
    /// 8 to 15: the server's window is at most 2 to this power.
    pub server_max_window_bits: u8,
    /// 8 to 15: the client's window is at most 2 to this power.
    pub client_max_window_bits: u8,
    /// Without the feature `deflate` nothing can be agreed on, so there is no value of this type.
    #[cfg(not(feature = "deflate"))]
    pub(super) absent: core::convert::Infallible,
}

impl DeflateParams {
    /// Window bits and takeover of what `sender` compresses.
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
#[cfg(feature = "deflate")]
pub(super) const WINDOW_BITS_MIN: u8 = 8;

/// RFC 7692 section 7.1.2: the largest window, 32 KiB, and what holds if nothing is said.
pub(super) const WINDOW_BITS_MAX: u8 = 15;
