//! Watching over an open connection: what no event tells of.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use sockeye_proto::{Beat, Hearing, Heartbeat, Pong, Rhythm};
use tokio::time::Instant;

use crate::Settings;

/// Watches over an open connection, for what no event tells of: whether the peer still lives.
///
/// Whoever drives the connection asks [`Vigil::due`] when to look, and looks then. A message costs no
/// clock and no timer here, but one store.
pub(crate) struct Vigil {
    heartbeat: Heartbeat,
}

/// Why time has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The peer gave no sign of life.
    Silent,
}

impl Vigil {
    /// `id` spreads the first pings, so that those who came together are not pinged together.
    pub(crate) fn new(settings: &Settings, id: u64, now: Instant) -> Self {
        let rhythm = settings.heartbeat.unwrap_or(NEVER);
        let first_at = since_origin(now) + spread(rhythm.interval.min(NEVER.interval), id);
        Self {
            heartbeat: Heartbeat::new(first_at, &rhythm),
        }
    }

    /// Any byte is a sign of life.
    #[inline]
    pub(crate) fn handle_bytes(&mut self) {
        self.heartbeat.handle_bytes();
    }

    pub(crate) fn handle_pong(&mut self, payload: &[u8]) -> Pong {
        let now = since_origin(Instant::now());
        self.heartbeat.handle_pong(payload, *KEY, now)
    }

    /// What is due, after all that has come was read.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        settings: &Settings,
        hearing: Hearing,
    ) -> Beat {
        match &settings.heartbeat {
            Some(rhythm) => self
                .heartbeat
                .handle_timeout(since_origin(now), rhythm, hearing),
            None => Beat::Wait,
        }
    }

    /// The payload of the ping that is due.
    pub(crate) fn payload(&self) -> [u8; 8] {
        self.heartbeat.payload(*KEY)
    }

    /// The ping that was due could not be sent.
    pub(crate) fn withdraw(&mut self) {
        self.heartbeat.withdraw();
    }

    /// When to look next, having looked just now.
    pub(crate) fn due(&self, now: Instant, settings: &Settings) -> Option<Instant> {
        let rhythm = settings.heartbeat.as_ref()?;
        let due = self.heartbeat.poll_timeout(since_origin(now), rhythm);
        Some(*ORIGIN + due)
    }
}

impl Lapse {
    /// For people, and the reason of the [`crate::Closed`].
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Silent => "no sign of life",
        }
    }
}

/// What a connection without a heartbeat keeps.
const NEVER: Rhythm = Rhythm {
    interval: Duration::from_secs(10 * 365 * 86_400),
    timeout: Duration::from_secs(10 * 365 * 86_400),
};

/// What the times of all heartbeats are counted from. Some time ago, for clocks that a test has stopped
/// may be behind the one that is read first.
static ORIGIN: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
});

/// Makes the payloads of pings hard to guess.
static KEY: LazyLock<u64> = LazyLock::new(|| {
    let mut key = [0; 8];
    match getrandom::fill(&mut key) {
        Ok(()) => u64::from_ne_bytes(key),
        // All that is at stake is a measurement.
        Err(_) => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64),
    }
});

fn since_origin(instant: Instant) -> Duration {
    instant.saturating_duration_since(*ORIGIN)
}

/// Between a half of `interval` and all of it; neighbours in `id` are far apart.
fn spread(interval: Duration, id: u64) -> Duration {
    // The golden ratio: however many have come, their times are even.
    let fraction = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    interval / 2 + (interval / 2).mul_f64(fraction as f64 / f64::from(1 << 24))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_connection_without_heartbeat_needs_no_look() {
        let mut settings = Settings {
            heartbeat: None,
            ..Settings::default()
        };
        let now = Instant::now();
        let vigil = Vigil::new(&settings, 1, now);
        assert_eq!(vigil.due(now, &settings), None);
        settings.heartbeat = Some(Rhythm::default());
        let vigil = Vigil::new(&settings, 1, now);
        let due = vigil.due(now, &settings).unwrap();
        assert!(due > now && due <= now + Rhythm::default().interval);
    }
}
