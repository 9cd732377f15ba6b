//! Lengths of time with which nothing works.

use std::time::Duration;

use sockeye_hub::NodeSettings;

use super::Config;

/// Returns what is wrong, each in one line that begins with the key.
pub(super) fn check(config: &Config) -> Vec<String> {
    let client = &config.client;
    let mut errors: Vec<String> = [
        ("client.ping_interval", client.ping_interval.0, SHORTEST),
        ("client.pong_timeout", client.pong_timeout.0, SHORTEST),
        (
            "client.stale_close_delay",
            client.stale_close_delay.0,
            SHORTEST,
        ),
        (
            "limits.handshake_timeout",
            config.handshake_timeout.0,
            SHORTEST,
        ),
        ("login.lifetime", config.login_lifetime.0, SHORTEST),
        ("http.body_timeout", config.http.body_timeout.0, SHORTEST),
        ("http.body_time_max", config.http.body_time_max.0, SHORTEST),
        // Redis counts the life of a key in seconds.
        (
            "presence.ttl",
            config.presence_ttl.0,
            Duration::from_secs(1),
        ),
    ]
    .into_iter()
    .chain(of_other_clients(config))
    .filter(|(_, time, shortest)| time < shortest)
    .map(|(key, _, shortest)| format!("{key}: too short; allowed: {shortest:?} or more"))
    .collect();
    let (interval, timeout) = (client.ping_interval.0, client.pong_timeout.0);
    if errors.is_empty() && interval <= timeout {
        let reason = "the next ping would come before the answer to the last";
        // The one that isn't the default is the one that somebody has set.
        errors.push(match timeout == NodeSettings::default().pong_timeout {
            true => format!(
                "client.ping_interval: {interval:?} is not longer than client.pong_timeout, {timeout:?}: {reason}"
            ),
            false => format!(
                "client.pong_timeout: {timeout:?} is not shorter than client.ping_interval, {interval:?}: {reason}"
            ),
        });
    }
    errors
}

/// Returns the times of SockJS and of Socket.IO, each with the shortest one that is allowed.
fn of_other_clients(config: &Config) -> [(&'static str, Duration, Duration); 6] {
    [
        (
            "sockjs.heartbeat_interval",
            config.sockjs.heartbeat_interval.0,
            SHORTEST,
        ),
        (
            "sockjs.disconnect_delay",
            config.sockjs.disconnect_delay.0,
            SHORTEST,
        ),
        (
            "socketio.ping_interval",
            config.socketio.ping_interval.0,
            SHORTEST,
        ),
        (
            "socketio.ping_timeout",
            config.socketio.ping_timeout.0,
            SHORTEST,
        ),
        (
            "socketio.connect_timeout",
            config.socketio.connect_timeout.0,
            SHORTEST,
        ),
        // The records are written as often.
        (
            "socketio.recovery_max_time",
            config.socketio.recovery_max_time.0,
            Duration::from_secs(1),
        ),
    ]
}

/// The shortest time that a configuration can have.
const SHORTEST: Duration = Duration::from_millis(1);
