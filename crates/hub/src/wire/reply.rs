//! What the server answers.

use bytes::Bytes;

use super::{ClientInfo, Map, MessageEntry, Publication, Push, messages::messages};

messages! {
    /// What the server sends: the answer to the command with the same `id`, or a push. An empty reply is a ping.
    pub struct Reply {
        /// Number of the command. 0 in a push and a ping.
        1 (uint32) id: u32,
        /// Why the command failed.
        2 (message, optional) error: Option<ErrorReply>,
        /// What happened without a command.
        4 (message, optional) push: Option<Push>,
        /// Answer to `connect`.
        5 (message, optional) connect: Option<ConnectResult>,
        /// Answer to `subscribe`.
        6 (message, optional) subscribe: Option<SubscribeResult>,
        /// Answer to `unsubscribe`.
        7 (message, optional) unsubscribe: Option<UnsubscribeResult>,
        /// Answer to `publish`.
        8 (message, optional) publish: Option<PublishResult>,
        /// Answer to `presence`.
        9 (message, optional) presence: Option<PresenceResult>,
        /// Answer to `presence_stats`.
        10 (message, optional) presence_stats: Option<PresenceStatsResult>,
        /// Answer to `history`.
        11 (message, optional) history: Option<HistoryResult>,
        /// Answer to `ping`, which servers don't support.
        12 (message, optional) ping: Option<PingResult>,
        /// Answer to `rpc`.
        13 (message, optional) rpc: Option<RpcResult>,
        /// Answer to `refresh`.
        14 (message, optional) refresh: Option<RefreshResult>,
        /// Answer to `sub_refresh`.
        15 (message, optional) sub_refresh: Option<SubRefreshResult>,
    }

    /// Why a command failed.
    pub struct ErrorReply {
        /// A code of the protocol ([`ErrorCode`](crate::ErrorCode), below 400) or of the application (400 to 1999).
        1 (uint32) code: u32,
        /// The reason for people.
        2 (string) message: String,
        /// Says that a later attempt may succeed.
        3 (bool) temporary: bool,
    }

    /// Answer to a connect request: the session is open.
    pub struct ConnectResult {
        /// Id of the connection.
        1 (string) client: String,
        /// Version of the server.
        2 (string) version: String,
        /// Says that the connection expires.
        3 (bool) expires: bool,
        /// Seconds until the connection expires.
        4 (uint32) ttl: u32,
        /// Payload of the application.
        5 (bytes = "bytes") data: Bytes,
        /// Server-side subscriptions by channel.
        6 (message, repeated) subs: Map<MessageEntry<SubscribeResult>>,
        /// Seconds between two pings of the server.
        7 (uint32) ping: u32,
        /// Asks for an answer to each ping.
        8 (bool) pong: bool,
        /// Id of the session, for transports that send commands elsewhere.
        9 (string) session: String,
        /// Id of the server's node, for transports that send commands elsewhere.
        10 (string) node: String,
        /// Milliseconds since 1970 by the server's clock.
        11 (int64) time: i64,
        /// Bits of what the server has accepted of the request's `flag`.
        12 (int64) flag: i64,
        /// Dictionary that compresses what follows.
        13 (message, optional) dict: Option<Dictionary>,
    }

    /// A compression dictionary. Without content it names the one that the client has.
    pub struct Dictionary {
        /// First 12 bytes of the content's SHA-256, in base64url without padding.
        1 (string) id: String,
        /// Content, compressed by DEFLATE. Over Protobuf.
        2 (bytes = "bytes") data: Bytes,
        /// Content, compressed by DEFLATE, in base64 with padding. Over JSON.
        3 (string) data_b64: String,
    }

    /// Answer to a subscribe request, or a server-side subscription of a connect reply.
    pub struct SubscribeResult {
        /// Says that the subscription expires.
        1 (bool) expires: bool,
        /// Seconds until the subscription expires.
        2 (uint32) ttl: u32,
        /// Says that the subscription can be recovered.
        3 (bool) recoverable: bool,
        /// Epoch of the channel's history.
        6 (string) epoch: String,
        /// Publications that the client has missed, oldest first.
        7 (message, repeated) publications: Vec<Publication>,
        /// Says that `publications` are all that the client has missed.
        8 (bool) recovered: bool,
        /// Position from which the client counts on: the requested one if `recovered`, else that of the newest
        /// publication.
        9 (uint64) offset: u64,
        /// Says that the client must follow the position.
        10 (bool) positioned: bool,
        /// Payload of the application.
        11 (bytes = "bytes") data: Bytes,
        /// Says that the request asked for a recovery.
        12 (bool) was_recovering: bool,
        /// Says that publications can be differences.
        13 (bool) delta: bool,
        /// Number that stands for the channel in pushes.
        14 (int64) id: i64,
        /// Kind of subscription, as in the request.
        15 (int32) r#type: i32,
        /// Phase of a map subscription: 0 live, 1 stream, 2 state.
        16 (int32) phase: i32,
        /// Cursor of the next page of a map's state. Empty on the last page.
        17 (string) cursor: String,
        /// Entries of a map.
        18 (message, repeated) state: Vec<Publication>,
        /// Milliseconds that the client waits between two publications to the channel.
        19 (uint32) publish_debounce: u32,
    }

    /// Answer to an unsubscribe request.
    pub struct UnsubscribeResult {}

    /// Answer to a publish request.
    pub struct PublishResult {
        /// Milliseconds that the client waits until the next publication to the channel.
        1 (int32) debounce: i32,
    }

    /// Answer to a presence request.
    pub struct PresenceResult {
        /// Clients by their connections' ids. JSON always has it.
        1 (message, repeated) presence: Map<MessageEntry<ClientInfo>> = ALWAYS,
    }

    /// Answer to a request for presence statistics.
    pub struct PresenceStatsResult {
        /// How many connections are subscribed. JSON always has it.
        1 (uint32) num_clients: u32 = ALWAYS,
        /// How many different users are subscribed. JSON always has it.
        2 (uint32) num_users: u32 = ALWAYS,
    }

    /// Answer to a history request.
    pub struct HistoryResult {
        /// Retained publications. JSON always has it.
        1 (message, repeated) publications: Vec<Publication> = ALWAYS,
        /// Epoch of the channel's history. JSON always has it.
        2 (string) epoch: String = ALWAYS,
        /// Offset of the newest publication. JSON always has it.
        3 (uint64) offset: u64 = ALWAYS,
    }

    /// Answer to a ping request, which servers don't support.
    pub struct PingResult {}

    /// Answer to a procedure call.
    pub struct RpcResult {
        /// Payload.
        1 (bytes = "bytes") data: Bytes,
    }

    /// Answer to a refresh request.
    pub struct RefreshResult {
        /// Id of the connection.
        1 (string) client: String,
        /// Version of the server.
        2 (string) version: String,
        /// Says that the connection expires.
        3 (bool) expires: bool,
        /// Seconds until the connection expires.
        4 (uint32) ttl: u32,
    }

    /// Answer to a request that refreshes a subscription.
    pub struct SubRefreshResult {
        /// Says that the subscription expires.
        1 (bool) expires: bool,
        /// Seconds until the subscription expires.
        2 (uint32) ttl: u32,
        /// Items of a shared poll that are newer than the client's.
        3 (message, repeated) items: Vec<Publication>,
    }
}
