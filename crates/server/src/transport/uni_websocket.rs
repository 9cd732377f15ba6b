//! Only receiving, over WebSocket: `/connection/uni_websocket`, for plain clients.

use std::sync::Arc;

use sockeye::{Closed, Endpoint, Message, Reply, Route, Session};
use sockeye_hub::{Client, Disconnect, Node, wire::ConnectRequest};

use super::websocket::{Direction, Opening, WebSocketSettings, route};

/// Makes the route by which clients that only receive reach `node`.
///
/// The client's first message is a connect request in JSON, such as `{}` or `{"token":"…"}`; what it sends after that is
/// dropped. It receives bare pushes, the first of which says that it is connected.
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
            *self = Self::Silent(opening.open(session, Direction::ToClient));
        }
    }

    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        let Self::Silent(client) = self else {
            return Reply::None;
        };
        let client = Arc::clone(client);
        match serde_json::from_slice::<ConnectRequest>(message.as_bytes()) {
            Err(_) => client.disconnect(Disconnect::BAD_REQUEST),
            Ok(request) => {
                let connecting = Arc::clone(&client);
                tokio::spawn(async move { connecting.connect_unidirectional(request).await });
            }
        }
        *self = Self::Open(client);
        Reply::None
    }

    fn on_close(&mut self, _: &Session, _: &Closed) {
        if let Self::Silent(client) | Self::Open(client) = self {
            client.close();
        }
    }
}
