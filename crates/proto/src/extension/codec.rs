//! The arguments and results of inflater and deflater.

use core::fmt;

/// Context takeover (RFC 7692 section 7.1.1): whether a message may refer to the messages before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// The window is kept from message to message.
    Yes,
    /// Each message starts with an empty window.
    No,
}

/// Whether the message ends with this input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It ends.
    Yes,
    /// More input follows.
    No,
}

/// The result of compressing a whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// The compressed message is smaller, and was appended.
    Smaller,
    /// The compressed message is not smaller. Nothing was appended: send the message as it is.
    NotSmaller,
}

/// The result of a call to `Inflater::inflate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is used, all of its text is appended, and the message goes on.
    NeedInput,
    /// The output has `output_bytes_max` bytes, and the message is longer. Some input may be left.
    Full,
    /// All input is used, and the message is complete. The next call begins the next message.
    End,
}

/// The reason why a compressed message does not inflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InflateError {
    /// It is not made of deflate blocks, or it refers to bytes before the window.
    Corrupt,
    /// It ends within a block.
    Truncated,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "compressed message is corrupt",
            Self::Truncated => "compressed message is truncated",
        })
    }
}

impl core::error::Error for InflateError {}
