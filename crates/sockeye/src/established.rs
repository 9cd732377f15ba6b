//! The end of every opening handshake, the beginning of every connection.

use std::sync::Arc;

use http::HeaderMap;
use sockeye_proto::{Role, extension::DeflateParams};

use crate::{Request, Settings, Stream};

/// What dialling and accepting agree on, whatever way they took.
pub(crate) struct Established {
    pub(crate) stream: Box<dyn Stream>,
    /// Bytes that came behind the peer's head, in the same segment.
    pub(crate) leftover: Vec<u8>,
    pub(crate) role: Role,
    pub(crate) settings: Settings,
    pub(crate) deflate: Option<DeflateParams>,
    pub(crate) subprotocol: Option<String>,
    /// In the server the request received, in a client the request sent.
    pub(crate) request: Arc<Request>,
    /// In a client the fields of the 101, in the server empty.
    pub(crate) response_headers: HeaderMap,
}

impl Established {
    /// A stream whose handshake somebody else has done.
    pub(crate) fn bare(stream: impl Stream, role: Role, settings: Settings) -> Self {
        Self {
            stream: Box::new(stream),
            leftover: Vec::new(),
            role,
            settings,
            deflate: None,
            subprotocol: None,
            request: Arc::default(),
            response_headers: HeaderMap::new(),
        }
    }
}
