//! What can be wrong with a store.

use std::fmt;

/// What is wrong with a store: who is guilty, one line for people, and whether waiting helps.
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
    /// The store can't be used as it is; somebody has to do something about it.
    pub fn unusable(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Unusable,
            message: message.into(),
        }
    }

    /// The store isn't there for now: unreachable, full, restarting. Trying again may help.
    pub fn outage(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Outage,
            message: message.into(),
        }
    }

    /// Whether trying again later may help.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.kind == Kind::Outage
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}
