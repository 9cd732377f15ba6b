//! The end of every opening handshake, the beginning of every connection.

use std::sync::Arc;

use sockeye_proto::Role;

use crate::{
    connection::io::{Io, Stream},
    handshake::{Negotiated, Request},
    settings::Settings,
};

/// What dialling and accepting agree on, whatever way they took.
pub(crate) struct Established {
    pub(crate) io: Io,
    /// Bytes that came behind the peer's head, in the same segment.
    pub(crate) leftover: Vec<u8>,
    pub(crate) role: Role,
    pub(crate) negotiated: Arc<Negotiated>,
    /// In the server the request received, in a client the request sent.
    pub(crate) request: Arc<Request>,
}

impl Established {
    /// A stream whose handshake somebody else has done.
    pub(crate) fn bare(stream: impl Stream, role: Role, settings: Settings) -> Self {
        let negotiated = Negotiated {
            settings,
            keeps_request: true,
            ..Negotiated::default()
        };
        Self {
            io: Io::from_stream(stream),
            leftover: Vec::new(),
            role,
            negotiated: Arc::new(negotiated),
            request: Arc::default(),
        }
    }
}
