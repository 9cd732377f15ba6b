//! How the hub is run by Socket.IO.

use std::time::Duration;

use sockeye::{Origins, Settings, socketio::SocketIoSettings};

/// How the hub is run by Socket.IO.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocketIoTransportSettings {
    /// The settings of the connections, of which [`SocketIoTransportSettings::queue_max_size`] overrides the outbox.
    pub settings: Settings,
    /// The times and limits of Socket.IO and of Engine.IO below it. One namespace is served, so a client has only one.
    pub socketio: SocketIoSettings,
    /// Bytes that may wait for a client that doesn't read. Default 1 MiB. Beyond it the connection is closed, and the client connects
    /// anew.
    pub queue_max_size: usize,
    /// How long a client can come back after its connection was lost and have what it has missed, at least. Default `None`: clients that
    /// lose their connections begin anew.
    pub recovery: Option<Duration>,
    /// The pages that may connect. Default: those of the same origin.
    pub origins: Origins,
}

impl Default for SocketIoTransportSettings {
    fn default() -> Self {
        let mut socketio = SocketIoSettings::default();
        // The most that a command of the hub has by WebSocket, too.
        socketio.engine = socketio.engine.with_payload_bytes_max(64 << 10);
        Self {
            settings: Settings::default(),
            socketio,
            queue_max_size: 1 << 20,
            recovery: None,
            origins: Origins::Same,
        }
    }
}
