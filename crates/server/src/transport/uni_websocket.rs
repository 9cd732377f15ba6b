//! Only receiving, over WebSocket: `/connection/uni_websocket`, for plain clients.

use std::sync::Arc;

use sockeye::{CloseCode, Closed, Endpoint, Message, Reply, Route, Session};
use sockeye_hub::{Client, Disconnect, Node, wire::ConnectRequest};

use super::{
    CloseCodes,
    websocket::{Direction, Opening, WebSocketSettings, handle_closed, route},
};

/// Makes the route by which clients that only receive reach `node`.
///
/// The client's first message is a connect request in JSON, such as `{}` or `{"token":"…"}`, unless the query has it as
/// `cf_connect`; what it sends after that is dropped. It receives bare pushes, the first of which says that it is connected.
#[must_use]
pub fn uni_websocket_route(node: &Node, path: &str, settings: WebSocketSettings) -> Route {
    route(node, path, settings, UniEndpoint::New)
}

enum UniEndpoint {
    New(Box<Opening>),
    /// Waits for the first message, for as long as the hub lets it.
    Silent(Arc<Client>, CloseCodes),
    Open(Arc<Client>, CloseCodes),
}

impl Endpoint for UniEndpoint {
    fn on_open(&mut self, session: &Session) {
        if let Self::New(opening) = self {
            let client = opening.open(session, Direction::ToClient);
            let close_codes = opening.close_codes.clone();
            *self = match opening.connect.take() {
                None => Self::Silent(client, close_codes),
                Some(request) => {
                    connect(session, &client, request.as_bytes());
                    Self::Open(client, close_codes)
                }
            };
        }
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        if let Self::Silent(client, close_codes) = self {
            let (client, close_codes) = (Arc::clone(client), close_codes.clone());
            connect(session, &client, message.as_bytes());
            *self = Self::Open(client, close_codes);
        }
        Reply::None
    }

    fn on_close(&mut self, _: &Session, closed: &Closed) {
        if let Self::Silent(client, close_codes) | Self::Open(client, close_codes) = self {
            handle_closed(client, closed, close_codes);
        }
    }
}

/// Begins to connect a client; `null` is a request that asks for nothing.
fn connect(session: &Session, client: &Arc<Client>, request: &[u8]) {
    let client = Arc::clone(client);
    match serde_json::from_slice::<Option<ConnectRequest>>(request) {
        // Without a push: who speaks another protocol doesn't read it.
        Err(_) => {
            let bad = Disconnect::BAD_REQUEST;
            session.close(CloseCode::new(bad.code()), bad.reason());
        }
        Ok(request) => {
            let request = request.unwrap_or_default();
            tokio::spawn(async move { client.connect_unidirectional(request).await });
        }
    }
}
