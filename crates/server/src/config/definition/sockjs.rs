//! The keys of SockJS.

use clap::Args;

use crate::config::{Bytes, Count, Period, Section, Switch, Text};

/// The section of SockJS.
#[derive(Clone, Debug)]
pub(crate) struct InSockJs;

impl Section for InSockJs {
    const PATH: &'static str = "sockjs";
}

/// How SockJS is served, for clients without WebSocket.
#[derive(Args, Clone, Debug)]
pub(crate) struct SockJsKeys {
    /// URL of sockjs-client's script. With it the page is served by which pages of other sites reach this server in a frame.
    /// The script runs in this server's origin, so its URL must be trusted. Empty: no such page
    #[arg(long, value_name = "URL", default_value = "")]
    pub(crate) script_url: Text,

    /// URL below which clients open their sessions after they have asked for info, for a cluster in which each node has a URL
    /// of its own. Empty: where they have asked
    #[arg(long, value_name = "URL", default_value = "")]
    pub(crate) base_url: Text,

    /// Serve the transports over WebSocket too
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) websocket: Switch,

    /// Set the cookie JSESSIONID on responses of sessions, by which some load balancers keep a client at one server
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) session_cookie: Switch,

    /// Length of a streaming response after which it ends and the client asks for the next
    #[arg(long, value_name = "SIZE", default_value = "128KiB")]
    pub(crate) response_bytes_max: Bytes,

    /// Time after which a session without a request that receives has ended
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub(crate) disconnect_delay: Period,

    /// Time between two heartbeats of a response that waits
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) heartbeat_interval: Period,

    /// Most sessions over HTTP on each path. A new one beyond it is answered with 503
    #[arg(long, value_name = "COUNT", default_value = "10000")]
    pub(crate) sessions_max: Count,

    /// Most sessions over HTTP of one client on each path. A new one beyond it is answered with 429
    #[arg(long, value_name = "COUNT", default_value = "20")]
    pub(crate) sessions_per_client_max: Count,

    /// How often a session may send in a second. Further requests wait for their turn
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub(crate) sends_per_second: Count,

    /// Requests of a session that wait to send. Further ones are answered with 429
    #[arg(long, value_name = "COUNT", default_value = "4")]
    pub(crate) waiting_sends_max: Count,

    /// Largest body of a request that sends, or http.body_bytes_max if that is less. A larger one is answered with 413
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) body_bytes_max: Bytes,
}
