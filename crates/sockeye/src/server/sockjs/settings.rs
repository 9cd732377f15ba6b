//! The settings of SockJS on one path.

use std::time::Duration;

use crate::address::Rate;

/// How SockJS is served on one path: its times, its limits, and what a page on another site may do.
///
/// Which pages may connect is for [`crate::Route::origins`] to say. By default these are pages of the same origin, without CORS; with
/// [`crate::Origins::Any`] or a list, the protocol's CORS is sent to the origins that are let through.
///
/// What waits for a client that isn't receiving is limited by [`crate::Settings::outbox_bytes_max`], for each session, and by the
/// server's memory budget.
///
/// ```
/// use std::time::Duration;
///
/// use sockeye::{SessionCookie, SockJsSettings};
///
/// let settings = SockJsSettings::default()
///     .with_response_bytes_max(64 << 10)
///     .with_session_cookie(SessionCookie::Sent);
/// assert_eq!(settings.disconnect_delay, Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SockJsSettings {
    /// Bytes of frames after which a streaming response ends, and the client asks for the next one. Browsers keep the whole
    /// response in memory. Also the most messages that a response of polling brings. Default 128 KiB.
    pub response_bytes_max: usize,
    /// How long a session may be without a request that receives. Then it has ended for its endpoint too. Default 5 s.
    pub disconnect_delay: Duration,
    /// The time between two heartbeats (`h`) of a request that receives. Proxies close responses that are silent for
    /// longer than they allow. Default 25 s.
    pub heartbeat_interval: Duration,
    /// Whether the transport `websocket` and the raw WebSocket (`/websocket`) are there. Default: they are.
    pub websocket: SockJsWebSocket,
    /// Whether the cookie `JSESSIONID` is set, by which some load balancers keep a client at one server. Default: not.
    pub session_cookie: SessionCookie,
    /// The URL of sockjs-client's script, such as `https://cdn.example/sockjs-1.6.1.min.js`. With it the page is served by which
    /// the client reaches this server from a page of another site in a frame (`/iframe.html`). That page runs the script in
    /// *this* server's origin, so its URL must be trusted. Default `None`: there is no such page.
    pub iframe_script_url: Option<String>,
    /// Where clients open their sessions, if not below the path from which they have got `info`. Default `None`.
    pub base_url: Option<String>,
    /// Sessions over HTTP on this path at the same time; WebSockets count for [`crate::Server::connections_max`] alone, for
    /// which these sessions count too. Beyond it a new session is refused with 503. Default 10,000.
    pub sessions_max: usize,
    /// Sessions over HTTP of one [`crate::ClientId`] at the same time, where the route identifies its clients. Beyond it a
    /// new session is refused with 429. Default 20.
    pub sessions_per_client_max: usize,
    /// How often a session may send. Further requests wait for their turn. Default 100 a second.
    pub send_rate: Rate,
    /// Requests of a session that wait to send. A client has one at a time. Further ones are refused with 429. Default 4.
    pub waiting_sends_max: usize,
    /// The largest body of a request, in bytes. The server answers a larger one with 413. Default 1 MiB.
    pub body_bytes_max: u64,
}

/// Whether the transports over WebSocket are there: [`SockJsSettings::websocket`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SockJsWebSocket {
    /// They are there, and `info` says so.
    #[default]
    Served,
    /// They are not, and clients choose another transport.
    Absent,
}

/// Whether the cookie `JSESSIONID` is set: [`SockJsSettings::session_cookie`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionCookie {
    /// It is not set.
    #[default]
    Absent,
    /// It is set on every response of a session, to the value that the client has sent, or to `dummy`. For pages of another
    /// site it has `SameSite=None; Secure`, if the client uses TLS.
    Sent,
}

sockeye_proto::setters!(SockJsSettings {
    with_response_bytes_max: response_bytes_max: usize,
    with_disconnect_delay: disconnect_delay: Duration,
    with_heartbeat_interval: heartbeat_interval: Duration,
    with_websocket: websocket: SockJsWebSocket,
    with_session_cookie: session_cookie: SessionCookie,
    with_iframe_script_url: iframe_script_url: impl Into<Option<String>>,
    with_base_url: base_url: impl Into<Option<String>>,
    with_sessions_max: sessions_max: usize,
    with_sessions_per_client_max: sessions_per_client_max: usize,
    with_send_rate: send_rate: Rate,
    with_waiting_sends_max: waiting_sends_max: usize,
    with_body_bytes_max: body_bytes_max: u64,
});

impl Default for SockJsSettings {
    fn default() -> Self {
        Self {
            response_bytes_max: 128 << 10,
            disconnect_delay: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(25),
            websocket: SockJsWebSocket::default(),
            session_cookie: SessionCookie::default(),
            iframe_script_url: None,
            base_url: None,
            sessions_max: 10_000,
            sessions_per_client_max: 20,
            send_rate: Rate::per_second(100),
            waiting_sends_max: 4,
            body_bytes_max: 1 << 20,
        }
    }
}
