//! How a node treats its clients.

use std::time::Duration;

use crate::{MapLimits, wire::CommandLimits};

/// How a node treats its clients. The defaults are Centrifugo's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeSettings {
    /// Name of the node, for operators. Default `sockeye`.
    pub name: String,
    /// Version that clients are told. Default: this crate's.
    pub version: String,
    /// Time between two pings of a client. Default 25 s. The first comes after half of it to all of it.
    pub ping_interval: Duration,
    /// Time in which a client must answer a ping, or it is ended with 3012. Default 8 s.
    pub pong_timeout: Duration,
    /// Time in which a client must have sent its connect command, or it is ended with 3502. Default 10 s.
    pub stale_close_delay: Duration,
    /// Time after the expiry of a connection in which it can still be refreshed; then it is ended with 3005. Default 25 s.
    pub expired_close_delay: Duration,
    /// The same for a subscription; the client is then ended with 3006. Default 25 s.
    pub expired_sub_close_delay: Duration,
    /// Most channels that one client can be subscribed to. Default 128. Beyond it subscribing fails with error 106.
    pub channel_limit: usize,
    /// Most connections of one user, beyond which a new one is ended with 3504; 0 (the default): no limit. Anonymous
    /// clients have none.
    pub user_connection_limit: usize,
    /// Commands of one client that are carried out at the same time, where some take time. Default 8.
    pub concurrency: usize,
    /// Commands of one client that may wait for others of its own. Default 1,024. Beyond it the client is ended with 3013.
    pub commands_waiting_max: usize,
    /// Bytes. The commands of one client that may wait for others of its own, in memory. Default 2 MiB. Beyond it the client is
    /// ended with 3013.
    pub command_bytes_waiting_max: usize,
    /// Calls of the application's functions that run at the same time, for all clients together. Default 4,096; at least 1.
    /// Further ones wait.
    pub handlers_max: usize,
    /// Most publications that a recovery brings. Default 300. A client that has missed more is not recovered.
    pub recovery_max_publication_limit: usize,
    /// Most publications in one answer to a client's question about history. Default 300.
    pub history_max_publication_limit: usize,
    /// Bytes. Most that the publications of one answer take, with their tags and publishers: of a recovery, of a connect command's
    /// recoveries together, of a question about history. Default 4 MiB. A client that has missed more is not recovered, and
    /// its question is answered with fewer publications, at least one. A question about presence that needs more fails with error 106.
    pub answer_bytes_max: usize,
    /// Bytes. Most that the filters of one client take. Default 256 KiB. Beyond it subscribing fails with error 106.
    pub filter_bytes_max: usize,
    /// Bytes. Most that waits, in all channels together, for slow readers that lose publications; a frame counts once for all that it
    /// waits for. Default 64 MiB. Beyond it the clients for which most waits are ended with 3008.
    pub waiting_bytes_max: usize,
    /// Time between two comparisons of a channel's position with the broker's. Default 40 s.
    pub position_check_interval: Duration,
    /// What maps may hold.
    pub map_limits: MapLimits,
    /// Limits of the commands in one frame.
    pub command_limits: CommandLimits,
    /// Lets clients connect without a token, as anonymous. Default: no. They are ended with 3501.
    pub allow_anonymous_connect_without_token: bool,
    /// Refuses tokens without a user. Default: no. Such clients are ended with 3507.
    pub disallow_anonymous_connection_tokens: bool,
    /// Tells clients the server's time when they connect. Default: no.
    pub connect_include_server_time: bool,
    /// Lets everybody connect, subscribe, publish, and ask for history and presence. For development. Default: no. A token that a client brings is
    /// checked even then.
    pub insecure: bool,
    /// Names, in lower case, of the header fields that are kept as long as a client is connected, for
    /// [`crate::ClientView::headers`]. Default: none. They cost memory for each client that brings them.
    pub kept_headers: Vec<String>,
    /// Subscribes each user to its personal channel, in this namespace (empty for none). Default: `None`, it doesn't.
    pub personal_channel_namespace: Option<String>,
    /// Ends the other connections of a user with 3504 when a new one comes. Default: no. Anonymous clients may have many.
    pub single_connection: bool,
    /// Names that clients give themselves ([`ConnectRequest::name`](crate::wire::ConnectRequest::name)) and by which
    /// [`Node::metrics`](crate::Node::metrics) tells them apart; those after the 64th are not. Default: the names of the
    /// SDKs, `js`, `go`, `python`, `dart`, `swift`, `java`, `csharp`, `rust`.
    pub registered_client_names: Vec<String>,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            name: "sockeye".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            stale_close_delay: Duration::from_secs(10),
            expired_close_delay: Duration::from_secs(25),
            expired_sub_close_delay: Duration::from_secs(25),
            channel_limit: 128,
            user_connection_limit: 0,
            concurrency: 8,
            commands_waiting_max: 1_024,
            command_bytes_waiting_max: 2 << 20,
            handlers_max: 4_096,
            recovery_max_publication_limit: 300,
            history_max_publication_limit: 300,
            answer_bytes_max: 4 << 20,
            filter_bytes_max: 256 << 10,
            waiting_bytes_max: 64 << 20,
            position_check_interval: Duration::from_secs(40),
            map_limits: MapLimits::default(),
            command_limits: CommandLimits::default(),
            allow_anonymous_connect_without_token: false,
            disallow_anonymous_connection_tokens: false,
            connect_include_server_time: false,
            insecure: false,
            kept_headers: Vec::new(),
            personal_channel_namespace: None,
            single_connection: false,
            registered_client_names: SDK_NAMES.map(str::to_owned).to_vec(),
        }
    }
}

/// What the SDKs call themselves, unless their application says otherwise.
const SDK_NAMES: [&str; 8] = [
    "js", "go", "python", "dart", "swift", "java", "csharp", "rust",
];
