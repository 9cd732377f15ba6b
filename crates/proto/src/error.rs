//! Mistakes of a peer on an open connection, and the close code that answers each.

use core::fmt;

use crate::CloseCode;

/// A mistake of the peer: it broke the protocol or exceeded a limit. The connection must fail (RFC 6455 section 7.1.7).
///
/// The receiving half returns no more events. Send a Close frame with [`ProtocolError::close_code`], then end TCP;
/// [`crate::Connection`] writes that frame itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The peer broke a rule of RFC 6455 or RFC 7692. Close code 1002.
    Violation(Violation),
    /// Text, or the reason of a Close frame, is not UTF-8 (section 8.1). Close code 1007.
    InvalidUtf8,
    /// A compressed message does not inflate (RFC 7692 section 7.2.2). Close code 1007.
    InvalidDeflate,
    /// A frame has more than [`crate::Limits::frame_bytes_max`] bytes of payload. Close code 1009.
    FrameTooBig,
    /// A message has more than [`crate::Limits::message_bytes_max`] bytes, before or after inflation. Close code 1009.
    MessageTooBig,
    /// A message has more continuation frames than [`crate::Limits::fragments_max`]. Close code 1009.
    TooManyFragments,
}

/// The rule that the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// RSV1, RSV2 or RSV3 is set, and no agreed extension gives it a meaning (section 5.2).
    ReservedBit,
    /// RSV1 is set on a control frame or on a continuation (RFC 7692 section 6.1).
    CompressedBit,
    /// The opcode is 3–7 or 11–15 (section 5.2).
    ReservedOpcode,
    /// A client's frame is not masked (section 5.1).
    Unmasked,
    /// A server's frame is masked (section 5.1).
    Masked,
    /// A length takes more bytes than it needs (section 5.2).
    LongLength,
    /// A 64-bit length has its highest bit set (section 5.2).
    LengthHighBit,
    /// A control frame is fragmented: its FIN bit is clear (section 5.5).
    FragmentedControl,
    /// A control frame has more than 125 bytes of payload (section 5.5).
    LongControl,
    /// A continuation frame comes between two messages (section 5.4).
    StrayContinuation,
    /// A new message begins within an unfinished one (section 5.4).
    InterleavedMessage,
    /// The body of a Close frame has one byte (section 5.5.1).
    CloseBody,
    /// A Close frame has a code that must not be sent (section 7.4).
    CloseCode,
}

impl ProtocolError {
    /// Returns the code for our Close frame (RFC 6455 section 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Violation(_) => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooBig | Self::MessageTooBig | Self::TooManyFragments => {
                CloseCode::MESSAGE_TOO_BIG
            }
        }
    }

    /// Returns one line of text, which is also the reason in our Close frame.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Violation(violation) => violation.as_str(),
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::InvalidDeflate => "compressed message does not inflate",
            Self::FrameTooBig => "frame too big",
            Self::MessageTooBig => "message too big",
            Self::TooManyFragments => "too many fragments",
        }
    }
}

impl Violation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ReservedBit => "reserved bit set",
            Self::CompressedBit => "compression bit on a control frame or continuation",
            Self::ReservedOpcode => "reserved opcode",
            Self::Unmasked => "frame from a client is not masked",
            Self::Masked => "frame from a server is masked",
            Self::LongLength => "length not in its shortest form",
            Self::LengthHighBit => "length over 63 bits",
            Self::FragmentedControl => "fragmented control frame",
            Self::LongControl => "control frame over 125 bytes",
            Self::StrayContinuation => "continuation without a message",
            Self::InterleavedMessage => "new message within an unfinished one",
            Self::CloseBody => "close body of one byte",
            Self::CloseCode => "close code not allowed on the wire",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for ProtocolError {}
