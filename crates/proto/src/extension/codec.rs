//! What inflater and deflater are told, and what they report.

use core::fmt;

/// Whether a message may refer back to the messages before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// The window survives from message to message.
    Yes,
    /// Each message starts with an empty window.
    No,
}

/// Whether the message ends with this input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It does.
    Yes,
    /// More of it comes.
    No,
}

/// Whether compression paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// The compressed message was appended, and is smaller.
    Smaller,
    /// Nothing was appended, nothing remembered: send the message as it is.
    NotSmaller,
}

/// How far a call to `Inflater::inflate` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is used, all its text is out, the message goes on.
    NeedInput,
    /// `output_bytes_max` is reached and the message is longer than that. Some input may be left.
    Full,
    /// All input is used, the message is complete. The next call starts the next one.
    End,
}

/// The peer sent something that does not inflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InflateError {
    /// Not deflate blocks, or a reference to before the window.
    Corrupt,
    /// The message ends within a block.
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
