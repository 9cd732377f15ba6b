//! The watchdog of an open connection: heartbeat, idle timeout and lifetime.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use sockeye_proto::{Heartbeat, HeartbeatAction, HeartbeatConfig, Pong, ReadState};
use tokio::time::Instant;

use crate::{
    closed::EndCause,
    connection::{
        io::Outbound,
        read::late_peer::{LatePeer, LateVerdict, Unread},
    },
    settings::Settings,
    time::{fraction, later},
};

/// The watchdog of an open connection. It finds what no event announces: whether the peer still lives, is
/// idle, or has been connected for too long.
///
/// The driver's host asks [`Watchdog::due`] when to check, and checks then. A message costs no clock and no
/// timer, but two stores: one here and one in the driver.
pub(crate) struct Watchdog {
    heartbeat: Heartbeat,
    rare_state: Option<Box<RareState>>,
}

/// State that most connections don't have.
#[derive(Default)]
struct RareState {
    /// Present if the connection's time is limited.
    limits: Option<TimeLimits>,
    /// Present while the peer is late.
    late_peer: Option<LatePeer>,
}

/// The times after which the connection ends although the peer lives.
struct TimeLimits {
    /// The last check that found traffic.
    quiet_since: Instant,
    idle_timeout: Duration,
    expires_at: Instant,
}

/// Whether messages came from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    Busy,
    Quiet,
}

/// The action that a check calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// Send a ping.
    Ping,
    /// Send the same ping once more, since the peer's kernel answers it and tells how much room it has.
    PingAgain,
    /// End the connection.
    EndCause(EndCause),
}

impl Watchdog {
    /// Creates a watchdog. `id` spreads the first pings, so that connections that began together are not
    /// pinged together.
    pub(crate) fn new(settings: &Settings, id: u64, now: Instant) -> Self {
        let config = settings.heartbeat.unwrap_or(NEVER);
        let first_at = since_origin(now) + spread(config.interval.min(NEVER.interval), id);
        Self {
            heartbeat: Heartbeat::new(first_at, &config),
            rare_state: TimeLimits::of(settings, id, now).map(|limits| {
                Box::new(RareState {
                    limits: Some(limits),
                    late_peer: None,
                })
            }),
        }
    }

    /// Notes that bytes came: any byte is a sign of life.
    #[inline]
    pub(crate) fn handle_bytes(&mut self) {
        self.heartbeat.handle_bytes();
    }

    pub(crate) fn handle_pong(&mut self, payload: &[u8]) -> Pong {
        let now = since_origin(Instant::now());
        self.heartbeat.handle_pong(payload, *KEY, now)
    }

