//! Errors of a store.

use std::{fmt, io, path::Path};

/// An error of a store: one line for people, and whether it can be expected to pass.
#[derive(Debug)]
pub struct StoreError {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unusable,
    Outage,
}

impl StoreError {
    /// Creates an error of a store that can't be used until an administrator changes something.
    pub fn unusable(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Unusable,
            message: message.into(),
        }
    }

    /// Creates an error of a store that fails for now: unreachable, full, restarting. Another attempt may succeed.
    pub fn outage(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Outage,
            message: message.into(),
        }
    }

    /// Explains an error of the database in `file` to the administrator of the server.
    #[must_use]
    pub fn of_file(file: &Path, error: redb::Error) -> Self {
        let file = file.display();
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::unusable(format!(
                "{file} is in use by another process; give each server a directory of its own"
            )),
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. } => Self::unusable(format!(
                "{file} can't be read: {error}; move it away to start anew"
            )),
            redb::Error::Io(error) if is_permanent(error.kind()) => Self::unusable(format!(
                "{file} can't be used: {error}; move it away, or give this user the right to write it"
            )),
            error => Self::outage(format!("{file} can't be written: {error}")),
        }
    }

    /// Returns whether a later attempt may succeed.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.kind == Kind::Outage
    }
}

/// Returns whether the error stays until an administrator changes something.
fn is_permanent(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        InvalidData, InvalidInput, IsADirectory, NotADirectory, PermissionDenied,
        ReadOnlyFilesystem,
    };
    matches!(
        kind,
        InvalidData
            | InvalidInput
            | IsADirectory
            | NotADirectory
            | PermissionDenied
            | ReadOnlyFilesystem
    )
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}
