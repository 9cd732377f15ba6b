//! The keys of Socket.IO.

use clap::Args;

use crate::config::{Bytes, Count, Period, Section, Switch};

/// The section of Socket.IO.
#[derive(Clone, Debug)]
pub(crate) struct InSocketIo;

impl Section for InSocketIo {
    const PATH: &'static str = "socketio";
}

/// The hub by Socket.IO 5, at /socket.io/.
#[derive(Args, Clone, Debug)]
pub(crate) struct SocketIoKeys {
    /// Serve the hub to clients of Socket.IO
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) enabled: Switch,

    /// Time from a client's answer to the next ping. The client is told
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) ping_interval: Period,

    /// Time in which a client answers a ping. After it the client is gone. With less than 20s, pages in the background lose
    /// their connections, since browsers run their timers late
    #[arg(long, value_name = "TIME", default_value = "20s")]
    pub(crate) ping_timeout: Period,

    /// Time in which a client connects to the namespace once its connection is open
    #[arg(long, value_name = "TIME", default_value = "45s")]
    pub(crate) connect_timeout: Period,

    /// Largest packet of a client, and largest body of a request that sends. The client is told. A larger packet or body ends the
    /// connection
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) payload_bytes_max: Bytes,

    /// Let clients that poll go on by WebSocket
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) upgrade: Switch,

    /// Set a cookie (`io`) on the response that opens a session, by which some load balancers keep a client at one server
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) session_cookie: Switch,

    /// Let clients whose connections were lost come back and have what they have missed (connection state recovery)
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) recovery: Switch,

    /// How long a client can come back after its connection was lost, at least
    #[arg(long, value_name = "TIME", default_value = "2m")]
    pub(crate) recovery_max_time: Period,

    /// Most sessions over HTTP, also those that went on by WebSocket. A new one beyond it is answered with 503
    #[arg(long, value_name = "COUNT", default_value = "10000")]
    pub(crate) sessions_max: Count,
}
