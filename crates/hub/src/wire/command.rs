//! What a client sends.

use bytes::Bytes;

use super::{FilterNode, Map, MessageEntry, StreamPosition, TextEntry, messages::messages};

messages! {
    /// A command of a client. It holds one request, and the server answers with a [`Reply`](super::Reply) of the same
    /// `id`. A command with no request and `id` 0 is a pong, the answer to the server's ping.
    pub struct Command {
        /// Number that the reply repeats. 0 only in a pong and with `send`, which gets no reply.
        1 (uint32) id: u32,
        /// Opens the client's session with the hub; the first command on every connection.
        4 (message, optional) connect: Option<ConnectRequest>,
        /// Subscribes to a channel.
        5 (message, optional) subscribe: Option<SubscribeRequest>,
        /// Ends a subscription.
        6 (message, optional) unsubscribe: Option<UnsubscribeRequest>,
        /// Publishes to a channel.
        7 (message, optional) publish: Option<PublishRequest>,
        /// Asks which clients are subscribed to a channel.
        8 (message, optional) presence: Option<PresenceRequest>,
        /// Asks how many clients and users are subscribed to a channel.
        9 (message, optional) presence_stats: Option<PresenceStatsRequest>,
        /// Asks for retained publications of a channel.
        10 (message, optional) history: Option<HistoryRequest>,
        /// Isn't supported by servers: their pings are empty replies.
        11 (message, optional) ping: Option<PingRequest>,
        /// Sends a message to the application, which gets no reply.
        12 (message, optional) send: Option<SendRequest>,
        /// Calls a procedure of the application.
        13 (message, optional) rpc: Option<RpcRequest>,
        /// Brings a new token for the connection.
        14 (message, optional) refresh: Option<RefreshRequest>,
        /// Brings a new token for a subscription.
        15 (message, optional) sub_refresh: Option<SubRefreshRequest>,
    }

    /// The first request: who the client is.
    pub struct ConnectRequest {
        /// Token (JWT) that says who the user is, or empty.
        1 (string) token: String,
        /// Payload for the application.
        2 (bytes = "bytes") data: Bytes,
        /// Server-side subscriptions that the client had before, by channel, with the positions to recover from.
        3 (message, repeated) subs: Map<MessageEntry<SubscribeRequest>>,
        /// Name of the client's library, such as `js`.
        4 (string) name: String,
        /// Version of the client's application or library.
        5 (string) version: String,
        /// Headers that a browser can't set on a WebSocket, by name.
        6 (message, repeated) headers: Map<TextEntry>,
        /// Bits of what the client offers for the connection: bit 0 is dictionary compression.
        7 (int64) flag: i64,
        /// Id of the compression dictionary that the client has.
        8 (string) dict: String,
        /// Name of the profile that the client's dictionary is made for.
        9 (string) profile: String,
    }

    /// Subscribes to a channel.
    pub struct SubscribeRequest {
        /// Name of the channel.
        1 (string) channel: String,
        /// Token (JWT) that allows the subscription, or empty.
        2 (string) token: String,
        /// Asks for the publications after `offset` in `epoch`.
        3 (bool) recover: bool,
        /// Epoch of the last publication that the client has seen.
        6 (string) epoch: String,
        /// Offset of the last publication that the client has seen.
        7 (uint64) offset: u64,
        /// Payload for the application.
        8 (bytes = "bytes") data: Bytes,
        /// Asks for position checks.
        9 (bool) positioned: bool,
        /// Asks for a subscription that can be recovered.
        10 (bool) recoverable: bool,
        /// Asks for join and leave pushes.
        11 (bool) join_leave: bool,
        /// Asks for this delta compression: `fossil`, or empty.
        12 (string) delta: String,
        /// Filter by the publications' tags.
        13 (message, optional) tf: Option<FilterNode>,
        /// Bits of what the client offers for the subscription: bit 0 compact channel ids, bit 1 error 112 instead of
        /// a subscription that isn't recovered.
        14 (int64) flag: i64,
        /// Kind of subscription: 0 stream, 1 map, 2 map of clients, 3 map of users, 4 shared poll.
        15 (int32) r#type: i32,
        /// Phase of a map subscription: 0 live, 1 stream, 2 state.
        16 (int32) phase: i32,
        /// Page of a map's state that follows the one with this cursor.
        17 (string) cursor: String,
        /// Most entries in a page of a map's state. 0 leaves it to the server.
        18 (int32) limit: i32,
        /// Asks for an ordered map's state in ascending order.
        19 (bool) asc: bool,
    }

    /// Ends a subscription.
    pub struct UnsubscribeRequest {
        /// Name of the channel.
        1 (string) channel: String,
    }

    /// Publishes to a channel.
    pub struct PublishRequest {
        /// Name of the channel.
        1 (string) channel: String,
        /// Payload.
        2 (bytes = "bytes") data: Bytes,
        /// Kind of channel: 0 stream, 1 map.
        3 (int32) r#type: i32,
        /// Key of a map's entry.
        4 (string) key: String,
        /// Removes the map's entry.
        5 (bool) removed: bool,
    }

    /// Asks which clients are subscribed to a channel.
    pub struct PresenceRequest {
        /// Name of the channel.
        1 (string) channel: String,
    }

    /// Asks how many clients and users are subscribed to a channel.
    pub struct PresenceStatsRequest {
        /// Name of the channel.
        1 (string) channel: String,
    }

    /// Asks for retained publications of a channel.
    pub struct HistoryRequest {
        /// Name of the channel.
        1 (string) channel: String,
        /// Most publications. 0 asks only for the position, -1 for all, up to the server's limit.
        7 (int32) limit: i32,
        /// Position to read on from, without the publication there; nothing reads from the end where reading begins.
        8 (message, optional) since: Option<StreamPosition>,
        /// Reads from the newest to the oldest.
        9 (bool) reverse: bool,
    }

    /// Asks for nothing. Servers don't support it.
    pub struct PingRequest {}

    /// Sends a message to the application.
    pub struct SendRequest {
        /// Payload.
        1 (bytes = "bytes") data: Bytes,
    }

    /// Calls a procedure of the application.
    pub struct RpcRequest {
        /// Payload.
        1 (bytes = "bytes") data: Bytes,
        /// Name of the procedure.
        2 (string) method: String,
    }

    /// Brings a new token for the connection.
    pub struct RefreshRequest {
        /// Token (JWT).
        1 (string) token: String,
    }

    /// Brings a new token for a subscription, or changes the keys of a shared poll.
    pub struct SubRefreshRequest {
        /// Name of the channel.
        1 (string) channel: String,
        /// Token (JWT).
        2 (string) token: String,
        /// What to do: 0 refresh the token, 1 track keys, 2 stop tracking keys.
        3 (int32) r#type: i32,
        /// Keys to track.
        4 (message, repeated) track: Vec<TrackBatch>,
        /// Keys to track no longer.
        5 (string, repeated) untrack: Vec<String>,
    }

    /// Keys to track that one signature allows.
    pub struct TrackBatch {
        /// Signature of the application's back end over the keys.
        1 (string) signature: String,
        /// The keys.
        2 (message, repeated) items: Vec<KeyedItem>,
    }

    /// A key of a shared poll, and the version that the client has.
    pub struct KeyedItem {
        /// The key.
        1 (string) key: String,
        /// Version that the client has, or 0.
        2 (uint64) version: u64,
    }
}

