//! Why a log can't be opened.

use std::{fmt, io, path::PathBuf};

use super::segment::segment_name;

/// Why a log was not opened, checked or repaired. Nothing on disk has changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogError {
    /// Another process has the directory.
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A record can't be read, although it was written as a whole once. The disk, or a person, has changed it.
    Damaged {
        /// The name of the file in the directory of the log.
        file: String,
        /// Bytes from the beginning of the file.
        position: u64,
        /// What is wrong, in a few words.
        reason: String,
    },
    /// A segment file is gone.
    Missing {
        /// The name of the file in the directory of the log.
        file: String,
    },
    /// The operating system refused.
    Io {
        /// What the log tried, and with which file.
        what: String,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { directory } => write!(
                f,
                "the log in {} is in use by another process",
                directory.display()
            ),
            Self::Damaged {
                file,
                position,
                reason,
            } => write!(
                f,
                "the log is damaged: {file} at byte {position}: {reason}; nothing was changed"
            ),
            Self::Missing { file } => {
                write!(
                    f,
                    "the log is damaged: {file} is missing; nothing was changed"
                )
            }
            Self::Io { what, .. } => f.write_str(what),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl LogError {
    /// Returns what makes an error of the system into an error of the log.
    pub(super) fn io(what: &str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let what = format!("cannot {what} {file}");
        move |source| Self::Io { what, source }
    }
}

/// Returns the error of a position in a segment that can't be read.
pub(super) fn damaged(segment: u32, position: u64, reason: &str) -> LogError {
    LogError::Damaged {
        file: segment_name(segment),
        position,
        reason: reason.to_owned(),
    }
}
