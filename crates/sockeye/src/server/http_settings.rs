//! How long plain HTTP may take, and how much it may send.

use std::time::Duration;

/// How long plain HTTP may take, and how much it may send: [`crate::Server::http`]. The same over HTTP/1.1, TLS
/// and HTTP/2.
///
/// The head of a request has [`crate::Limits::handshake_timeout`], since a WebSocket may come of it.
/// [`Duration::MAX`] sets no limit.
///
/// ```
/// use std::time::Duration;
/// use sockeye::HttpSettings;
///
/// let mut http = HttpSettings::default();
/// http.body_bytes_max = 100 << 20;
/// http.body_time_max = Duration::from_secs(600);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpSettings {
    /// Bytes of a request's body, which are charged to [`crate::Server::memory_budget`] while it is read;
    /// where that is used up the answer is 503. Beyond it the answer is 413. Default 2 MiB, as axum's own extractors have it.
    pub body_bytes_max: u64,
    /// Between two pieces of a request's body. Beyond it the answer is 408. Default 20 s.
    pub body_timeout: Duration,
    /// From the end of a request's head to the end of its body. Beyond it the answer is 408. Default 60 s.
    pub body_time_max: Duration,
    /// How long a connection may stay open without a request under way. Then it is closed; over HTTP/2 it is
    /// told so before. Default 60 s.
    pub keepalive_timeout: Duration,
    /// How long the peer may take nothing of an answer that waits for it. Beyond it the connection is cut, or
    /// the stream of HTTP/2. Default 30 s.
    pub send_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            body_bytes_max: 2 << 20,
            body_timeout: Duration::from_secs(20),
            body_time_max: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(30),
        }
    }
}
