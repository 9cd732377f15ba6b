//! Socket.IO: the hub for pages that have its client.

use sockeye::{EngineIo, EngineIoSettings, EngineIoUpgrade, Server, socketio::SocketIoSettings};

use crate::config::{Config, SOCKETIO, Switch};

/// Adds it to the server, if it is on.
pub(crate) fn mount(server: Server, socketio: Option<EngineIo>) -> Server {
    match socketio {
        Some(socketio) => server.mount_engineio(socketio),
        None => server,
    }
}

/// Returns the times and limits of the configuration.
pub(crate) fn settings(config: &Config) -> SocketIoSettings {
    let keys = &config.socketio;
    let payload_bytes_max = keys.payload_bytes_max.0;
    let engine = EngineIoSettings::default()
        .with_ping_interval(keys.ping_interval.0)
        .with_ping_timeout(keys.ping_timeout.0)
        .with_payload_bytes_max(payload_bytes_max)
        .with_upgrade(match keys.upgrade {
            Switch::On => EngineIoUpgrade::Offered,
            Switch::Off => EngineIoUpgrade::Absent,
        })
        .with_cookie_name(match keys.session_cookie {
            Switch::On => Some("io".to_owned()),
            Switch::Off => None,
        })
        .with_sessions_max(keys.sessions_max.0 as usize);
    SocketIoSettings::default()
        .with_engine(engine)
        .with_connect_timeout(keys.connect_timeout.0)
        // An attachment is a packet of its own.
        .with_attachment_bytes_max(payload_bytes_max)
}

/// Returns the paths at which pages of a Socket.IO server find the client's script, with what to say of them. The script isn't served:
/// it would run in this server's origin, in a version that the page's author hasn't chosen.
pub(crate) fn script_paths() -> impl Iterator<Item = (String, &'static str)> {
    let names = [
        "socket.io",
        "socket.io.min",
        "socket.io.esm.min",
        "socket.io.msgpack.min",
    ];
    let hint = "This server speaks Socket.IO, but doesn't serve the client's script: load it from where the page's other scripts are, in the \
                version that the page was tested with (npm socket.io-client 4, dist/). See docs/howto/socketio.md.";
    names
        .into_iter()
        .map(move |name| (format!("{SOCKETIO}/{name}.js"), hint))
}
