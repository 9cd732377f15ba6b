//! The hub over WebSocket: `/connection/websocket`.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use sockeye::{
    CloseCode, Closed, Endpoint, Group, Message, Origins, Prepared, Reply, Request, Route, Session,
    Settings, TrySendError,
};
use sockeye_hub::{
    Client, ConnectionInfo, Disconnect, Node, Receivers, SendError, Transport, wire::Encoding,
};

use super::{CloseCodes, request_fields::request_fields};

/// How the hub's WebSockets are run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebSocketSettings {
    /// The settings of the connections, which [`WebSocketSettings::message_size_limit`] and
    /// [`WebSocketSettings::queue_max_size`] override.
    pub settings: Settings,
    /// Bytes. Largest frame of commands. Default 64 KiB. A larger one ends the connection with 1009.
    pub message_size_limit: usize,
    /// Bytes that may wait for a client that doesn't read. Default 1 MiB. Beyond it the client is ended with 3008, and recovers
    /// when it comes back.
    pub queue_max_size: usize,
    /// The pages that may connect. Default: those of the same origin.
    pub origins: Origins,
    /// Counts the codes of the Close frames that the server sends.
    pub close_codes: CloseCodes,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            message_size_limit: 64 << 10,
            queue_max_size: 1 << 20,
            origins: Origins::Same,
            close_codes: CloseCodes::default(),
        }
    }
}

/// Makes the route by which clients reach `node`.
///
/// The encoding is that of the subprotocol `centrifuge-json` or `centrifuge-protobuf`, which is agreed to, or of the
/// query: `?cf_protocol=protobuf`, or the older `?format=protobuf`. JSON is the default. With
/// `?cf_ws_frame_ping_pong=true` the client is pinged by WebSocket's own pings.
///
/// ```
/// use sockeye::Server;
/// use sockeye_hub::{Node, namespace::{ChannelConfig, Namespaces}};
/// use sockeye_server::transport::{WebSocketSettings, websocket_route};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let node = Node::builder(Namespaces::new(ChannelConfig::default())?).start();
/// let route = websocket_route(&node, "/connection/websocket", WebSocketSettings::default());
/// let server = Server::bind("127.0.0.1:0").mount(route);
/// # drop(server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use]
pub fn websocket_route(node: &Node, path: &str, settings: WebSocketSettings) -> Route {
    route(node, path, settings, HubEndpoint::New).subprotocols([
        Encoding::Json.subprotocol(),
        Encoding::Protobuf.subprotocol(),
    ])
}

/// Makes a route whose endpoints are made from what the request says.
pub(super) fn route<E: Endpoint>(
    node: &Node,
    path: &str,
    settings: WebSocketSettings,
    make: fn(Box<Opening>) -> E,
) -> Route {
    let node = node.clone();
    let WebSocketSettings {
        mut settings,
        message_size_limit,
        queue_max_size,
        origins,
        close_codes,
    } = settings;
    settings.limits.message_bytes_max = message_size_limit;
    settings.outbox_bytes_max = queue_max_size;
    // Clients that are closed with any other code don't know that they should come back.
    settings.drain_close = Some((CloseCode::new(Disconnect::SHUTDOWN.code()), "shutdown"));
    Route::new(path, move |request| {
        let opening = Opening::new(&node, request, queue_max_size, close_codes.clone());
        Ok(make(Box::new(opening)))
    })
    .settings(settings)
    .origins(origins)
}

/// One WebSocket of a client.
enum HubEndpoint {
    New(Box<Opening>),
    Open(Arc<Client>, CloseCodes),
}

/// What the request said, until the WebSocket is open.
pub(super) struct Opening {
    node: Node,
    asks_for_protobuf: bool,
    has_own_pings: bool,
    headers: BTreeMap<String, String>,
    /// The connect request of a client that only receives, if the query has it.
    pub(super) connect: Option<String>,
    queue_max_size: usize,
    pub(super) close_codes: CloseCodes,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Both,
    ToClient,
}

impl Opening {
    fn new(node: &Node, request: &Request, queue_max_size: usize, close_codes: CloseCodes) -> Self {
        let query = |name: &str, wanted: &str| {
            request
                .query_param(name)
                .is_some_and(|value| value == wanted)
        };
        Self {
            node: node.clone(),
            asks_for_protobuf: query("cf_protocol", "protobuf") || query("format", "protobuf"),
            has_own_pings: query("cf_ws_frame_ping_pong", "true"),
            headers: request_fields(request.headers()),
            connect: request.query_param("cf_connect"),
            queue_max_size,
            close_codes,
        }
    }

    /// Opens the client of a WebSocket.
    pub(super) fn open(&mut self, session: &Session, direction: Direction) -> Arc<Client> {
        let encoding = match session.subprotocol() {
            _ if direction == Direction::ToClient => Encoding::Json,
            Some(name) if name == Encoding::Protobuf.subprotocol() => Encoding::Protobuf,
            None if self.asks_for_protobuf => Encoding::Protobuf,
            _ => Encoding::Json,
        };
        let transport = WebSocketTransport {
            session: session.clone(),
            encoding,
            own_session: (direction == Direction::ToClient)
                .then(|| Box::new(OwnSession(uuid::Uuid::new_v4().to_string()))),
            has_own_pings: self.has_own_pings,
            queue_max_size: u32::try_from(self.queue_max_size).unwrap_or(u32::MAX),
        };
        let info = ConnectionInfo {
            headers: std::mem::take(&mut self.headers),
            credentials: None,
        };
        self.node.open(transport, info)
    }
}

