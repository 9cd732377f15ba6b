//! Everything that can be configured, defined here and nowhere else.

use std::path::PathBuf;

use clap::Args;

use super::{
    ApiKey, Bytes, ChatToken, Count, Filter, ListenAddr, LogFormat, MemoryMax, Network, Period,
    PresenceStore, Switch, Term, UrlPath,
};

/// Everything that can be configured.
#[derive(Args, Clone, Debug)]
pub(crate) struct Config {
    /// Configuration file (TOML); `sockeye.toml` is read if it is there and nothing else is named
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Address to listen on, HOST:PORT; may be given many times; port 0 lets the system choose
    #[arg(
        long,
        value_name = "ADDR",
        value_delimiter = ',',
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: Vec<ListenAddr>,

    /// Every connection begins with a head of the PROXY protocol (version 1 or 2), which names the client, and is
    /// closed if it doesn't; `on` only where nobody but the proxy can connect
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) proxy_protocol: Switch,

    /// Proxies whose X-Forwarded-For or Forwarded is believed: addresses and ranges; may be given many times
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<Network>,

    /// Compress messages for clients that offer permessage-deflate
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) deflate: Switch,

    /// Threads that carry WebSockets; without it one for each core that the process may use
    #[arg(long, value_name = "COUNT")]
    pub(crate) workers: Option<Count>,

    /// Look for what comes next for some 30 microseconds before sleeping, where it has come as promptly so far: answers
    /// are faster, the core is kept busy meanwhile
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) busy_poll: Switch,

    /// Directory for what must outlive the process, made if it is missing; without it everything is in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// What a program shows in X-API-Key to use /api; without it one is made and printed at every start
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<ApiKey>,

    /// Where the chat's WebSocket is; may be given many times, and comes before what else is on that path
    #[arg(
        long,
        value_name = "PATH",
        value_delimiter = ',',
        default_value = "/chat",
        help_heading = "chat"
    )]
    pub(crate) chat_path: Vec<UrlPath>,

    /// The chat_token that the chat's pages have to show; without it any that is not empty will do
    #[arg(long, value_name = "TOKEN", help_heading = "chat")]
    pub(crate) chat_token: Option<ChatToken>,

    /// What the chat keeps of what was said, in all rooms and in private; without it 64MiB with --data, 4MiB in memory
    #[arg(long, value_name = "SIZE", help_heading = "chat")]
    pub(crate) chat_history_bytes_max: Option<Bytes>,

    /// What may wait for people who are away from the chat; without it 32MiB with --data, 4MiB in memory
    #[arg(long, value_name = "SIZE", help_heading = "chat")]
    pub(crate) chat_letters_bytes_max: Option<Bytes>,

    /// How long a QR code of the login can be scanned and confirmed
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2m",
        help_heading = "login"
    )]
    pub(crate) login_lifetime: Period,

    /// Certificate chain (PEM); with it every listener speaks TLS: wss and https
    #[arg(long, value_name = "FILE", help_heading = "tls")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", help_heading = "tls")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Tell browsers that came by https not to try http for a year (Strict-Transport-Security); only on port 443 of a name
    /// that isn't localhost, also behind a trusted proxy that speaks TLS
    #[arg(
        long,
        value_name = "on|off",
        default_value = "on",
        help_heading = "tls"
    )]
    pub(crate) hsts: Switch,

    /// Most memory that clients can make the server hold, all together: beyond three quarters nothing more is read from
    /// those who hold most, beyond it they are closed with 1013; `auto` is a quarter of the least of the machine's
    /// memory, the cgroup's limit and the limit of the address space
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "auto",
        help_heading = "limits"
    )]
    pub(crate) memory_max: MemoryMax,

    /// Largest message taken, after reassembly and inflation; on /echo that is --echo-message-bytes-max
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1MiB",
        help_heading = "limits"
    )]
    pub(crate) message_bytes_max: Bytes,

    /// Largest message that /echo takes
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16MiB",
        help_heading = "limits"
    )]
    pub(crate) echo_message_bytes_max: Bytes,

    /// In each such time a message that has begun must end, or bring --message-rate-min for each second of it; else the
    /// client is closed with 1008
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        help_heading = "limits"
    )]
    pub(crate) message_timeout: Term,

    /// Bytes in a second, below which a message comes too slowly
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1KiB",
        help_heading = "limits"
    )]
    pub(crate) message_rate_min: Bytes,

    /// Most continuation frames of one message; without it 65536, or one for each 256 bytes that the largest message
    /// may have if that is more
    #[arg(long, value_name = "COUNT", help_heading = "limits")]
    pub(crate) fragments_max: Option<Count>,

    /// Most open connections; one more WebSocket is answered with 503. Over HTTP/2 each WebSocket counts
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "100000",
        help_heading = "limits"
    )]
    pub(crate) connections_max: Count,

    /// More connections in which plain HTTP is answered when the server is full, so that probes get through
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "64",
        help_heading = "limits"
    )]
    pub(crate) connections_reserve: Count,

    /// Limits for each client address, those named address-…; one that is beyond them is answered with 429
    #[arg(
        long,
        value_name = "on|off",
        default_value = "on",
        help_heading = "limits"
    )]
    pub(crate) address_limits: Switch,

    /// Addresses and ranges that have no such limits; may be given many times, and replaces the default
    #[arg(
        long,
        value_name = "NETWORK",
        value_delimiter = ',',
        default_values = ["127.0.0.0/8", "::1"],
        help_heading = "limits"
    )]
    pub(crate) address_exempt: Vec<Network>,

    /// Most open connections of one address; of IPv6 the first 64 bits are one
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "16384",
        help_heading = "limits"
    )]
    pub(crate) address_connections_max: Count,

    /// New connections of one address per second, in the long run; 20 seconds' worth may come at once
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "500",
        help_heading = "limits"
    )]
    pub(crate) address_handshakes_per_second: Count,

    /// POSTs of one address per minute, over all paths
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "600",
        help_heading = "limits"
    )]
    pub(crate) address_posts_per_minute: Count,

    /// Identities of the chat and the login that are made for one address per hour
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "3000",
        help_heading = "limits"
    )]
    pub(crate) address_identities_per_hour: Count,

    /// Codes that the login shows to one address per minute
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "600",
        help_heading = "limits"
    )]
    pub(crate) address_tickets_per_minute: Count,

    /// Wrong keys and tokens of one address per minute; beyond that the right one isn't looked at either
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "60",
        help_heading = "limits"
    )]
    pub(crate) address_wrong_keys_per_minute: Count,

    /// What may wait for a session whose peer reads slowly
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1MiB",
        help_heading = "limits"
    )]
    pub(crate) outbox_bytes_max: Bytes,

    /// Longest request head
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16KiB",
        help_heading = "limits"
    )]
    pub(crate) head_bytes_max: Bytes,

    /// From a connection's first byte to the end of its handshake
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "limits"
    )]
    pub(crate) handshake_timeout: Period,

    /// From our Close frame to the end of the connection
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        help_heading = "limits"
    )]
    pub(crate) close_timeout: Period,

    /// How long a client may send no message before it is closed with 1001; pings do not count
    #[arg(
        long,
        value_name = "TIME",
        default_value = "off",
        help_heading = "limits"
    )]
    pub(crate) idle_timeout: Term,

    /// How long bytes may wait for a client that reads nothing before it is cut
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        help_heading = "limits"
    )]
    pub(crate) progress_timeout: Term,

    /// Largest body of a request of plain HTTP; beyond it the answer is 413
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "64KiB",
        help_heading = "http"
    )]
    pub(crate) http_body_bytes_max: Bytes,

    /// How long the next piece of a request's body may take; beyond it the answer is 408
    #[arg(
        long,
        value_name = "TIME",
        default_value = "20s",
        help_heading = "http"
    )]
    pub(crate) http_body_timeout: Period,

    /// How long a request's whole body may take; beyond it the answer is 408
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        help_heading = "http"
    )]
    pub(crate) http_body_time_max: Period,

    /// How long a connection of plain HTTP may stay open without a request under way
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        help_heading = "http"
    )]
    pub(crate) http_keepalive_timeout: Period,

    /// How long an answer of plain HTTP may wait for a client that reads nothing of it before it is cut; without it as
    /// long as progress-timeout says, or 30s if that is off
    #[arg(long, value_name = "TIME", help_heading = "http")]
    pub(crate) http_send_timeout: Option<Period>,

    /// How long a connection may last before it is closed with 1001
    #[arg(
        long,
        value_name = "TIME",
        default_value = "off",
        help_heading = "lifetime"
    )]
    pub(crate) lifetime_max: Term,

    /// How much less it may be: the ends are spread over this time before the maximum
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0",
        help_heading = "lifetime"
    )]
    pub(crate) lifetime_spread: Term,

    /// From one ping of the server to the next; `off` sends none
    #[arg(
        long,
        value_name = "TIME",
        default_value = "25s",
        help_heading = "heartbeat"
    )]
    pub(crate) heartbeat_interval: Term,

    /// From a ping to the last moment for any byte of the client; `off` waits for ever
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "heartbeat"
    )]
    pub(crate) heartbeat_timeout: Term,

    /// Answer the text `ping` with the text `pong` on /, /echo and /websocket/ws, where it is a message otherwise
    #[arg(
        long,
        value_name = "on|off",
        default_value = "off",
        help_heading = "heartbeat"
    )]
    pub(crate) app_heartbeat: Switch,

    /// How long /health/ready says 503 before the server stops accepting, for whoever sends it clients
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        help_heading = "drain"
    )]
    pub(crate) drain_notice: Period,

    /// Sessions closed per second when the server stops, with 1012 and a time to come back
    #[arg(
        long,
        value_name = "COUNT",
        alias = "drain-per-second",
        default_value = "1000",
        help_heading = "drain"
    )]
    pub(crate) drain_rate: Count,

    /// The soonest that a client is told to come back (`retry_ms=…` in the reason of the Close frame)
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1s",
        help_heading = "drain"
    )]
    pub(crate) drain_retry_after: Period,

    /// Over how much more time the clients are told to spread
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        help_heading = "drain"
    )]
    pub(crate) drain_retry_spread: Period,

    /// How long a drain may take before what is left is cut off
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "drain"
    )]
    pub(crate) drain_timeout: Period,

    /// Where it is kept who is here: `auto` is `durable` with --data, else `memory`; a Redis is shared by all servers that use it
    #[arg(
        long,
        value_name = "STORE",
        default_value = "auto",
        help_heading = "presence"
    )]
    pub(crate) presence_store: PresenceStore,

    /// Most clients known, those here and those whose last-seen time is kept; the one seen longest ago is forgotten first
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1000000",
        help_heading = "presence"
    )]
    pub(crate) presence_clients_max: Count,

    /// With Redis: how long the clients of a dead server are shown at most; the same on all servers, 1s or more
    #[arg(
        long,
        value_name = "TIME",
        default_value = "15s",
        help_heading = "presence"
    )]
    pub(crate) presence_ttl: Period,

    /// What to log (to stderr): a level, or levels by module such as `warn,sockeye=debug`
    #[arg(
        long,
        value_name = "FILTER",
        alias = "log",
        default_value = "info",
        help_heading = "log"
    )]
    pub(crate) log_filter: Filter,

    /// Log lines for people or for programs
    #[arg(
        long,
        value_name = "text|json",
        default_value = "text",
        help_heading = "log"
    )]
    pub(crate) log_format: LogFormat,

    /// Log a line at level info when a WebSocket has ended: path, client, duration, messages and bytes received
    /// and sent, how it ended. Bytes are those of payloads, not compressed; sent is what was framed for the client,
    /// whether or not it got there
    #[arg(
        long,
        value_name = "on|off",
        default_value = "off",
        help_heading = "log"
    )]
    pub(crate) log_connections: Switch,
}
