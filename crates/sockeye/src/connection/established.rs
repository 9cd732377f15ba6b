//! The end of every opening handshake, the beginning of every connection.

use std::sync::Arc;

use sockeye_proto::Role;

use crate::{
    connection::io::{Carrier, Stream},
    handshake::{Request, Terms},
    settings::Settings,
};

/// What dialling and accepting agree on, whatever way they took.
pub(crate) struct Established {
    pub(crate) carrier: Carrier,
    /// Bytes that came behind the peer's head, in the same segment.
    pub(crate) leftover: Vec<u8>,
    pub(crate) role: Role,
    pub(crate) terms: Arc<Terms>,
    /// In the server the request received, in a client the request sent.
    pub(crate) request: Arc<Request>,
}

impl Established {
    /// A stream whose handshake somebody else has done.
    pub(crate) fn bare(stream: impl Stream, role: Role, settings: Settings) -> Self {
        let terms = Terms {
            settings,
            keeps_request: true,
            ..Terms::default()
        };
        Self {
            carrier: Carrier::from_stream(stream),
            leftover: Vec::new(),
            role,
            terms: Arc::new(terms),
            request: Arc::default(),
        }
    }
}
