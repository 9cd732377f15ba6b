//! Limits of plain HTTP.

use std::time::Duration;

/// Limits of plain HTTP, for [`crate::Server::http`]: how long it may take and how much a request may send. They are
/// the same over HTTP/1.1, TLS and HTTP/2.
///
/// The head of a request has to come within [`crate::Limits::handshake_timeout`], because it may ask for a WebSocket.
/// [`Duration::MAX`] turns a time limit off.
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
    /// The largest body of a request, in bytes. The server answers a larger one with 413. What has been read is
    /// charged to [`crate::Server::memory_budget`]; when that is used up, the answer is 503. Default 2 MiB, the
    /// default of axum's own extractors.
    pub body_bytes_max: u64,
    /// Longest time between two pieces of a request's body. Beyond it the answer is 408. Default 20 s.
    pub body_timeout: Duration,
    /// Longest time from the end of a request's head to the end of its body. Beyond it the answer is 408. Default 60
    /// s.
    pub body_time_max: Duration,
    /// Longest time a connection may stay open without a request in progress. Then the server closes it, over HTTP/2
    /// after a GOAWAY. Default 60 s.
    pub keepalive_timeout: Duration,
    /// Longest time in which the peer may read nothing of an answer that waits for it. Beyond it the server closes
    /// the connection, or resets the stream of HTTP/2. Default 30 s.
    pub send_timeout: Duration,
}

sockeye_proto::setters!(HttpSettings {
    with_body_bytes_max: body_bytes_max: u64,
    with_body_timeout: body_timeout: Duration,
    with_body_time_max: body_time_max: Duration,
    with_keepalive_timeout: keepalive_timeout: Duration,
    with_send_timeout: send_timeout: Duration,
});

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
