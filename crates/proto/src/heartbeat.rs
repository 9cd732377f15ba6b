//! When to ping, when to give up: a pure function of the time.

use core::time::Duration;

/// How often to ping a peer, and how long to wait for a sign of life.
///
/// A peer that vanishes is given up within `interval + timeout`.
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
    /// From one ping to the next. Default 25 s: many proxies and NATs forget a connection that is
    /// silent for 30 or 60.
    pub interval: Duration,
    /// From a ping to the last moment for any byte of the peer. Default 10 s.
    pub timeout: Duration,
}

/// When to ping, when to give up. Times are since an origin that the driver picks.
///
/// It pings on a schedule, whether the peer is silent or not: so a sign of life is a mark without a
/// time, and there is a round-trip time for busy connections too.
///
/// ```text
///             interval               half of the timeout            all of it
///   calm ──────────────────> waiting ───────────────────> doubting ───────────> dead
///    ^      sends a ping        │    without a byte         │  ^ ───────┐
///    └─────── any byte ─────────┴───────────────────────────┘  └ extend ┘
/// ```
///
/// Inputs: [`Heartbeat::handle_bytes`], [`Heartbeat::handle_pong`], [`Heartbeat::handle_timeout`],
/// [`Heartbeat::extend`]; output: [`Heartbeat::poll_timeout`] says when the next `handle_timeout` is due.
/// 16 bytes.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Microseconds. When the last ping was sent, or when the wait for an answer to it began anew.
    /// Before the first one: an interval before it is due.
    pinged_at: i64,
    /// Milliseconds after `pinged_at`, from which on the timeout counts.
    extension: u32,
    /// Whether any byte came since this was looked at last.
    heard: bool,
    /// Whether the peer owes a sign of life.
    peer: PeerState,
    /// Whether a pong to the last ping would tell a round-trip time.
    measuring: bool,
    /// Whether the peer was given more time, because we were late ourselves.
    is_extended_for_us: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatAction {
    /// Nothing yet.
    Wait,
    /// Send a ping with [`Heartbeat::payload`].
    Ping,
    /// A half of the timeout is over without a byte. Who can find out what has become of what was sent looks now,
    /// to compare when all of it is over.
    Doubt,
    /// The peer is gone: end the connection, unless it is known to be there, busy with what was sent before the
    /// ping. Then call [`Heartbeat::extend`].
    Dead,
}

/// Whether the peer owes a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerState {
    Alive,
    /// Since the ping.
    Waiting,
    /// For half of the timeout at least, and that was told.
    Doubted,
}

/// Whose pong it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pong {
    /// The answer to our last ping, with the round-trip time if this is its first and was waited for.
    Ours(Option<Duration>),
    /// An answer to somebody else's, or to none.
    Foreign,
}

/// Whether the peer can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadState {
    /// All that has come was read.
    CaughtUp,
    /// Reading is paused by back-pressure, or our ping waits behind other bytes: what can't be heard
    /// can't be late.
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
    /// A ping every `interval`, and `timeout` to answer it.
    #[must_use]
    pub fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

impl Heartbeat {
    /// A heartbeat that sends its first ping at `first_at`, at most an interval from now.
    #[must_use]
    pub fn new(first_at: Duration, config: &HeartbeatConfig) -> Self {
        Self {
            pinged_at: micros(first_at) - interval(config),
            extension: 0,
            heard: false,
            peer: PeerState::Alive,
            measuring: false,
            is_extended_for_us: false,
        }
    }

    /// Any byte is a sign of life. One store: this is called for each read.
    #[inline]
    pub fn handle_bytes(&mut self) {
        self.heard = true;
    }

    /// A pong came.
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

