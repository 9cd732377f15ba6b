//! How a connection is run.

use crate::{Deflate, Limits};

/// How a connection is run: its limits, its queues, its compression.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What the peer can make grow.
    pub limits: Limits,
    /// permessage-deflate: offered by a client, agreed to by a server. Default `None`.
    pub deflate: Option<Deflate>,
    /// Bytes waiting to be written, frames and headers as on the wire. A message is admitted if it
    /// fits, or if nothing waits. Default 1 MiB.
    pub outbox_bytes_max: usize,
    /// Bytes of whole messages received and not yet taken by `recv`; over it, reading pauses.
    /// Default 1 MiB. Loop style only: callbacks take a message as it comes.
    pub inbox_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            deflate: None,
            outbox_bytes_max: 1 << 20,
            inbox_bytes_max: 1 << 20,
        }
    }
}
