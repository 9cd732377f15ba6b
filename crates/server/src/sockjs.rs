//! SockJS: the endpoints that other paths have by WebSocket, for clients that can't use it.

use sockeye::{Rate, Route, SessionCookie, SockJs, SockJsSettings, SockJsWebSocket};

use crate::config::{Config, Switch};

/// Serves `route` by SockJS.
pub(crate) fn mount(config: &Config, route: Route) -> SockJs {
    SockJs::new(route).settings(settings(config))
}

fn settings(config: &Config) -> SockJsSettings {
    let keys = &config.sockjs;
    let url = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    SockJsSettings::default()
        .with_iframe_script_url(url(&keys.script_url.0))
        .with_base_url(url(&keys.base_url.0))
        .with_websocket(match keys.websocket {
            Switch::On => SockJsWebSocket::Served,
            Switch::Off => SockJsWebSocket::Absent,
        })
        .with_session_cookie(match keys.session_cookie {
            Switch::On => SessionCookie::Sent,
            Switch::Off => SessionCookie::Absent,
        })
        .with_response_bytes_max(keys.response_bytes_max.0)
        .with_disconnect_delay(keys.disconnect_delay.0)
        .with_heartbeat_interval(keys.heartbeat_interval.0)
        .with_sessions_max(keys.sessions_max.0 as usize)
        .with_sessions_per_client_max(keys.sessions_per_client_max.0 as usize)
        .with_send_rate(Rate::per_second(keys.sends_per_second.0))
        .with_waiting_sends_max(keys.waiting_sends_max.0 as usize)
        .with_body_bytes_max(keys.body_bytes_max.0 as u64)
}
