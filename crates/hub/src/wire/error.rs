//! What can go wrong between bytes and messages.

use std::fmt;

use crate::Disconnect;

/// A frame of the peer can't be decoded. The peer broke the rules, or a limit was reached.
///
/// Nothing that follows in the frame can be trusted, so the connection ends ([`DecodeError::disconnect`]).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The peer sent a frame without an object.
    Empty,
    /// The peer sent a frame that ends within an object: a Protobuf length goes beyond the end.
    Truncated,
    /// The peer sent what isn't a message. The text says what the parser found; it is safe to show and short.
    Malformed(String),
    /// The frame holds more commands than [`CommandLimits::commands_max`](super::CommandLimits::commands_max).
    TooManyCommands,
    /// A filter has more levels than [`CommandLimits::filter_depth_max`](super::CommandLimits::filter_depth_max).
    FilterTooDeep,
    /// A command's filters have more nodes or values than
    /// [`CommandLimits::filter_nodes_max`](super::CommandLimits::filter_nodes_max) or
    /// [`CommandLimits::filter_values_max`](super::CommandLimits::filter_values_max).
    FilterTooLarge,
}

impl DecodeError {
    /// Returns how the connection ends: with code 3501, for good.
    #[must_use]
    pub fn disconnect(&self) -> Disconnect {
        Disconnect::BAD_REQUEST
    }

    /// Describes what a parser found.
    pub(super) fn malformed(found: &impl fmt::Display) -> Self {
        // The parsers repeat some of what the peer sent.
        let found = found.to_string();
        let text = found.chars().filter(|char| !char.is_control());
        Self::Malformed(text.take(FOUND_CHARS_MAX).collect())
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the frame is empty"),
            Self::Truncated => f.write_str("the frame ends within a message"),
            Self::Malformed(found) => write!(f, "the frame holds what isn't a message: {found}"),
            Self::TooManyCommands => f.write_str("the frame holds too many commands"),
            Self::FilterTooDeep => f.write_str("a filter has too many levels"),
            Self::FilterTooLarge => f.write_str("a filter has too many nodes or values"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A message can't be encoded. The program or the publisher of the payload is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A payload isn't JSON, but this client's encoding is. Another publisher sent it over Protobuf or the API.
    NotJson,
    /// A filter has more than 60 levels, which no parser accepts.
    FilterTooDeep,
}

impl EncodeError {
    /// Returns how the connection that should have got the message ends: with code 3506, for good.
    #[must_use]
    pub fn disconnect(&self) -> Disconnect {
        Disconnect::INAPPROPRIATE_PROTOCOL
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("a payload isn't JSON, and the client's encoding is"),
            Self::FilterTooDeep => f.write_str("a filter has too many levels"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Characters. Enough for serde_json's sentences, and not for a log line that the peer writes.
const FOUND_CHARS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_peer_sent_neither_breaks_nor_fills_a_log_line() {
        let DecodeError::Malformed(text) =
            DecodeError::malformed(&format!("a\nb\u{1b}[1m{}", "x".repeat(1000)))
        else {
            panic!("another error");
        };
        assert!(text.starts_with("ab[1mxxx"), "{text}");
        assert_eq!(text.chars().count(), 160);
    }
}
