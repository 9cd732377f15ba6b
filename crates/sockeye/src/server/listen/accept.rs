//! What all accept loops share: the options of accepted sockets, and the pause after a failure.

use std::{
    io,
    time::{Duration, Instant},
};

use socket2::{SockRef, TcpKeepalive};

use crate::server::listening::LocalAddr;

/// Sets the options of a TCP socket that was accepted.
///
/// # Errors
///
/// The peer has closed the connection already.
pub(crate) fn tune(socket: &SockRef<'_>, keepalive: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    if let Some(time) = keepalive {
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(time);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// The pauses and log lines of an accept loop whose accepting fails. The loop always goes on: a loop that ends is a
/// server that looks alive and is not.
#[derive(Debug)]
pub(crate) struct AcceptBackoff {
    /// The next pause.
    pause: Duration,
    /// When a failure was logged last.
    logged: Option<Instant>,
    /// Failures since then, which were not logged.
    suppressed: u32,
}

impl AcceptBackoff {
    pub(crate) fn new() -> Self {
        Self {
            pause: PAUSE_MIN,
            logged: None,
            suppressed: 0,
        }
    }

    /// Ends the series of failures, because a connection was accepted.
    pub(crate) fn handle_success(&mut self) {
        self.pause = PAUSE_MIN;
    }

    /// Returns how long to wait before accepting again after a failure; `None` means at once.
    pub(crate) fn handle_error(
        &mut self,
        error: &io::Error,
        local_addr: &LocalAddr,
        now: Instant,
    ) -> Option<Duration> {
        if is_of_one_connection(error) {
            return None;
        }
        self.log_failure(error, local_addr, now);
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }

    /// Logs the failure, at most once in [`LOG_INTERVAL`].
    fn log_failure(&mut self, error: &io::Error, local_addr: &LocalAddr, now: Instant) {
        let is_due = self
            .logged
            .is_none_or(|logged| now.saturating_duration_since(logged) >= LOG_INTERVAL);
        if !is_due {
            self.suppressed += 1;
            return;
        }
        tracing::error!(%local_addr, %error, suppressed = self.suppressed, "cannot accept connections");
        self.logged = Some(now);
        self.suppressed = 0;
    }
}

/// Returns whether the error concerns only the connection that was to be accepted: its peer had closed it already.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// First pause after a failure such as a lack of descriptors. Short, because a descriptor may be free again at once.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// Longest pause: free descriptors stay unused no longer than this.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Time between two log lines. A server without descriptors fails a thousand times a second; its log should not.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_begin_anew_after_a_success() {
        let addr = LocalAddr::Unix(None);
        let now = Instant::now();
        let mut backoff = AcceptBackoff::new();
        let mut fail = |kind: io::ErrorKind| backoff.handle_error(&kind.into(), &addr, now);
        assert_eq!(fail(io::ErrorKind::ConnectionAborted), None);
        let pauses: Vec<_> = (0..9).filter_map(|_| fail(io::ErrorKind::Other)).collect();
        assert_eq!(pauses[..2], [PAUSE_MIN, PAUSE_MIN * 2]);
        assert_eq!(pauses[7..], [PAUSE_MAX, PAUSE_MAX]);
        // The first failure is logged at once, the others are counted.
        assert_eq!(backoff.suppressed, 8);
        backoff.handle_success();
        let error = io::ErrorKind::Other.into();
        let later = now + LOG_INTERVAL;
        let pause = backoff.handle_error(&error, &addr, later);
        assert_eq!((pause, backoff.suppressed), (Some(PAUSE_MIN), 0));
    }
}
