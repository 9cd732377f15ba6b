//! How a connection is run.

use sockeye_proto::Rhythm;

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
    /// Pings of ours, by which a peer that vanishes is noticed and [`crate::Session::latency`] is
    /// measured; `None` sends none. Default one every 25 s, and 10 s for any byte of the peer's.
    ///
    /// A peer that gives no sign of life is gone within interval + timeout: `on_error` tells of an
    /// error of kind [`crate::ErrorKind::Heartbeat`], the ending is by [`crate::Side::Network`]
    /// with 1006, and nobody waits for its Close frame. While reading is paused because the inbox or the
    /// outbox is full, and while bytes wait before the ping, nobody is late.
    pub heartbeat: Option<Rhythm>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            deflate: None,
            outbox_bytes_max: 1 << 20,
            inbox_bytes_max: 1 << 20,
            heartbeat: Some(Rhythm::default()),
        }
    }
}
