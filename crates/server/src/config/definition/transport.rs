//! The keys of the ways in which clients of the hub are reached.

use clap::Args;

use crate::config::{Bytes, Section, Switch, Under, UrlPath};

/// The ways in which clients of the hub are reached, each with its section.
#[derive(Args, Clone, Debug)]
pub(crate) struct TransportKeys {
    #[command(flatten)]
    pub(crate) websocket: Under<InWebSocket, WebSocketKeys>,

    #[command(flatten)]
    pub(crate) uni_websocket: Under<InUniWebSocket, UniWebSocketKeys>,

    #[command(flatten)]
    pub(crate) sse: Under<InSse, SseKeys>,

    #[command(flatten)]
    pub(crate) http_stream: Under<InHttpStream, HttpStreamKeys>,

    #[command(flatten)]
    pub(crate) uni_sse: Under<InUniSse, UniSseKeys>,

    #[command(flatten)]
    pub(crate) emulation: Under<InEmulation, EmulationKeys>,
}

/// Names the section of one way.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident, $path:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name;

        impl Section for $name {
            const PATH: &'static str = $path;
        }
    };
}

section!(
    /// The section of the hub's WebSockets.
    InWebSocket,
    "websocket"
);
section!(
    /// The section of WebSockets that only receive.
    InUniWebSocket,
    "uni_websocket"
);
section!(
    /// The section of server-sent events.
    InSse,
    "sse"
);
section!(
    /// The section of HTTP streams.
    InHttpStream,
    "http_stream"
);
section!(
    /// The section of server-sent events for clients that only receive.
    InUniSse,
    "uni_sse"
);
section!(
    /// The section of the commands of clients that read a response.
    InEmulation,
    "emulation"
);

/// The hub's WebSockets.
#[derive(Args, Clone, Debug)]
pub(crate) struct WebSocketKeys {
    /// Serve no WebSocket to the SDKs of Centrifugal
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) disabled: Switch,

    /// Path of the hub's WebSocket, for the SDKs of Centrifugal
    #[arg(long, value_name = "PATH", default_value = "/connection/websocket")]
    pub(crate) handler_prefix: UrlPath,

    /// Largest message with commands. A client that sends a larger one is closed with 1009
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) message_size_limit: Bytes,
}

/// WebSockets that only receive.
#[derive(Args, Clone, Debug)]
pub(crate) struct UniWebSocketKeys {
    /// Serve WebSockets that only receive
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) enabled: Switch,

    /// Path of the WebSocket that only receives
    #[arg(long, value_name = "PATH", default_value = "/connection/uni_websocket")]
    pub(crate) handler_prefix: UrlPath,

    /// Largest message of the client, which is a connect request. A larger one is closed with 1009
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) message_size_limit: Bytes,
}

/// Server-sent events, with commands by /emulation.
#[derive(Args, Clone, Debug)]
pub(crate) struct SseKeys {
    /// Serve server-sent events, which the SDK of JavaScript can fall back to
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) enabled: Switch,

    /// Path of the server-sent events
    #[arg(long, value_name = "PATH", default_value = "/connection/sse")]
    pub(crate) handler_prefix: UrlPath,

    /// Largest body of a request. A larger one is answered with 413, as is one over http.body_bytes_max
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) max_request_body_size: Bytes,
}

/// HTTP streams, with commands by /emulation.
#[derive(Args, Clone, Debug)]
pub(crate) struct HttpStreamKeys {
    /// Serve HTTP streams, which the SDK of JavaScript falls back to
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) enabled: Switch,

    /// Path of the HTTP streams
    #[arg(long, value_name = "PATH", default_value = "/connection/http_stream")]
    pub(crate) handler_prefix: UrlPath,

    /// Largest body of a request. A larger one is answered with 413, as is one over http.body_bytes_max
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) max_request_body_size: Bytes,
}

/// Server-sent events for clients that only receive.
#[derive(Args, Clone, Debug)]
pub(crate) struct UniSseKeys {
    /// Serve server-sent events to clients that only receive, such as EventSource and curl
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) enabled: Switch,

    /// Path of the server-sent events for clients that only receive
    #[arg(long, value_name = "PATH", default_value = "/connection/uni_sse")]
    pub(crate) handler_prefix: UrlPath,

    /// Largest body of a request. A larger one is answered with 413, as is one over http.body_bytes_max
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) max_request_body_size: Bytes,
}

/// The commands of clients that read a response.
#[derive(Args, Clone, Debug)]
pub(crate) struct EmulationKeys {
    /// Path of the commands of clients that read a response
    #[arg(long, value_name = "PATH", default_value = "/emulation")]
    pub(crate) handler_prefix: UrlPath,

    /// Largest body of a request. A larger one is answered with 413, as is one over http.body_bytes_max
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) max_request_body_size: Bytes,
}
