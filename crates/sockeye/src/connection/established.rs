//! The result of every opening handshake, from which a connection begins.

use std::sync::Arc;

use sockeye_proto::Role;

use crate::{
    connection::io::{Io, Stream},
    handshake::{Negotiated, Request},
    settings::Settings,
};

/// The result of an opening handshake, dialled or accepted.
pub(crate) struct Established {
    pub(crate) io: Io,
    /// Bytes that came behind the peer's head, in the same segment.
    pub(crate) leftover: Vec<u8>,
    pub(crate) role: Role,
    pub(crate) negotiated: Arc<Negotiated>,
    /// In a server the request that it received, in a client the request that it sent.
    pub(crate) request: Arc<Request>,
}

impl Established {
    /// Wraps a stream whose handshake another library has done.
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