    /// Returns what is due, after all that has come was read. `traffic` tells of messages since the last
    /// check. `outbound` is called only for a ping, and if the peer is late.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        settings: &Settings,
        read_state: ReadState,
        traffic: Traffic,
        unread: &mut Unread,
        outbound: impl FnOnce() -> Outbound,
    ) -> Due {
        // A peer that isn't read from can't be late.
        let is_busy = traffic == Traffic::Busy || read_state == ReadState::Paused;
        let limits = (self.rare_state.as_mut()).and_then(|rare_state| rare_state.limits.as_mut());
        if let Some(end_cause) = limits.and_then(|limits| limits.handle_timeout(now, is_busy)) {
            return Due::EndCause(end_cause);
        }
        let Some(config) = &settings.heartbeat else {
            return Due::Nothing;
        };
        let heartbeat = &mut self.heartbeat;
        let action = heartbeat.handle_timeout(since_origin(now), config, read_state);
        if !heartbeat.is_in_doubt() {
            self.forget_late_peer();
        }
        match action {
            HeartbeatAction::Wait => Due::Nothing,
            HeartbeatAction::Ping => {
                unread.handle_ping(outbound(), config.interval);
                Due::Ping
            }
            HeartbeatAction::Doubt => {
                let late_peer = LatePeer::new(outbound(), now);
                self.rare_state.get_or_insert_default().late_peer = Some(late_peer);
                Due::PingAgain
            }
            HeartbeatAction::Dead => self.judge(now, settings, config.timeout, unread, outbound()),
        }
    }

    /// Decides about a peer whose timeout is over without a byte.
    #[cold]
    fn judge(
        &mut self,
        now: Instant,
        settings: &Settings,
        timeout: Duration,
        unread: &Unread,
        outbound: Outbound,
    ) -> Due {
        let unanswered_for = self.heartbeat.unanswered_for(since_origin(now));
        let late_peer = &mut self.rare_state.get_or_insert_default().late_peer;
        let verdict = match late_peer {
            Some(late_peer) => {
                let progress_timeout = settings.progress_timeout;
                late_peer.judge(
                    outbound,
                    unread,
                    now,
                    unanswered_for,
                    timeout,
                    progress_timeout,
                )
            }
            // Until now the peer was not read from.
            None => {
                *late_peer = Some(LatePeer::new(outbound, now));
                LateVerdict::Busy
            }
        };
        match verdict {
            LateVerdict::Busy => {
                self.heartbeat.extend(since_origin(now));
                Due::PingAgain
            }
            LateVerdict::Silent => Due::EndCause(EndCause::Silent),
            LateVerdict::Stalled => Due::EndCause(EndCause::Stalled),
        }
    }

    fn forget_late_peer(&mut self) {
        if let Some(rare_state) = &mut self.rare_state {
            rare_state.late_peer = None;
        }
        self.rare_state
            .take_if(|rare_state| rare_state.limits.is_none());
    }

    /// Returns the payload of the ping that is due.
    pub(crate) fn payload(&self) -> [u8; 8] {
        self.heartbeat.payload(*KEY)
    }

    /// Notes that the ping that was due could not be sent.
    pub(crate) fn withdraw(&mut self) {
        self.heartbeat.withdraw();
    }

    /// Returns when the next check is due, after one at `now`.
    pub(crate) fn due(&self, now: Instant, settings: &Settings) -> Option<Instant> {
        let heartbeat_due = settings.heartbeat.as_ref().map(|config| {
            let due = self.heartbeat.poll_timeout(since_origin(now), config);
            later(*ORIGIN, due)
        });
        let limits = (self.rare_state.as_ref()).and_then(|rare_state| rare_state.limits.as_ref());
        let limit = limits.map(|limits| limits.due(now));
        heartbeat_due.into_iter().chain(limit).min()
    }
}

impl TimeLimits {
    fn of(settings: &Settings, id: u64, now: Instant) -> Option<Self> {
        if settings.idle_timeout.is_none() && settings.lifetime.is_none() {
            return None;
        }
        let lifetime = settings.lifetime.map_or(Duration::MAX, |lifetime| {
            let less = lifetime.spread.min(lifetime.max).mul_f64(fraction(id));
            lifetime.max - less
        });
        Some(Self {
            quiet_since: now,
            idle_timeout: settings.idle_timeout.unwrap_or(Duration::MAX),
            expires_at: later(now, lifetime),
        })
    }

    fn handle_timeout(&mut self, now: Instant, is_busy: bool) -> Option<EndCause> {
        if is_busy {
            self.quiet_since = now;
        }
        if now >= self.expires_at {
            return Some(EndCause::Expired);
        }
        (now - self.quiet_since >= self.idle_timeout).then_some(EndCause::Idle)
    }

    /// Checks four times within the timeout, so that the end is late by a quarter at most.
    fn due(&self, now: Instant) -> Instant {
        let look = later(now, (self.idle_timeout / 4).max(SHORTEST_LOOK));
        let end = later(self.quiet_since, self.idle_timeout);
        // Not in the past, which would make the checks endless.
        let end = end.max(now + SHORTEST_LOOK);
        look.min(end).min(self.expires_at.max(now + SHORTEST_LOOK))
    }
}

/// The shortest time between two checks. A shorter limit is a mistake, and must not keep a worker busy.
pub(crate) const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// The heartbeat of a connection without one: pings after ten years.
const NEVER: HeartbeatConfig = HeartbeatConfig {
    interval: Duration::from_secs(10 * 365 * 86_400),
    timeout: Duration::from_secs(10 * 365 * 86_400),
};

