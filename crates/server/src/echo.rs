//! The echo endpoint: sends every message back unchanged.

use axum::{
    http::{StatusCode, Version, header},
    response::{IntoResponse as _, Response},
};
use sockeye::{Endpoint, Message, Refusal, Reply, Session};

#[derive(Debug)]
pub(crate) struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

/// Answers a plain HTTP request to a WebSocket endpoint with 426 (RFC 9110 section 15.5.22).
pub(crate) async fn upgrade_required(version: Version) -> Response {
    let refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED)
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .body(
            "This is a WebSocket: open it with ws:// or wss://, or open / for a page that does.\n",
        );
    // RFC 9110 section 7.8: Upgrade needs Connection, and both exist in HTTP/1.1 only.
    let refusal = match version {
        Version::HTTP_11 => refusal
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "Upgrade"),
        _ => refusal,
    };
    refusal.into_response()
}
