//! The settings of Engine.IO on one path.

use std::time::Duration;

/// How Engine.IO is served on one path: its times and its limits.
///
/// Which pages may connect is for [`crate::Route::origins`] to say. By default these are pages of the same origin, without CORS; with
/// [`crate::Origins::Any`] or a list, the fields of CORS are sent to the origins that are let through. The origin of a WebSocket is
/// checked too, which CORS doesn't cover.
///
/// What waits for a client that isn't receiving is limited by [`crate::Settings::outbox_bytes_max`], for each session, and by the
/// server's memory budget.
///
/// ```
/// use std::time::Duration;
///
/// use sockeye::{EngineIoSettings, EngineIoUpgrade};
///
/// let settings = EngineIoSettings::default()
///     .with_ping_interval(Duration::from_secs(15))
///     .with_upgrade(EngineIoUpgrade::Absent);
/// assert_eq!(settings.ping_timeout, Duration::from_secs(20));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineIoSettings {
    /// The time from a pong, or the beginning, to the server's next ping. Default 25 s.
    pub ping_interval: Duration,
    /// The time in which the client answers a ping. After it the session has ended. With less than 20 s, pages in the background
    /// lose their sessions, since browsers run their timers late. Default 20 s.
    pub ping_timeout: Duration,
    /// The largest payload of a request and the largest packet of a WebSocket, in bytes. The server answers a larger request with
    /// 413 and closes such a WebSocket with 1009; both end the session. The client is told. Default 1,000,000.
    pub payload_bytes_max: usize,
    /// Bytes of packets after which the answer to a request that receives is sent. A single packet may be longer. An answer has at
    /// most 16 packets, because clients refuse more. Default 128 KiB.
    pub response_bytes_max: usize,
    /// Whether a client that polls is told to go on by WebSocket. Default: it is.
    pub upgrade: EngineIoUpgrade,
    /// The time in which a WebSocket takes over a session, from its opening to the packet that completes it. Then the WebSocket
    /// is closed, and the session goes on without it. Default 10 s.
    pub upgrade_timeout: Duration,
    /// The name of the cookie to which the answer that opens a session sets the session's id, for load balancers that keep a client
    /// at one server. It is `HttpOnly` and `SameSite=Lax`. Default `None`: there is no cookie.
    pub cookie_name: Option<String>,
    /// Sessions over HTTP on this path at the same time, also those that a WebSocket has taken over; sessions that begin with a
    /// WebSocket count for [`crate::Server::connections_max`] alone, for which these sessions count too. Beyond it a new session
    /// is refused with 503. Default 10,000.
    pub sessions_max: usize,
    /// Sessions over HTTP of one [`crate::ClientId`] at the same time, where the route identifies its clients. Beyond it a
    /// new session is refused with 429. Default 20.
    pub sessions_per_client_max: usize,
}

/// Whether a client that polls may go on by WebSocket: [`EngineIoSettings::upgrade`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineIoUpgrade {
    /// It is told that it may.
    #[default]
    Offered,
    /// It polls as long as the session lives. A client may still begin with a WebSocket.
    Absent,
}

sockeye_proto::setters!(EngineIoSettings {
    with_ping_interval: ping_interval: Duration,
    with_ping_timeout: ping_timeout: Duration,
    with_payload_bytes_max: payload_bytes_max: usize,
    with_response_bytes_max: response_bytes_max: usize,
    with_upgrade: upgrade: EngineIoUpgrade,
    with_upgrade_timeout: upgrade_timeout: Duration,
    with_cookie_name: cookie_name: impl Into<Option<String>>,
    with_sessions_max: sessions_max: usize,
    with_sessions_per_client_max: sessions_per_client_max: usize,
});

impl Default for EngineIoSettings {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            payload_bytes_max: 1_000_000,
            response_bytes_max: 128 << 10,
            upgrade: EngineIoUpgrade::default(),
            upgrade_timeout: Duration::from_secs(10),
            cookie_name: None,
            sessions_max: 10_000,
            sessions_per_client_max: 20,
        }
    }
}
