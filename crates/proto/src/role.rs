//! The two ends of a connection.

/// An end of a connection. RFC 6455 section 5.1 gives each its own rule for masking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends unmasked frames and accepts only masked ones.
    Server,
    /// Sends masked frames and accepts only unmasked ones.
    Client,
}

impl Role {
    /// Returns the role at the other end.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}
