//! Mistakes in a peer's `Sec-WebSocket-Extensions`.

use core::fmt;

/// A mistake in the peer's `Sec-WebSocket-Extensions`. A client fails the connection, a server answers with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtensionError {
    /// The value breaks the grammar of RFC 6455 section 9.1.
    Malformed,
    /// There are more than 16 extensions, or more than 16 parameters of one.
    TooMany,
    /// The server agreed to an extension that was not offered, or to one twice.
    NotOffered,
    /// permessage-deflate has no parameter of this name.
    UnknownParameter,
    /// A parameter is given twice.
    RepeatedParameter,
    /// A parameter has a value and must have none, lacks the value that it must have, or has one that is not a number from 8
    /// to 15.
    BadValue,
    /// The server named a larger window than was offered.
    NotRestricted,
}

impl fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "Sec-WebSocket-Extensions is malformed",
            Self::TooMany => "Sec-WebSocket-Extensions has too many elements",
            Self::NotOffered => "the server agreed to an extension that was not offered",
            Self::UnknownParameter => "unknown parameter of permessage-deflate",
            Self::RepeatedParameter => "repeated parameter of permessage-deflate",
            Self::BadValue => "bad value for a parameter of permessage-deflate",
            Self::NotRestricted => "the server named a larger window than was offered",
        })
    }
}

impl core::error::Error for ExtensionError {}
