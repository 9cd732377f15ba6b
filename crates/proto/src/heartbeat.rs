//! When to ping a peer and when to give it up: a pure function of the time.

use core::time::Duration;

/// How often to ping a peer, and how long to wait for a sign of life.
///
/// A peer that has vanished is given up within `interval + timeout`.
///
/// ```
/// use core::time::Duration;
/// use sockeye_proto::HeartbeatConfig;
///
/// let config = HeartbeatConfig::default();
/// assert_eq!(config.interval, Duration::from_secs(25));
/// assert_eq!(config.timeout, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatConfig {
    /// The time from one ping to the next. Default 25 s: many proxies and NATs drop a connection that is silent for 30 or
    /// 60 s. At least 1 ms; a smaller value is taken as that.
    pub interval: Duration,
    /// The time from a ping to the deadline for any byte from the peer. Default 10 s.
    pub timeout: Duration,
}

/// The heartbeat of one connection. Times are since an origin that the driver picks.
///
/// It pings at a fixed interval, whether the peer is silent or not: a sign of life is then a flag without a time, and busy
/// connections get a round-trip time too.
///
/// ```text
///             interval               half of the timeout            all of it
///   alive ─────────────────> waiting ───────────────────> doubted ────────────> dead
///    ^      sends a ping        │    without a byte         │  ^ ───────┐
///    └─────── any byte ─────────┴───────────────────────────┘  └ extend ┘
/// ```
///
/// Inputs are [`Heartbeat::handle_bytes`], [`Heartbeat::handle_pong`] and [`Heartbeat::handle_timeout`], which returns what
/// to do. Orders are [`Heartbeat::extend`] and [`Heartbeat::withdraw`]. The output [`Heartbeat::poll_timeout`] says when to
/// call `handle_timeout` next. A heartbeat takes 16 bytes.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Microseconds. When the last ping was sent; before the first ping, one interval before it is due.
    pinged_at: i64,
    /// Milliseconds from `pinged_at` to the beginning of the timeout.
    extension: u32,
    /// Whether any byte has come since the last `handle_timeout`.
    heard: bool,
    /// Whether a sign of life is due from the peer.
    peer: PeerState,
    /// Whether the first pong to the last ping gives a round-trip time.
    measuring: bool,
    /// Whether the peer got more time because this end was late itself.
    was_late: bool,
}

/// What the driver has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatAction {
    /// Nothing. Wait until [`Heartbeat::poll_timeout`].
    Wait,
    /// Send a ping with [`Heartbeat::payload`].
    Ping,
    /// Note, if the driver can, how much of what was sent the peer has acknowledged. Half of the timeout is over without a
    /// byte, and at [`HeartbeatAction::Dead`] the driver compares.
    Doubt,
    /// End the connection: the peer is gone. Call [`Heartbeat::extend`] instead if the driver knows that the peer is still
    /// busy with what was sent before the ping.
    Dead,
}

/// Whether a sign of life is due from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerState {
    /// None is due.
    Alive,
    /// One is due since the ping.
    Waiting,
    /// One is due for half of the timeout or more, and `handle_timeout` has returned `Doubt`, or reading is paused.
    Doubted,
}

/// The ping that a pong answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pong {
    /// Our last ping. The round-trip time is there if this is the first answer and the ping was sent while the driver had
    /// read everything.
    Ours(Option<Duration>),
    /// No ping of this heartbeat, or an earlier one.
    Foreign,
}

/// Whether the driver has read all that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadState {
    /// It has.
    CaughtUp,
    /// It has not: back-pressure pauses reading, or our ping waits behind other bytes. The peer can't be late then.
    Paused,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(25),
            timeout: Duration::from_secs(10),
        }
    }
}

impl HeartbeatConfig {
    /// Sends a ping every `interval`, and gives the peer `timeout` for any byte.
    #[must_use]
    pub fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

impl Heartbeat {
    /// Creates a heartbeat whose first ping is due at `first_at`, which is at most one interval from now.
    #[must_use]
    pub fn new(first_at: Duration, config: &HeartbeatConfig) -> Self {
        Self {
            pinged_at: micros(first_at) - interval(config),
            extension: 0,
            heard: false,
            peer: PeerState::Alive,
            measuring: false,
            was_late: false,
        }
    }

    /// Handles any byte from the peer, which is a sign of life. It costs one store, because it is called for each read.
    #[inline]
    pub fn handle_bytes(&mut self) {
        self.heard = true;
    }

    /// Handles a pong with this `payload`. `key` is the one that [`Heartbeat::payload`] was called with.
    pub fn handle_pong(&mut self, payload: &[u8], key: u64, now: Duration) -> Pong {
        if payload != self.payload(key) {
            return Pong::Foreign;
        }
        if !core::mem::take(&mut self.measuring) {
            return Pong::Ours(None);
        }
        let micros = micros(now).saturating_sub(self.pinged_at).max(0);
        Pong::Ours(Some(Duration::from_micros(micros.unsigned_abs())))
    }

