//! Which end of the connection we are.

/// Which end of the connection we are. RFC 6455 section 5.1 gives each its own rule for masking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends unmasked frames, demands masked ones.
    Server,
    /// Sends masked frames, demands unmasked ones.
    Client,
}

impl Role {
    /// The role at the other end.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}
