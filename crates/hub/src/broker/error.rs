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
    /// The disk is full, or the log has as many bytes as it may and can't free any. Readers go on, and publications are
    /// accepted again as soon as there is room.
    DiskFull,
    /// The publication is larger than the broker can keep.
    TooLarge {
        /// Bytes. The limit, for data, tags and client together.
        bytes_max: usize,
    },
    /// The map has as many entries as it may, and this would be one more.
    TooManyKeys {
        /// The limit.
        keys_max: usize,
    },
    /// The memory for the entries of maps is used up.
    MapsFull {
        /// Bytes. The limit for the entries of all maps.
        bytes_max: usize,
    },
    /// As many publications wait for the broker as may.
    TooManyWaiting {
        /// The limit.
        waiting_max: usize,
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
            Self::DiskFull => f.write_str("the disk of the log is full"),
            Self::TooLarge { bytes_max } => {
                write!(f, "the publication is larger than {bytes_max} bytes")
            }
            Self::TooManyKeys { keys_max } => {
                write!(f, "the map has {keys_max} entries, its limit")
            }
            Self::MapsFull { bytes_max } => {
                write!(f, "the entries of maps take all of their {bytes_max} bytes")
            }
            Self::TooManyWaiting { waiting_max } => write!(
                f,
                "{waiting_max} publications wait for the broker, its limit"
            ),
            Self::Unavailable { message } => write!(f, "the broker is unavailable: {message}"),
        }
    }
}

impl std::error::Error for BrokerError {}