    /// Returns what the driver has to do now. Call it after reading all that has arrived.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        config: &HeartbeatConfig,
        read_state: ReadState,
    ) -> HeartbeatAction {
        let now = micros(now);
        if core::mem::take(&mut self.heard) {
            (self.peer, self.extension, self.was_late) = (PeerState::Alive, 0, false);
        }
        let is_caught_up = read_state == ReadState::CaughtUp;
        let since = now.saturating_sub(self.pinged_at + self.extension());
        if since < self.due(config) {
            return HeartbeatAction::Wait;
        }
        if self.peer == PeerState::Waiting && !is_caught_up {
            // While reading is paused, silence is no reason to doubt.
            self.peer = PeerState::Doubted;
            if since < self.due(config) {
                return HeartbeatAction::Wait;
            }
        }
        if self.peer != PeerState::Alive && is_caught_up {
            let timeout = micros(config.timeout);
            // This call is late by half of a timeout or more: this machine slept. The network may have slept with it, and
            // what the peer sent may have to be sent again.
            if self.was_late || since - timeout <= timeout / 2 {
                if self.peer == PeerState::Doubted {
                    return HeartbeatAction::Dead;
                }
                self.peer = PeerState::Doubted;
                if since >= timeout {
                    // The doubt comes late. Half of the timeout follows it all the same.
                    self.extend_to(now - timeout / 2);
                }
                return HeartbeatAction::Doubt;
            }
            self.was_late = true;
        }
        // While reading is paused the answer may wait unread: the peer gets the whole timeout again.
        (self.pinged_at, self.extension) = (now, 0);
        (self.peer, self.measuring) = (PeerState::Waiting, is_caught_up);
        HeartbeatAction::Ping
    }

    /// Withdraws the ping that was due and could not be sent: the peer need not answer it.
    pub fn withdraw(&mut self) {
        (self.peer, self.measuring) = (PeerState::Alive, false);
    }

    /// Gives the peer the whole timeout again, after [`HeartbeatAction::Dead`], because it is busy with what was sent before
    /// the ping.
    pub fn extend(&mut self, now: Duration) {
        self.extend_to(micros(now));
    }

    /// Returns whether a sign of life has been due for half of the timeout or more.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.peer == PeerState::Doubted
    }

    /// Returns the time since the last ping if a sign of life is due, otherwise zero.
    #[must_use]
    pub fn unanswered_for(&self, now: Duration) -> Duration {
        match self.peer {
            PeerState::Alive => Duration::ZERO,
            _ => Duration::from_micros(
                micros(now)
                    .saturating_sub(self.pinged_at)
                    .max(0)
                    .unsigned_abs(),
            ),
        }
    }

    /// Returns when to call [`Heartbeat::handle_timeout`] next. `now` is when it was called last.
    #[must_use]
    pub fn poll_timeout(&self, now: Duration, config: &HeartbeatConfig) -> Duration {
        let interval = interval(config);
        let due = match self.peer {
            PeerState::Alive => self.pinged_at.saturating_add(interval),
            // Also after each interval: after a sign of life the next ping is due then.
            PeerState::Waiting | PeerState::Doubted => {
                let intervals = (micros(now).saturating_sub(self.pinged_at) / interval).max(0) + 1;
                let look = interval.saturating_mul(intervals);
                let end = self.due(config).saturating_add(self.extension());
                self.pinged_at.saturating_add(look.min(end))
            }
        };
        Duration::from_micros(due.max(0).unsigned_abs())
    }

    /// Returns the payload of the last ping. It can't be guessed without `key`, so that only an answer to the ping counts.
    #[must_use]
    pub fn payload(&self, key: u64) -> [u8; 8] {
        // The finalizer of splitmix64.
        let mut mixed = key.wrapping_add(self.pinged_at.cast_unsigned());
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_be_bytes()
    }

    /// Returns microseconds: when something is due, counted from `pinged_at` and the extension.
    fn due(&self, config: &HeartbeatConfig) -> i64 {
        match self.peer {
            PeerState::Alive => interval(config),
            PeerState::Waiting => micros(config.timeout) / 2,
            PeerState::Doubted => micros(config.timeout),
        }
    }

    /// Returns microseconds.
    fn extension(&self) -> i64 {
        i64::from(self.extension) * 1000
    }

    /// Lets the timeout begin at `micros`.
    fn extend_to(&mut self, micros: i64) {
        let millis = micros.saturating_sub(self.pinged_at) / 1000 + 1;
        self.extension = u32::try_from(millis.max(0)).unwrap_or(u32::MAX);
    }
}

/// Microseconds. A hundred years stand for "never": the sum of two is far below the end of `i64`.
const NEVER: i64 = 100 * 365 * 86_400 * 1_000_000;

/// Returns microseconds: at least a millisecond, so that a driver does not ping without a pause.
fn interval(config: &HeartbeatConfig) -> i64 {
    micros(config.interval).max(1000)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).map_or(NEVER, |micros| micros.min(NEVER))
}

#[cfg(test)]
mod tests;
