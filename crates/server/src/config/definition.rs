//! Everything that can be configured, defined here and nowhere else.

mod broker;
mod channel;
mod client;
mod drain;
mod http;
mod hub_log;
mod prometheus;
mod proxy;
mod socketio;
mod sockjs;
mod transport;

use std::path::PathBuf;

use clap::Args;

use super::{
    ApiKey, Bytes, ChatToken, ClientAuth, Count, FileMode, FileOwner, Filter, ListenAddr,
    LogFormat, MemoryMax, NamedList, Network, Period, PresenceStore, PublicUrl, Switch, Term,
    TrustedProxy, Under, UrlPath,
};

use broker::{BrokerMemoryKeys, InBrokerMemory, InMapBroker, MapBrokerKeys};
use channel::{ChannelKeys, InChannel, InWithoutNamespace};
pub(crate) use channel::{ChannelOptionKeys, channel_config};
pub(crate) use client::TokenKeys;
use client::{
    ClientKeys, InClient, InPersonalChannel, InSubscriptionToken, InToken, PersonalChannelKeys,
    SubscriptionTokenKeys,
};
use drain::{DrainKeys, InDrain};
use http::{HttpKeys, InHttp};
use hub_log::{HubLogKeys, InLog};
use prometheus::{InPrometheus, PrometheusKeys};
use proxy::{
    InConnectProxy, InMapPublishProxy, InMapRemoveProxy, InPublishProxy, InRefreshProxy, InRpc,
    InRpcProxy, InRpcWithoutNamespace, InSubRefreshProxy, InSubscribeProxy, RpcKeys,
    SwitchedProxyKeys,
};
pub(crate) use proxy::{ProxyKeys, RpcOptionKeys};
use socketio::{InSocketIo, SocketIoKeys};
use sockjs::{InSockJs, SockJsKeys};
use transport::TransportKeys;

/// Everything that can be configured.
#[derive(Args, Clone, Debug)]
pub(crate) struct Config {
    /// Configuration file (TOML). Default: `sockeye.toml`, if there is one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where to listen. May be given many times. HOST:PORT, where port 0 lets the system choose; unix:PATH for a Unix
    /// socket; fd:NUMBER or fd:NAME for a socket of the service manager. If the service manager passes sockets, those are
    /// the default
    #[arg(
        long,
        value_name = "ADDR",
        value_delimiter = ',',
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: Vec<ListenAddr>,

    /// Permissions of Unix sockets that the server creates; connecting takes write permission. Default: what the umask
    /// allows
    #[arg(long, value_name = "MODE")]
    pub(crate) unix_mode: Option<FileMode>,

    /// Owner of Unix sockets that the server creates, such as www-data or :nginx. Default: the server's user and group
    #[arg(long, value_name = "[USER][:GROUP]")]
    pub(crate) unix_owner: Option<FileOwner>,

