//! What both ends agreed on, and how the connection is run.

use http::HeaderMap;
use sockeye_proto::extension::DeflateParams;

use crate::settings::Settings;

/// What both ends agreed on, and how the connection is run. Connections of one route that agreed on
/// nothing in particular share one.
#[derive(Debug, Default)]
pub(crate) struct Negotiated {
    pub(crate) settings: Settings,
    pub(crate) deflate: Option<DeflateParams>,
    pub(crate) subprotocol: Option<String>,
    /// In a client the fields of the 101, in the server empty.
    pub(crate) response_headers: HeaderMap,
    /// Whether the session knows its request after `on_open`.
    pub(crate) keeps_request: bool,
}
