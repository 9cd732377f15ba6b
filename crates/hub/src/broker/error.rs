//! Why a broker refuses an operation.

use std::fmt;

/// Why a broker has not done what was asked. Nothing of the operation has happened, unless the variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerError {
    /// The broker holds as many channels as it may, and this would be one more.
    TooManyChannels {
        /// The limit.
        channels_max: usize,
    },
    /// The memory for idempotency keys is used up by other channels.
    TooManyIdempotencyKeys {
        /// Bytes. The limit for the keys of all channels.
        idempotency_bytes_max: usize,
    },
    /// The broker can't be reached, or failed. The operation may have happened.
    Unavailable {
        /// One line for people.
        message: String,
    },
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyChannels { channels_max } => {
                write!(f, "the broker holds {channels_max} channels, its limit")
            }
            Self::TooManyIdempotencyKeys {
                idempotency_bytes_max,
            } => write!(
                f,
                "idempotency keys of other channels take all of their {idempotency_bytes_max} bytes"
            ),
            Self::Unavailable { message } => write!(f, "the broker is unavailable: {message}"),
        }
    }
}

impl std::error::Error for BrokerError {}