    /// Expect each connection to begin with a PROXY protocol header (version 1 or 2), which names the client; close any
    /// that does not. Use `on` only where nothing but the proxy can connect
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) proxy_protocol: Switch,

    /// Addresses and ranges of proxies whose Forwarded and X-Forwarded-… headers are believed; `unix:` stands for every
    /// peer of a Unix socket. May be given many times
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<TrustedProxy>,

    /// Address under which browsers and phones reach this server, such as https://example.com. QR codes and the addresses
    /// printed at the start have it, and its pages count as the server's own. Default: the address that a browser has
    /// asked for
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<PublicUrl>,

    /// Compress messages for clients that offer permessage-deflate
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) deflate: Switch,

    /// Number of worker threads that carry WebSockets. Default: one for each core that the process may use
    #[arg(long, value_name = "COUNT")]
    pub(crate) workers: Option<Count>,

    /// Spin for some 30 microseconds before a worker sleeps, where spinning has paid off so far. Answers are faster,
    /// and the core stays busy
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) busy_poll: Switch,

    /// Directory for data that outlives the process, created if it is missing. Without it all data is in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// For development: everybody can connect without a token, subscribe, publish, and read history and presence, which
    /// every channel has. A token that a client has is checked all the same
    #[arg(
        long,
        value_name = "on|off",
        num_args = 0..=1,
        default_missing_value = "on",
        default_value = "off"
    )]
    pub(crate) dev: Switch,

    /// Applications that hooks can name: a table [[proxies]] for each in the file, a JSON array as a flag and in the
    /// environment. Each has a name and the keys of channel.proxy.subscribe
    #[arg(long, value_name = "JSON", default_value = "[]")]
    pub(crate) proxies: NamedList<ProxyKeys>,

    /// Key that back ends send in X-API-Key to use /api. Without it a new key is made and printed at each start. The name
    /// before was api_key, which is still good; http_api.key wins where both are
    #[arg(long, value_name = "KEY", alias = "api-key", help_heading = "http_api")]
    pub(crate) http_api_key: Option<ApiKey>,

    /// Let everybody use /api without a key. For development, or where a proxy keeps others from it
    #[arg(
        long,
        value_name = "on|off",
        default_value = "off",
        help_heading = "http_api"
    )]
    pub(crate) http_api_insecure: Switch,

    #[command(flatten)]
    pub(crate) client: Under<InClient, ClientKeys>,

    #[command(flatten)]
    pub(crate) token: Under<InToken, TokenKeys>,

    #[command(flatten)]
    pub(crate) subscription_token: Under<InSubscriptionToken, SubscriptionTokenKeys>,

    #[command(flatten)]
    pub(crate) personal_channel: Under<InPersonalChannel, PersonalChannelKeys>,

    #[command(flatten)]
    pub(crate) connect_proxy: Under<InConnectProxy, SwitchedProxyKeys>,

    #[command(flatten)]
    pub(crate) refresh_proxy: Under<InRefreshProxy, SwitchedProxyKeys>,

    #[command(flatten)]
    pub(crate) transports: TransportKeys,

    #[command(flatten)]
    pub(crate) broker_memory: Under<InBrokerMemory, BrokerMemoryKeys>,

    #[command(flatten)]
    pub(crate) map_broker: Under<InMapBroker, MapBrokerKeys>,

    #[command(flatten)]
    pub(crate) prometheus: Under<InPrometheus, PrometheusKeys>,

    #[command(flatten)]
    pub(crate) channel: Under<InChannel, ChannelKeys>,

    #[command(flatten)]
    pub(crate) without_namespace: Under<InWithoutNamespace, ChannelOptionKeys>,

    #[command(flatten)]
    pub(crate) subscribe_proxy: Under<InSubscribeProxy, ProxyKeys>,

    #[command(flatten)]
    pub(crate) publish_proxy: Under<InPublishProxy, ProxyKeys>,

    #[command(flatten)]
    pub(crate) sub_refresh_proxy: Under<InSubRefreshProxy, ProxyKeys>,

    #[command(flatten)]
    pub(crate) map_publish_proxy: Under<InMapPublishProxy, ProxyKeys>,

    #[command(flatten)]
    pub(crate) map_remove_proxy: Under<InMapRemoveProxy, ProxyKeys>,

    #[command(flatten)]
    pub(crate) rpc: Under<InRpc, RpcKeys>,

    #[command(flatten)]
    pub(crate) rpc_proxy: Under<InRpcProxy, ProxyKeys>,

    #[command(flatten)]
    pub(crate) rpc_without_namespace: Under<InRpcWithoutNamespace, RpcOptionKeys>,

    #[command(flatten)]
    pub(crate) sockjs: Under<InSockJs, SockJsKeys>,

    #[command(flatten)]
    pub(crate) socketio: Under<InSocketIo, SocketIoKeys>,

    /// Path of the chat's WebSocket. May be given many times. Takes precedence over what else is on that path
    #[arg(
        long,
        value_name = "PATH",
        value_delimiter = ',',
        default_value = "/chat",
        help_heading = "chat"
    )]
    pub(crate) chat_path: Vec<UrlPath>,

    /// Token that the chat's pages must send as chat_token. Without it any token that is not empty is accepted
    #[arg(long, value_name = "TOKEN", help_heading = "chat")]
    pub(crate) chat_token: Option<ChatToken>,

    /// Most bytes of chat history kept, over all rooms and private conversations. Default: 64MiB with --data, 4MiB in
    /// memory
    #[arg(long, value_name = "SIZE", help_heading = "chat")]
    pub(crate) chat_history_bytes_max: Option<Bytes>,

    /// Most bytes of chat messages that wait for people who are offline. Default: 32MiB with --data, 4MiB in memory
    #[arg(long, value_name = "SIZE", help_heading = "chat")]
    pub(crate) chat_queued_bytes_max: Option<Bytes>,

    /// How long a login QR code can be scanned and confirmed
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2m",
        help_heading = "login"
    )]
    pub(crate) login_lifetime: Period,

    /// Certificate chain (PEM). With it every listener speaks TLS: wss and https
    #[arg(long, value_name = "FILE", help_heading = "tls")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", help_heading = "tls")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Certificates (PEM) of the authorities that issue client certificates
    #[arg(long, value_name = "FILE", help_heading = "tls")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Whether clients have to show a certificate of those authorities. `request` lets clients without one connect, too;
    /// a wrong one is always refused. Default: require with --tls-client-ca, otherwise off
    #[arg(long, value_name = "off|request|require", help_heading = "tls")]
    pub(crate) tls_client_auth: Option<ClientAuth>,

    /// Tell browsers that came by https to use https alone for a year (Strict-Transport-Security). Sent only for port
    /// 443 of a name other than localhost, also behind a trusted proxy that speaks TLS
    #[arg(
        long,
        value_name = "on|off",
        default_value = "on",
        help_heading = "tls"
    )]
    pub(crate) hsts: Switch,

    /// Most memory that all clients together can make the server hold. Above three quarters of it, the server stops
    /// reading from the clients that hold most; above all of it, it closes them with 1013. `auto` is a quarter of the
    /// machine's memory, the cgroup limit or the address space limit, whichever is least
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "auto",
        help_heading = "limits"
    )]
    pub(crate) memory_max: MemoryMax,

    /// Largest message accepted, after reassembly and decompression. /echo has --echo-message-bytes-max instead
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1MiB",
        help_heading = "limits"
    )]
    pub(crate) message_bytes_max: Bytes,

    /// Largest message that /echo accepts
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16MiB",
        help_heading = "limits"
    )]
    pub(crate) echo_message_bytes_max: Bytes,

    /// Time in which a message that has begun must end or keep up with --message-rate-min. A client that does neither
    /// is closed with 1008
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        help_heading = "limits"
    )]
    pub(crate) message_timeout: Term,

    /// Bytes per second that an unfinished message must bring
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1KiB",
        help_heading = "limits"
    )]
    pub(crate) message_rate_min: Bytes,

    /// Most continuation frames in one message. Default: 65536, or one for each 256 bytes of the largest message if
    /// that is more
    #[arg(long, value_name = "COUNT", help_heading = "limits")]
    pub(crate) fragments_max: Option<Count>,

    /// Most open connections. Beyond it a WebSocket is answered with 503. Each WebSocket over HTTP/2 counts as one
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "100000",
        help_heading = "limits"
    )]
    pub(crate) connections_max: Count,

    /// Connections beyond the maximum that are still served plain HTTP, so that health probes get through
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "64",
        help_heading = "limits"
    )]
    pub(crate) connections_reserve: Count,

    /// Enforce limits for each client address (the address-… options). A request beyond one is answered with 429
    #[arg(
        long,
        value_name = "on|off",
        default_value = "on",
        help_heading = "limits"
    )]
    pub(crate) address_limits: Switch,

    /// Addresses and ranges without address limits. May be given many times, and replaces the default
    #[arg(
        long,
        value_name = "NETWORK",
        value_delimiter = ',',
        default_values = ["127.0.0.0/8", "::1"],
        help_heading = "limits"
    )]
    pub(crate) address_exempt: Vec<Network>,

    /// Most open connections of one client address. The first 64 bits of an IPv6 address count as one
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "16384",
        help_heading = "limits"
    )]
    pub(crate) address_connections_max: Count,

    /// New connections of one client address per second in the long run. 20 seconds' worth may come at once
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "500",
        help_heading = "limits"
    )]
    pub(crate) address_handshakes_per_second: Count,

    /// POST requests of one client address per minute, over all paths
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "600",
        help_heading = "limits"
    )]
    pub(crate) address_posts_per_minute: Count,

    /// Chat and login identities created for one client address per hour
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "3000",
        help_heading = "limits"
    )]
    pub(crate) address_identities_per_hour: Count,

    /// Login codes shown to one client address per minute
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "600",
        help_heading = "limits"
    )]
    pub(crate) address_tickets_per_minute: Count,

    /// Wrong keys and tokens of one client address per minute. Beyond it even a right one is refused
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "60",
        help_heading = "limits"
    )]
    pub(crate) address_wrong_keys_per_minute: Count,

    /// Most bytes that wait for a client that reads slowly
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1MiB",
        help_heading = "limits"
    )]
    pub(crate) outbox_bytes_max: Bytes,

    /// Most requests to one endpoint of a hook at the same time. What comes beyond waits until the hook's timeout
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1024",
        help_heading = "limits"
    )]
    pub(crate) hook_requests_max: Count,

    /// Largest answer of the application to a hook. A larger one counts as a failure
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1MiB",
        help_heading = "limits"
    )]
    pub(crate) hook_response_bytes_max: Bytes,

    /// Longest request head
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16KiB",
        help_heading = "limits"
    )]
    pub(crate) head_bytes_max: Bytes,

    /// Time from a connection's first byte to the end of its handshake
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "limits"
    )]
    pub(crate) handshake_timeout: Period,

    /// Time from the server's Close frame to the end of the connection
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        help_heading = "limits"
    )]
    pub(crate) close_timeout: Period,

    /// Time without a message after which a client is closed with 1001. Pings do not count
    #[arg(
        long,
        value_name = "TIME",
        default_value = "off",
        help_heading = "limits"
    )]
    pub(crate) idle_timeout: Term,

    /// Time that bytes may wait for a client that reads nothing before the connection is cut
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        help_heading = "limits"
    )]
    pub(crate) progress_timeout: Term,

    #[command(flatten)]
    pub(crate) http: Under<InHttp, HttpKeys>,

    /// Time after which a connection is closed with 1001, whatever it does
    #[arg(
        long,
        value_name = "TIME",
        default_value = "off",
        help_heading = "lifetime"
    )]
    pub(crate) lifetime_max: Term,

    /// Spread of --lifetime-max: each connection ends at a random moment within this much before it
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0",
        help_heading = "lifetime"
    )]
    pub(crate) lifetime_spread: Term,

    /// Time from one ping of the server to the next. `off` sends none
    #[arg(
        long,
        value_name = "TIME",
        default_value = "25s",
        help_heading = "heartbeat"
    )]
    pub(crate) heartbeat_interval: Term,

    /// Time after a ping in which any byte must come from the client. `off` waits forever
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "heartbeat"
    )]
    pub(crate) heartbeat_timeout: Term,

    /// Answer the text `ping` with the text `pong` on /, /echo and /websocket/ws, where it is an ordinary message
    /// otherwise
    #[arg(
        long,
        value_name = "on|off",
        default_value = "off",
        help_heading = "heartbeat"
    )]
    pub(crate) app_heartbeat: Switch,

    #[command(flatten)]
    pub(crate) drain: Under<InDrain, DrainKeys>,

    /// Where presence is stored. `auto` is `durable` with --data and `memory` without. A Redis is shared by all servers
    /// that use it
    #[arg(
        long,
        value_name = "STORE",
        default_value = "auto",
        help_heading = "presence"
    )]
    pub(crate) presence_store: PresenceStore,

    /// Most clients known, online or remembered for their last-seen time. Beyond it the client seen longest ago is
    /// forgotten
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1000000",
        help_heading = "presence"
    )]
    pub(crate) presence_clients_max: Count,

    /// With Redis: time for which a dead server's clients are shown as online at most. The same on all servers, and 1s
    /// or more
    #[arg(
        long,
        value_name = "TIME",
        default_value = "15s",
        help_heading = "presence"
    )]
    pub(crate) presence_ttl: Period,

    /// What to log, to stderr: a level, or levels by module such as `warn,sockeye=debug`
    #[arg(
        long,
        value_name = "FILTER",
        alias = "log",
        default_value = "info",
        help_heading = "log"
    )]
    pub(crate) log_filter: Filter,

    /// Format of log lines: text for people, JSON for programs
    #[arg(
        long,
        value_name = "text|json",
        default_value = "text",
        help_heading = "log"
    )]
    pub(crate) log_format: LogFormat,

    /// Log a line at level info when a WebSocket has ended: path, client, duration, messages and bytes received and sent,
    /// and how it ended. Bytes are those of uncompressed payloads. Sent means framed for the client, whether or not they
    /// arrived
    #[arg(
        long,
        value_name = "on|off",
        default_value = "off",
        help_heading = "log"
    )]
    pub(crate) log_connections: Switch,

    #[command(flatten)]
    pub(crate) hub_log: Under<InLog, HubLogKeys>,
}
