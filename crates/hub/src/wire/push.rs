//! What the server sends without being asked.

use bytes::Bytes;

use super::{ClientInfo, Map, MessageEntry, Publication, SubscribeResult, messages::messages};

messages! {
    /// A push: what happened in a channel or to the connection. It holds one of its fields from `pub` on.
    pub struct Push {
        /// Number that stands for `channel`, if the client and the server agreed on one.
        1 (int64) id: i64,
        /// Channel. Empty if the push isn't about one.
        2 (string) channel: String,
        /// A publication.
        4 (message, optional) r#pub: Option<Publication>,
        /// A client has subscribed.
        5 (message, optional) join: Option<JoinPush>,
        /// A client is no longer subscribed.
        6 (message, optional) leave: Option<LeavePush>,
        /// The server ended this client's subscription.
        7 (message, optional) unsubscribe: Option<UnsubscribePush>,
        /// A message for this client alone.
        8 (message, optional) message: Option<MessagePush>,
        /// The server subscribed this client.
        9 (message, optional) subscribe: Option<SubscribePush>,
        /// The session is open, where no connect command was sent: unidirectional transports.
        10 (message, optional) connect: Option<ConnectPush>,
        /// The session ends, where the transport has no close code: SSE, HTTP streams.
        11 (message, optional) disconnect: Option<DisconnectPush>,
        /// The connection's expiry has changed.
        12 (message, optional) refresh: Option<RefreshPush>,
    }

    /// A client has subscribed to the channel.
    pub struct JoinPush {
        /// The client.
        1 (message, optional) info: Option<ClientInfo>,
    }

    /// A client is no longer subscribed to the channel.
    pub struct LeavePush {
        /// The client.
        1 (message, optional) info: Option<ClientInfo>,
    }

    /// The server ended the subscription.
    pub struct UnsubscribePush {
        /// Why, and whether the client subscribes again ([`UnsubscribeCode`](crate::UnsubscribeCode)).
        2 (uint32) code: u32,
        /// The reason for people.
        3 (string) reason: String,
    }

    /// A message for this client alone.
    pub struct MessagePush {
        /// Payload.
        1 (bytes = "bytes") data: Bytes,
    }

    /// The server subscribed the client to the channel.
    pub struct SubscribePush {
        /// Says that the subscription can be recovered.
        1 (bool) recoverable: bool,
        /// Epoch of the channel's history.
        4 (string) epoch: String,
        /// Offset of the newest publication.
        5 (uint64) offset: u64,
        /// Says that the client must follow the position.
        6 (bool) positioned: bool,
        /// Payload of the application.
        7 (bytes = "bytes") data: Bytes,
    }

    /// The session is open. The fields are those of [`ConnectResult`](super::ConnectResult).
    pub struct ConnectPush {
        /// Id of the connection.
        1 (string) client: String,
        /// Version of the server.
        2 (string) version: String,
        /// Payload of the application.
        3 (bytes = "bytes") data: Bytes,
        /// Server-side subscriptions by channel.
        4 (message, repeated) subs: Map<MessageEntry<SubscribeResult>>,
        /// Says that the connection expires.
        5 (bool) expires: bool,
        /// Seconds until the connection expires.
        6 (uint32) ttl: u32,
        /// Seconds between two pings of the server.
        7 (uint32) ping: u32,
        /// Asks for an answer to each ping.
        8 (bool) pong: bool,
        /// Id of the session.
        9 (string) session: String,
        /// Id of the server's node.
        10 (string) node: String,
        /// Milliseconds since 1970 by the server's clock.
        11 (int64) time: i64,
    }

    /// The session ends.
    pub struct DisconnectPush {
        /// Why, and whether the client comes back ([`Disconnect`](crate::Disconnect)).
        1 (uint32) code: u32,
        /// The reason for people.
        2 (string) reason: String,
        /// Says that the client comes back. Servers leave it to `code`.
        3 (bool) reconnect: bool,
    }

    /// The connection's expiry has changed.
    pub struct RefreshPush {
        /// Says that the connection expires.
        1 (bool) expires: bool,
        /// Seconds until the connection expires.
        2 (uint32) ttl: u32,
    }
}
