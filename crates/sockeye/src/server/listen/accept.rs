//! What every accept loop does with what it accepts, and with failures.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use socket2::{SockRef, TcpKeepalive};

/// Sets the options of a socket that was accepted.
///
/// # Errors
///
/// The peer is gone already.
pub(crate) fn tune(socket: &SockRef<'_>, keepalive: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    if let Some(time) = keepalive {
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(time);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// What an accept loop does when accepting fails: whatever it is, it goes on. A loop that ends is a
/// server that looks alive and is not.
#[derive(Debug)]
pub(crate) struct AcceptBackoff {
    /// The next pause.
    pause: Duration,
    /// When it was last said that accepting fails.
    said: Option<Instant>,
    /// Failures since then.
    untold: u32,
}

impl AcceptBackoff {
    pub(crate) fn new() -> Self {
        Self {
            pause: PAUSE_MIN,
            said: None,
            untold: 0,
        }
    }

    /// A connection was accepted.
    pub(crate) fn handle_success(&mut self) {
        self.pause = PAUSE_MIN;
    }

    /// Accepting failed: how long to wait before it is tried again, none if that can be at once.
    pub(crate) fn handle_error(
        &mut self,
        error: &io::Error,
        local_addr: SocketAddr,
        now: Instant,
    ) -> Option<Duration> {
        if is_of_one_connection(error) {
            return None;
        }
        self.complain(error, local_addr, now);
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }

    /// Says it, now and then.
    fn complain(&mut self, error: &io::Error, local_addr: SocketAddr, now: Instant) {
        let is_due = self
            .said
            .is_none_or(|said| now.saturating_duration_since(said) >= COMPLAINT_INTERVAL);
        if !is_due {
            self.untold += 1;
            return;
        }
        tracing::error!(%local_addr, %error, untold = self.untold, "cannot accept connections");
        self.said = Some(now);
        self.untold = 0;
    }
}

/// Errors that tell of the connection that was to be accepted, and nothing of us: the peer was gone
/// before we came.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// First pause after a failure such as a lack of descriptors. Short, because one may return at once.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// Longest pause: descriptors that have returned stay unused for no longer than this.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A server without descriptors fails a thousand times a second; a log should not.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_begin_anew_after_a_success() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let now = Instant::now();
        let mut backoff = AcceptBackoff::new();
        let mut fail = |kind: io::ErrorKind| backoff.handle_error(&kind.into(), addr, now);
        assert_eq!(fail(io::ErrorKind::ConnectionAborted), None);
        let pauses: Vec<_> = (0..9).filter_map(|_| fail(io::ErrorKind::Other)).collect();
        assert_eq!(pauses[..2], [PAUSE_MIN, PAUSE_MIN * 2]);
        assert_eq!(pauses[7..], [PAUSE_MAX, PAUSE_MAX]);
        // The first is told at once, the others wait for their time.
        assert_eq!(backoff.untold, 8);
        backoff.handle_success();
        let error = io::ErrorKind::Other.into();
        let later = now + COMPLAINT_INTERVAL;
        let pause = backoff.handle_error(&error, addr, later);
        assert_eq!((pause, backoff.untold), (Some(PAUSE_MIN), 0));
    }
}
