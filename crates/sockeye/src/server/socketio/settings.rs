//! The settings of Socket.IO on one path.

use std::time::Duration;

use crate::server::engineio::EngineIoSettings;

/// How Socket.IO is served on one path: its times and its limits. What concerns the sessions below it is in
/// [`SocketIoSettings::engine`].
///
/// ```
/// use std::time::Duration;
///
/// use sockeye::socketio::SocketIoSettings;
///
/// let settings = SocketIoSettings::default().with_connect_timeout(Duration::from_secs(10));
/// assert_eq!(settings.namespaces_max, 16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketIoSettings {
    /// The settings of Engine.IO, which carries the packets.
    pub engine: EngineIoSettings,
    /// The time in which a client connects to a namespace. Then the connection is closed. Default 45 s.
    pub connect_timeout: Duration,
    /// Namespaces that one client may be connected to at the same time. Beyond it the connection is closed. Default 16.
    pub namespaces_max: usize,
    /// Packets of one client that wait for a handler. Beyond it nothing is read until a handler has returned. Default 64.
    pub waiting_packets_max: usize,
    /// Bytes of the attachments of one event. Beyond it the connection is closed. Default 1,000,000.
    pub attachment_bytes_max: usize,
    /// Calls of one socket that wait for their acks. Beyond it [`crate::socketio::Socket::call`] fails. Default 1,024.
    pub waiting_acks_max: usize,
    /// Rooms of one socket. Beyond it [`crate::socketio::Socket::join`] fails. Default 256.
    pub rooms_max: usize,
    /// Dynamic namespaces that exist at the same time. Beyond it a client that would make another one is refused. Default 10,000.
    pub dynamic_namespaces_max: usize,
}

sockeye_proto::setters!(SocketIoSettings {
    with_engine: engine: EngineIoSettings,
    with_connect_timeout: connect_timeout: Duration,
    with_namespaces_max: namespaces_max: usize,
    with_waiting_packets_max: waiting_packets_max: usize,
    with_attachment_bytes_max: attachment_bytes_max: usize,
    with_waiting_acks_max: waiting_acks_max: usize,
    with_rooms_max: rooms_max: usize,
    with_dynamic_namespaces_max: dynamic_namespaces_max: usize,
});

impl Default for SocketIoSettings {
    fn default() -> Self {
        Self {
            engine: EngineIoSettings::default(),
            connect_timeout: Duration::from_secs(45),
            namespaces_max: 16,
            waiting_packets_max: 64,
            attachment_bytes_max: 1_000_000,
            waiting_acks_max: 1024,
            rooms_max: 256,
            dynamic_namespaces_max: 10_000,
        }
    }
}
