//! What both ends have agreed on, with the settings of the connection.

use http::HeaderMap;
use sockeye_proto::extension::DeflateParams;

use crate::settings::Settings;

/// What both ends have agreed on, with the settings of the connection. Connections of one route without a subprotocol
/// and without deflate share one.
#[derive(Debug, Default)]
pub(crate) struct Negotiated {
    pub(crate) settings: Settings,
    pub(crate) deflate: Option<DeflateParams>,
    pub(crate) subprotocol: Option<String>,
    /// In a client the header fields of the response; in a server empty.
    pub(crate) response_headers: HeaderMap,
    /// Whether the session keeps its request after `on_open`.
    pub(crate) keeps_request: bool,
}
