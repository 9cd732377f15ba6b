//! What can be wrong with a peer's `Sec-WebSocket-Extensions`.

use core::fmt;

/// The peer's extension header can't be accepted. A client fails the connection, a server answers 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtensionError {
    /// Not the grammar of RFC 6455 section 9.1.
    Malformed,
    /// More extensions or parameters than we read.
    TooMany,
    /// The server agreed to an extension that we didn't offer, or to one twice.
    NotOffered,
    /// A parameter that permessage-deflate doesn't have.
    UnknownParameter,
    /// A parameter given twice.
    RepeatedParameter,
    /// A value where none may stand, none where one must, or one that is no number from 8 to 15.
    BadValue,
    /// The server names a larger window than we offered.
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