    /// Says what is due, after all that has come was read.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        config: &HeartbeatConfig,
        read_state: ReadState,
    ) -> HeartbeatAction {
        let now = micros(now);
        if core::mem::take(&mut self.heard) {
            (self.peer, self.extension, self.is_extended_for_us) = (PeerState::Alive, 0, false);
        }
        let is_clear = read_state == ReadState::CaughtUp;
        let since = now.saturating_sub(self.pinged_at + self.extension());
        if since < self.due(config) {
            return HeartbeatAction::Wait;
        }
        if self.peer == PeerState::Waiting && !is_clear {
            // What can't be heard leaves no doubt.
            self.peer = PeerState::Doubted;
            if since < self.due(config) {
                return HeartbeatAction::Wait;
            }
        }
        if self.peer != PeerState::Alive && is_clear {
            let timeout = micros(config.timeout);
            // We have slept, and so may have the network: what the peer sent may have to be sent again.
            if self.is_extended_for_us || since - timeout <= timeout / 2 {
                if self.peer == PeerState::Doubted {
                    return HeartbeatAction::Dead;
                }
                self.peer = PeerState::Doubted;
                if since >= timeout {
                    // The doubt is late: as much time follows it as always.
                    self.extend_to(now - timeout / 2);
                }
                return HeartbeatAction::Doubt;
            }
            self.is_extended_for_us = true;
        }
        // If it is paused, the answer may have been there all the time: it has all its time again.
        (self.pinged_at, self.extension) = (now, 0);
        (self.peer, self.measuring) = (PeerState::Waiting, is_clear);
        HeartbeatAction::Ping
    }

    /// The ping that was due could not be sent: nobody owes an answer to it.
    pub fn withdraw(&mut self) {
        (self.peer, self.measuring) = (PeerState::Alive, false);
    }

    /// The peer that [`HeartbeatAction::Dead`] tells of is there, and busy with what was sent before the ping: it has all
    /// the timeout again.
    pub fn extend(&mut self, now: Duration) {
        self.extend_to(micros(now));
    }

    /// Whether the peer owes a sign of life, and has owed it for half of the timeout.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.peer == PeerState::Doubted
    }

    /// Since the last ping, if the peer owes a sign of life.
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

    /// When [`Heartbeat::handle_timeout`] must be called next; `now` is when it was called last.
    #[must_use]
    pub fn poll_timeout(&self, now: Duration, config: &HeartbeatConfig) -> Duration {
        let interval = interval(config);
        let due = match self.peer {
            PeerState::Alive => self.pinged_at.saturating_add(interval),
            // Also after each interval: if there was a sign of life by then, the next ping is due.
            PeerState::Waiting | PeerState::Doubted => {
                let intervals = (micros(now).saturating_sub(self.pinged_at) / interval).max(0) + 1;
                let look = interval.saturating_mul(intervals);
                let end = self.due(config).saturating_add(self.extension());
                self.pinged_at.saturating_add(look.min(end))
            }
        };
        Duration::from_micros(due.max(0).unsigned_abs())
    }

    /// What the last ping carries: not to be guessed by who doesn't know `key`, so that no pong but the
    /// answer counts.
    #[must_use]
    pub fn payload(&self, key: u64) -> [u8; 8] {
        // splitmix64.
        let mut mixed = key.wrapping_add(self.pinged_at.cast_unsigned());
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_be_bytes()
    }

    /// Microseconds after `pinged_at` and the extension when something is due.
    fn due(&self, config: &HeartbeatConfig) -> i64 {
        match self.peer {
            PeerState::Alive => interval(config),
            PeerState::Waiting => micros(config.timeout) / 2,
            PeerState::Doubted => micros(config.timeout),
        }
    }

    /// Microseconds.
    fn extension(&self) -> i64 {
        i64::from(self.extension) * 1000
    }

    /// The timeout counts from `micros` on.
    fn extend_to(&mut self, micros: i64) {
        let millis = micros.saturating_sub(self.pinged_at) / 1000 + 1;
        self.extension = u32::try_from(millis.max(0)).unwrap_or(u32::MAX);
    }
}

/// Microseconds. A hundred years, for those who mean never: sums of two are far from the end of `i64`.
const NEVER: i64 = 100 * 365 * 86_400 * 1_000_000;

/// Microseconds; a millisecond at least, so that nobody does nothing but ping.
fn interval(config: &HeartbeatConfig) -> i64 {
    micros(config.interval).max(1000)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).map_or(NEVER, |micros| micros.min(NEVER))
}

#[cfg(test)]
mod tests;
