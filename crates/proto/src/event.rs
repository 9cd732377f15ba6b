//! Events, which tell what the peer did, and where their payload lies until they are handed out.

use crate::{CloseCode, Message, MessageKind, ProtocolError, Violation, frame::Opcode};

/// Something that the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A part of a message, with [`crate::Delivery::Parts`].
    Part(Part<'a>),
    /// A ping. It must be answered ([`crate::Sender::answer`]); [`crate::Connection`] does so itself.
    Ping(&'a [u8]),
    /// A pong: the answer to a ping, or unsolicited.
    Pong(&'a [u8]),
    /// The peer's Close frame, the last event. It must be answered ([`crate::Sender::answer`]); [`crate::Connection`] does
    /// so itself.
    Close(CloseFrame<'a>),
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The kind of the whole message.
    pub kind: MessageKind,
    /// Text may be cut within a character. It is checked for UTF-8 all the same.
    pub payload: &'a [u8],
    /// Whether the message ends with this part.
    pub last: bool,
}

/// The body of a received Close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// [`CloseCode::NO_STATUS`] if the body is empty.
    pub code: CloseCode,
    /// At most 123 bytes of UTF-8.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Bytes. A control frame carries at most 125, of which the code takes 2 (RFC 6455 section 5.5).
    pub const REASON_BYTES_MAX: usize = 123;

    /// Returns the beginning of `reason` that fits a Close frame, cut between characters.
    ///
    /// `reserved_bytes` of [`CloseFrame::REASON_BYTES_MAX`] stay free, for something that the caller appends.
    ///
    /// ```
    /// use sockeye_proto::CloseFrame;
    ///
    /// let reason = "é".repeat(100);
    /// assert_eq!(CloseFrame::fitting_reason(&reason, 0).len(), 122);
    /// assert_eq!(CloseFrame::fitting_reason(&reason, 120), "é");
    /// ```
    #[must_use]
    pub fn fitting_reason(reason: &str, reserved_bytes: usize) -> &str {
        let bytes_max = Self::REASON_BYTES_MAX.saturating_sub(reserved_bytes);
        &reason[..reason.floor_char_boundary(bytes_max)]
    }

    /// Parses the body of the frame (RFC 6455 section 5.5.1): nothing, or a code and a reason in UTF-8.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let Some((&code, reason)) = body.split_first_chunk() else {
            return match body {
                [] => Ok(Self {
                    code: CloseCode::NO_STATUS,
                    reason: "",
                }),
                _ => Err(ProtocolError::Violation(Violation::CloseBody)),
            };
        };
        let code = CloseCode::new(u16::from_be_bytes(code));
        if !code.is_sendable() {
            return Err(ProtocolError::Violation(Violation::CloseCode));
        }
        let reason = core::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Self { code, reason })
    }
}

/// What a search in the input found, and where its payload lies.
///
/// An [`Event`] borrows the receiver or the pool; this borrows the input only, so that a search may go on with both.
pub(crate) enum Found<'i> {
    Nothing,
    Message {
        kind: MessageKind,
        payload: &'i [u8],
    },
    Inflated {
        kind: MessageKind,
    },
    Assembled(Message<'static>),
    Part(Part<'i>),
    InflatedPart {
        kind: MessageKind,
        last: bool,
    },
    Control {
        opcode: Opcode,
        payload: &'i [u8],
    },
    SplitControl {
        opcode: Opcode,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reason_is_cut_between_characters() {
        let reason = "é".repeat(100);
        assert_eq!(CloseFrame::fitting_reason(&reason, 0).len(), 122);
        assert_eq!(CloseFrame::fitting_reason("bye", 0), "bye");
        assert_eq!(CloseFrame::fitting_reason("bye", 121), "by");
        assert_eq!(CloseFrame::fitting_reason("bye", 124), "");
    }
}