impl Endpoint for HubEndpoint {
    fn on_open(&mut self, session: &Session) {
        if let Self::New(opening) = self {
            let client = opening.open(session, Direction::Both);
            *self = Self::Open(client, opening.close_codes.clone());
        }
    }

    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        if let Self::Open(client, _) = self {
            client.handle_frame(Bytes::copy_from_slice(message.as_bytes()));
        }
        Reply::None
    }

    fn on_close(&mut self, _: &Session, closed: &Closed) {
        if let Self::Open(client, close_codes) = self {
            handle_closed(client, closed, close_codes);
        }
    }
}

/// Tells the hub how the WebSocket of a client has ended.
pub(super) fn handle_closed(client: &Arc<Client>, closed: &Closed, close_codes: &CloseCodes) {
    let Some(sent) = closed.sent else {
        return client.close();
    };
    close_codes.count(sent);
    // A group and a drain end clients without the hub. What the hub has ended is known to it.
    let by_transport = [
        Disconnect::BAD_REQUEST,
        Disconnect::SLOW,
        Disconnect::SHUTDOWN,
        Disconnect::INAPPROPRIATE_PROTOCOL,
    ];
    let known = by_transport
        .iter()
        .find(|known| CloseCode::new(known.code()) == sent);
    match known {
        Some(disconnect) => client.close_ended(disconnect),
        None => client.close(),
    }
}

/// Small, since each client has one.
struct WebSocketTransport {
    session: Session,
    /// Only a client that only receives has it.
    own_session: Option<Box<OwnSession>>,
    queue_max_size: u32,
    encoding: Encoding,
    has_own_pings: bool,
}

/// A session's name for back ends.
struct OwnSession(String);

impl Transport for WebSocketTransport {
    fn name(&self) -> &'static str {
        match self.own_session {
            None => "websocket",
            Some(_) => "uni_websocket",
        }
    }

    fn is_unidirectional(&self) -> bool {
        self.own_session.is_some()
    }

    fn session(&self) -> Option<&str> {
        self.own_session.as_ref().map(|session| &*session.0)
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn needs_pings(&self) -> bool {
        !self.has_own_pings
    }

    fn is_crowded(&self) -> bool {
        self.session.buffered_bytes() > self.queue_max_size as usize / 2
    }

    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.session
            .try_send(message(self.encoding, &frame))
            .map_err(|error| match error {
                TrySendError::Full(_) => SendError::Full,
                TrySendError::Closed(_) => SendError::Closed,
            })
    }

    fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.session.buffered_bytes();
        let bytes_max = self.queue_max_size as usize;
        waiting <= bytes_max / 8 || waiting + bytes <= bytes_max
    }

    fn send_answer(&self, frame: Bytes) -> Result<(), SendError> {
        // The frame has one owner, so its memory goes on to the socket.
        let frame = Vec::from(frame);
        let message = match self.encoding {
            Encoding::Protobuf => Message::from(frame),
            // What the hub encodes as JSON is UTF-8.
            Encoding::Json => match String::from_utf8(frame) {
                Ok(text) => Message::from(text),
                Err(error) => Message::from(error.into_bytes()),
            },
        };
        self.session
            .try_reply(message)
            .map_err(|_| SendError::Closed)
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        let mut push = Vec::new();
        if self.is_unidirectional()
            && self
                .encoding
                .encode_push(&disconnect.into(), &mut push)
                .is_ok()
        {
            // A client that can't take it is closed all the same.
            let _ = self.send(push.into());
        }
        self.session
            .close(close_code(disconnect), disconnect.reason());
    }

    fn new_receivers(&self) -> Box<dyn Receivers> {
        let slow = Disconnect::SLOW;
        Box::new(WebSocketReceivers {
            group: Group::with_slow_reader(CloseCode::new(slow.code()), "slow"),
            encoding: self.encoding,
        })
    }
}

/// WebSockets that receive the same frames: each is framed, and compressed, once.
struct WebSocketReceivers {
    group: Group,
    encoding: Encoding,
}

impl Receivers for WebSocketReceivers {
    fn add(&self, transport: &dyn Transport) {
        if let Some(session) = session_of(transport) {
            self.group.join(session);
        }
    }

    fn remove(&self, transport: &dyn Transport) {
        if let Some(session) = session_of(transport) {
            self.group.leave(session);
        }
    }

    fn send(&self, frame: &Bytes) {
        self.group
            .send_prepared(&Prepared::new(message(self.encoding, frame)));
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        self.group
            .close(close_code(disconnect), disconnect.reason());
    }
}

/// Returns the code of the Close frame, which is empty if the client isn't to be told.
fn close_code(disconnect: &Disconnect) -> CloseCode {
    match disconnect.is_sent() {
        true => CloseCode::new(disconnect.code()),
        false => CloseCode::NO_STATUS,
    }
}

fn session_of(transport: &dyn Transport) -> Option<&Session> {
    let transport: &dyn Any = transport;
    transport
        .downcast_ref()
        .map(|transport: &WebSocketTransport| &transport.session)
}

fn message(encoding: Encoding, frame: &[u8]) -> Message<'_> {
    match encoding {
        Encoding::Protobuf => Message::from(frame),
        // What the hub encodes as JSON is UTF-8.
        Encoding::Json => match std::str::from_utf8(frame) {
            Ok(text) => Message::from(text),
            Err(_) => Message::from(frame),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_client_costs_little_here() {
        // With the eight bytes that glibc's allocator adds both are 32, the smallest of its sizes.
        assert!(size_of::<WebSocketTransport>() <= 24);
        assert!(size_of::<HubEndpoint>() <= 24);
    }
}
