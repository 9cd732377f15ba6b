//! The server's choice from the client's offers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use sockeye_proto::handshake::ServerHandshake;

use crate::handshake::negotiated::{Negotiated, SharedNegotiated};

/// The server's choice from the client's offers: a subprotocol and the parameters of deflate.
#[derive(Debug)]
pub(crate) struct Agreement {
    negotiated: Arc<Negotiated>,
    /// The value of `Sec-WebSocket-Extensions`, if deflate was chosen.
    extensions: Option<String>,
}

impl Agreement {
    /// Chooses from what `handshake` offers. `plain` is the result if nothing is chosen, and `shared` has the others so far.
    /// `subprotocols` are the route's, best first.
    pub(crate) fn new(
        handshake: &ServerHandshake,
        plain: &Arc<Negotiated>,
        shared: &SharedNegotiated,
        subprotocols: &[String],
    ) -> Self {
        let deflate = plain.settings.deflate.as_ref();
        let chosen = deflate.and_then(|deflate| handshake.select_deflate(deflate));
        let (deflate, extensions) = chosen.unzip();
        let subprotocol = handshake.select_subprotocol(subprotocols);
        Self {
            negotiated: shared.agree(plain, deflate, subprotocol),
            extensions,
        }
    }

    /// Returns what the session needs to know.
    pub(crate) fn negotiated(self) -> Arc<Negotiated> {
        self.negotiated
    }

    /// Returns the 101 over HTTP/1.1 as bytes.
    pub(crate) fn response_bytes(&self, handshake: &ServerHandshake) -> Vec<u8> {
        handshake
            .response(
                self.negotiated.subprotocol.as_deref(),
                self.extensions.as_deref(),
                &[],
            )
            .expect("what was chosen from the client's tokens can stand in a head")
    }

    /// Returns the status and the header fields that open the WebSocket in this version of HTTP.
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
    // Base64, tokens and our own parameters never hold a control character.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
