//! What both ends will speak once the WebSocket is open.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use sockeye_proto::{extension::DeflateParams, handshake::ServerHandshake};

use crate::Settings;

/// What both ends will speak once the WebSocket is open: chosen from the client's offers.
#[derive(Debug)]
pub(crate) struct Agreement {
    pub(crate) settings: Settings,
    pub(crate) subprotocol: Option<String>,
    pub(crate) deflate: Option<DeflateParams>,
    /// The value of `Sec-WebSocket-Extensions` that tells of `deflate`.
    extensions: Option<String>,
}

impl Agreement {
    /// Chooses. `subprotocols` are ours, in our order of preference.
    pub(crate) fn new(
        handshake: &ServerHandshake,
        settings: Settings,
        subprotocols: &[String],
    ) -> Self {
        let chosen = settings
            .deflate
            .as_ref()
            .and_then(|deflate| handshake.select_deflate(deflate));
        let (deflate, extensions) = chosen.unzip();
        let subprotocol = handshake.select_subprotocol(subprotocols);
        Self {
            subprotocol: subprotocol.map(str::to_owned),
            settings,
            deflate,
            extensions,
        }
    }

    /// The 101 over HTTP/1.1, as bytes.
    pub(crate) fn response_bytes(&self, handshake: &ServerHandshake) -> Vec<u8> {
        handshake
            .response(self.subprotocol.as_deref(), self.extensions.as_deref(), &[])
            .expect("what was chosen from the client's tokens can stand in a head")
    }

    /// The status and fields that open the WebSocket in this version of HTTP.
    pub(crate) fn response_parts(
        &self,
        handshake: &ServerHandshake,
        version: Version,
    ) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        // RFC 8441 section 5: over HTTP/2 it is 200, without Upgrade, Connection and Accept.
        let status = match version {
            Version::HTTP_2 => StatusCode::OK,
            _ => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                insert(
                    &mut headers,
                    header::SEC_WEBSOCKET_ACCEPT,
                    handshake.accept(),
                );
                StatusCode::SWITCHING_PROTOCOLS
            }
        };
        if let Some(name) = &self.subprotocol {
            insert(&mut headers, header::SEC_WEBSOCKET_PROTOCOL, name);
        }
        if let Some(value) = &self.extensions {
            insert(&mut headers, header::SEC_WEBSOCKET_EXTENSIONS, value);
        }
        (status, headers)
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Base64, tokens and parameters of ours: never a control character.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