/// The origin of all heartbeat times. It is an hour ago, because a clock that a test has stopped may be
/// behind the first one read.
static ORIGIN: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
});

/// Makes the payloads of pings hard to guess.
static KEY: LazyLock<u64> = LazyLock::new(|| {
    let mut key = [0; 8];
    match getrandom::fill(&mut key) {
        Ok(()) => u64::from_ne_bytes(key),
        // Only the measurement of the round trip depends on it.
        Err(_) => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64),
    }
});

pub(crate) fn since_origin(instant: Instant) -> Duration {
    instant.saturating_duration_since(*ORIGIN)
}

/// Returns a time between half of `interval` and all of it; neighbours in `id` are far apart.
fn spread(interval: Duration, id: u64) -> Duration {
    interval / 2 + (interval / 2).mul_f64(fraction(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Lifetime;

    #[test]
    fn first_pings_are_spread_over_half_an_interval() {
        let interval = Duration::from_secs(20);
        let mut times: Vec<Duration> = (1..=1000).map(|id| spread(interval, id)).collect();
        times.sort_unstable();
        assert!(times[0] >= interval / 2 && times[999] <= interval);
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(gap <= Some(Duration::from_millis(30)), "{gap:?}");
    }

    #[test]
    fn lifetimes_end_evenly_before_the_maximum() {
        let seconds = Duration::from_secs;
        let settings = Settings {
            lifetime: Some(Lifetime {
                max: seconds(100),
                spread: seconds(40),
            }),
            ..Settings::default()
        };
        let now = Instant::now();
        let ends = |id| TimeLimits::of(&settings, id, now).unwrap().expires_at - now;
        let mut ends: Vec<Duration> = (1..=1000).map(ends).collect();
        ends.sort_unstable();
        assert!(ends[0] >= seconds(60) && ends[999] <= seconds(100));
        for tenth in 1..10 {
            let expected = seconds(60 + 4 * tenth as u64);
            assert!(ends[tenth * 100].abs_diff(expected) < seconds(1));
        }
    }

    #[test]
    fn idle_is_who_sends_no_message_for_the_whole_time() {
        let settings = Settings {
            heartbeat: None,
            idle_timeout: Some(Duration::from_secs(100)),
            ..Settings::default()
        };
        let began = Instant::now();
        let at = |second| began + Duration::from_secs(second);
        let mut watchdog = Watchdog::new(&settings, 1, began);
        let look = |watchdog: &mut Watchdog, second, read_state, traffic| {
            let mut unread = Unread::default();
            watchdog.handle_timeout(
                at(second),
                &settings,
                read_state,
                traffic,
                &mut unread,
                || Outbound::Unknown,
            )
        };
        let (clear, paused) = (ReadState::CaughtUp, ReadState::Paused);
        let (busy, quiet) = (Traffic::Busy, Traffic::Quiet);
        assert_eq!(watchdog.due(began, &settings), Some(at(25)));
        watchdog.handle_bytes();
        assert_eq!(look(&mut watchdog, 25, clear, quiet), Due::Nothing);
        assert_eq!(look(&mut watchdog, 50, clear, busy), Due::Nothing);
        assert_eq!(look(&mut watchdog, 149, clear, quiet), Due::Nothing);
        assert_eq!(watchdog.due(at(149), &settings), Some(at(150)));
        assert_eq!(look(&mut watchdog, 150, paused, quiet), Due::Nothing);
        let idle = Due::EndCause(EndCause::Idle);
        assert_eq!(look(&mut watchdog, 250, clear, quiet), idle);
    }

    #[test]
    fn a_connection_without_heartbeat_needs_no_look() {
        let mut settings = Settings {
            heartbeat: None,
            ..Settings::default()
        };
        let now = Instant::now();
        let watchdog = Watchdog::new(&settings, 1, now);
        assert_eq!(watchdog.due(now, &settings), None);
        settings.heartbeat = Some(HeartbeatConfig::default());
        let watchdog = Watchdog::new(&settings, 1, now);
        let due = watchdog.due(now, &settings).unwrap();
        assert!(due > now && due <= now + HeartbeatConfig::default().interval);
    }
}
