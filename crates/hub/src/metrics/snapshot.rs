//! Sums of what was counted, at one moment.

use std::time::Duration;

/// What a node has counted since its start, and what it holds now. See [`Node::metrics`](crate::Node::metrics).
///
/// The parts are summed one after the other while the node goes on, so they may differ by what happens meanwhile.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct NodeMetrics {
    /// The version that clients are told.
    pub version: String,
    /// Connected clients.
    pub num_clients: usize,
    /// Different users among them.
    pub num_users: usize,
    /// Channels with subscribers.
    pub num_channels: usize,
    /// Connected clients by transport and name.
    pub connections: Vec<ConnectionMetrics>,
    /// Subscriptions by the name of the client.
    pub subscriptions: Vec<SubscriptionMetrics>,
    /// Commands that clients sent.
    pub received: Vec<FrameMetrics>,
    /// Replies and pushes, once for each client that was sent them.
    pub sent: Vec<FrameMetrics>,
    /// Commands that were carried out, with the time from the first look at one to its reply.
    pub commands: Vec<CommandMetrics>,
    /// Commands that failed.
    pub reply_errors: Vec<ReplyErrorMetrics>,
    /// Connections that the node or its transport ended.
    pub disconnects: Vec<CodeCount>,
    /// Subscriptions that the node ended.
    pub unsubscribes: Vec<CodeCount>,
    /// Subscriptions of clients that asked for what they had missed.
    pub recoveries: Vec<RecoveryMetrics>,
    /// Times from a ping to its pong.
    pub pings: Vec<TransportPings>,
    /// What the node gave to its broker.
    pub to_broker: Vec<ItemMetrics>,
    /// What the node got from its broker.
    pub from_broker: Vec<ItemMetrics>,
    /// Publications, joins and leaves that slow readers have lost, where the channel's options say that they lose those rather than
    /// their connection.
    pub dropped: u64,
    /// Changes of maps that have not happened.
    pub map_suppressions: Vec<MapSuppressionMetrics>,
    /// Maps that have entries in memory.
    pub num_maps: usize,
    /// Their entries.
    pub num_map_entries: usize,
    /// Bytes, about: what those take.
    pub map_bytes: usize,
    /// Time from a publication's own time stamp until the node got it from the broker. In whole milliseconds.
    pub lag: DurationHistogram,
    /// Time in which a publication was handed to the transports of all subscribers on this node.
    pub broadcast: DurationHistogram,
    /// The sum of the two for each publication.
    pub delivery: DurationHistogram,
}

/// Clients of one transport with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionMetrics {
    /// Name of the transport.
    pub transport: &'static str,
    /// Name of the clients' library if it is one of
    /// [`NodeSettings::registered_client_names`](crate::NodeSettings::registered_client_names), else `unregistered`, or
    /// `unnamed` without one.
    pub client_name: String,
    /// Clients that have connected.
    pub accepted: u64,
    /// Those that still are.
    pub inflight: u64,
}

/// Subscriptions of clients with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionMetrics {
    /// As [`ConnectionMetrics::client_name`].
    pub client_name: String,
    /// Subscriptions that have begun.
    pub accepted: u64,
    /// Those that still are.
    pub inflight: u64,
}

/// Frames of one kind over one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameMetrics {
    /// Name of the transport.
    pub transport: &'static str,
    /// What they are: the name of a command or reply, `push_publication` and other pushes, `server_ping`, `client_pong`.
    pub kind: &'static str,
    /// How many.
    pub messages: u64,
    /// Their bytes, without compression and the transport's own framing.
    pub bytes: u64,
}

/// Commands of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandMetrics {
    /// Name of the command; `unknown` for others.
    pub method: &'static str,
    /// How long they took.
    pub durations: DurationHistogram,
}

/// Commands of one kind that failed with one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyErrorMetrics {
    /// Name of the command.
    pub method: &'static str,
    /// Code of the error; `None` for all of applications.
    pub code: Option<u32>,
    /// How many.
    pub count: u64,
}

/// How often a code was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeCount {
    /// The code; `None` for all of applications.
    pub code: Option<u32>,
    /// How many.
    pub count: u64,
}

/// Recoveries with one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryMetrics {
    /// Whether the client was given all that it had missed.
    pub is_recovered: bool,
    /// Whether that was anything.
    pub has_publications: bool,
    /// How many.
    pub count: u64,
}

/// Pings over one transport.
#[derive(Clone, Debug, PartialEq)]
pub struct TransportPings {
    /// Name of the transport.
    pub transport: &'static str,
    /// Times from ping to pong.
    pub durations: DurationHistogram,
}

/// What goes to a broker and comes from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemMetrics {
    /// `publication`, `join` or `leave`.
    pub kind: &'static str,
    /// How many.
    pub count: u64,
}

/// Changes of maps that have not happened for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSuppressionMetrics {
    /// `publish` or `remove`.
    pub change: &'static str,
    /// As [`MapSuppression::as_str`](crate::MapSuppression::as_str).
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// Durations by how long they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    /// Upper bounds, rising, and how many were at most so long.
    pub buckets: Vec<(Duration, u64)>,
    /// All of them.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}
