//! Only receiving, over WebSocket: `/connection/uni_websocket`, for plain clients.

use std::sync::Arc;

use sockeye::{CloseCode, Closed, Endpoint, Message, Reply, Route, Session};
use sockeye_hub::{Client, Disconnect, Node, wire::ConnectRequest};

use super::websocket::{Direction, Opening, WebSocketSettings, route};

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
    Silent(Arc<Client>),
    Open(Arc<Client>),
}

impl Endpoint for UniEndpoint {
    fn on_open(&mut self, session: &Session) {
        if let Self::New(opening) = self {
            let client = opening.open(session, Direction::ToClient);
            *self = match opening.connect.take() {
                None => Self::Silent(client),
                Some(request) => {
                    connect(session, &client, request.as_bytes());
                    Self::Open(client)
                }
            };
        }
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        if let Self::Silent(client) = self {
            let client = Arc::clone(client);
            connect(session, &client, message.as_bytes());
            *self = Self::Open(client);
        }
        Reply::None
    }

    fn on_close(&mut self, _: &Session, _: &Closed) {
        if let Self::Silent(client) | Self::Open(client) = self {
            client.close();
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