impl Command {
    /// Returns whether this is a pong: a command without a request and with `id` 0.
    #[must_use]
    pub fn is_pong(&self) -> bool {
        *self == Self::default()
    }

    /// Copies the payloads that may be slices of the frame, so that a command that waits doesn't hold the whole frame.
    pub(crate) fn copy_payloads(&mut self) {
        let recovered = self
            .connect
            .iter_mut()
            .flat_map(|connect| connect.subs.values_mut());
        for subscribe in recovered {
            subscribe.data = Bytes::copy_from_slice(&subscribe.data);
        }
        let payloads = [
            self.connect.as_mut().map(|request| &mut request.data),
            self.subscribe.as_mut().map(|request| &mut request.data),
            self.publish.as_mut().map(|request| &mut request.data),
            self.send.as_mut().map(|request| &mut request.data),
            self.rpc.as_mut().map(|request| &mut request.data),
        ];
        for payload in payloads.into_iter().flatten() {
            *payload = Bytes::copy_from_slice(payload);
        }
    }

    /// Returns about how many bytes the command takes in memory, if it was `encoded_bytes` long.
    pub(crate) fn memory_bytes(&self, encoded_bytes: usize) -> usize {
        let mut nodes = 0;
        let mut level: Vec<&FilterNode> = self.filters().collect();
        while !level.is_empty() {
            nodes += level.len();
            level = level.into_iter().flat_map(|node| &node.nodes).collect();
        }
        size_of::<Self>() + encoded_bytes + nodes * size_of::<FilterNode>()
    }

    /// Returns the filters of the command: that of a subscription, or those in the recovery state of a connect request.
    pub(super) fn filters(&self) -> impl Iterator<Item = &FilterNode> {
        let recovered = self
            .connect
            .iter()
            .flat_map(|connect| connect.subs.values());
        let subscribed = self.subscribe.iter();
        subscribed
            .chain(recovered)
            .filter_map(|subscribe| subscribe.tf.as_ref())
    }
}
