//! What both ends will speak once the WebSocket is open.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use sockeye_proto::handshake::ServerHandshake;

use crate::handshake::negotiated::Negotiated;

/// What both ends will speak once the WebSocket is open: chosen from the client's offers.
#[derive(Debug)]
pub(crate) struct Agreement {
    negotiated: Arc<Negotiated>,
    /// The value of `Sec-WebSocket-Extensions` that tells of deflate.
    extensions: Option<String>,
}

impl Agreement {
    /// Chooses. `plain` are the terms if nothing is chosen; `subprotocols` are ours, in our order of
    /// preference.
    pub(crate) fn new(
        handshake: &ServerHandshake,
        plain: &Arc<Negotiated>,
        subprotocols: &[String],
    ) -> Self {
        let deflate = plain.settings.deflate.as_ref();
        let chosen = deflate.and_then(|deflate| handshake.select_deflate(deflate));
        let (deflate, extensions) = chosen.unzip();
        let subprotocol = handshake.select_subprotocol(subprotocols);
        let negotiated = match (deflate, subprotocol) {
            (None, None) => Arc::clone(plain),
            _ => Arc::new(Negotiated {
                settings: plain.settings.clone(),
                deflate,
                subprotocol: subprotocol.map(str::to_owned),
                keeps_request: plain.keeps_request,
                ..Negotiated::default()
            }),
        };
        Self {
            negotiated,
            extensions,
        }
    }

    /// What the session needs to know of it.
    pub(crate) fn negotiated(self) -> Arc<Negotiated> {
        self.negotiated
    }

    /// The 101 over HTTP/1.1, as bytes.
    pub(crate) fn response_bytes(&self, handshake: &ServerHandshake) -> Vec<u8> {
        handshake
            .response(
                self.negotiated.subprotocol.as_deref(),
                self.extensions.as_deref(),
                &[],
            )
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
        if let Some(name) = &self.negotiated.subprotocol {
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
