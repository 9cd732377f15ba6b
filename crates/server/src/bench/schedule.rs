//! An open loop: messages are sent at fixed times, whatever the server does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    link::{Phase, Run},
    tally::Tally,
};

/// Sends at a fixed rate, and records how late each message was sent.
pub(crate) struct Schedule {
    run: Arc<Run>,
    /// Messages per second.
    rate: u32,
    /// Messages of the measurement that a connection accepted.
    sent: AtomicU64,
    /// Times from when each message of the measurement was due to when it was sent or refused.
    lateness: Tally,
}

/// When a message is due, and whether its answer counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    pub(crate) at: Instant,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// It counts if it comes during the measurement.
    ByAnswer,
    /// It counts if the message was due during the measurement.
    ByTime(bool),
}

impl Departure {
    /// Describes a message of a closed loop, sent now.
    pub(crate) fn now(at: Instant) -> Self {
        Self {
            at,
            counts: Counts::ByAnswer,
        }
    }

    /// Returns whether an answer that comes now counts.
    pub(crate) fn is_counted(self, run: &Run) -> bool {
        match self.counts {
            Counts::ByAnswer => run.phase() == Phase::Measure,
            Counts::ByTime(is_counted) => is_counted,
        }
    }
}

impl Schedule {
    pub(crate) fn new(run: Arc<Run>, rate: u32) -> Arc<Self> {
        Arc::new(Self {
            run,
            rate,
            sent: AtomicU64::new(0),
            lateness: Tally::new(1),
        })
    }

    /// Calls `send` for each message at its time, in a thread of its own, until the run stops sending. `send` returns
    /// whether a connection accepted the message.
    pub(crate) fn start(
        self: &Arc<Self>,
        send: impl FnMut(Departure) -> bool + Send + 'static,
    ) -> Sending {
        let (schedule, begun) = (Arc::clone(self), Instant::now());
        Sending {
            begun,
            thread: thread::spawn(move || schedule.send_all(begun, send)),
        }
    }

    /// Returns how many messages of the measurement connections accepted.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    pub(crate) fn lateness(&self) -> hdrhistogram::Histogram<u64> {
        self.lateness.sum()
    }

    /// Returns how many messages were due while the measurement lasted.
    pub(crate) fn due(&self, begun: Instant) -> u64 {
        let Some((from, until)) = self.run.measured() else {
            return 0;
        };
        let number_at = |time: Instant| number_at(time.saturating_duration_since(begun), self.rate);
        number_at(until) - number_at(from)
    }

    fn send_all(&self, begun: Instant, mut send: impl FnMut(Departure) -> bool) {
        sleep_exactly();
        for number in 0.. {
            let due = begun + offset(number, self.rate);
            if !self.wait_until(due) {
                return;
            }
            let is_counted = self.run.is_measured_at(due);
            let departure = Departure {
                at: due,
                counts: Counts::ByTime(is_counted),
            };
            // The clock is read before sending, whose time is part of the round trip.
            let late = due.elapsed();
            let is_sent = send(departure);
            if is_counted {
                self.lateness.record(0, late);
                self.sent.fetch_add(u64::from(is_sent), Ordering::Relaxed);
            }
        }
    }

    /// Returns false when the run sends no more.
    fn wait_until(&self, due: Instant) -> bool {
        while self.run.is_sending() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(LOOK_INTERVAL));
        }
        false
    }
}

/// The thread that sends.
#[must_use = "it ends with the run, and is waited for"]
pub(crate) struct Sending {
    begun: Instant,
    thread: JoinHandle<()>,
}

impl Sending {
    /// Waits for the thread, which ends soon after the run stops sending. Returns when it began.
    pub(crate) fn join(self) -> Instant {
        // A panic of `send` has been printed.
        let _ = self.thread.join();
        self.begun
    }
}

/// Returns when the message with this number is due, counted from the first one.
fn offset(number: u64, rate: u32) -> Duration {
    let nanos = u128::from(number) * NANOS_PER_SECOND / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Returns how many messages are due before this time.
fn number_at(time: Duration, rate: u32) -> u64 {
    let number = (time.as_nanos() * u128::from(rate)).div_ceil(NANOS_PER_SECOND);
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Sets the kernel's timer slack for this thread to its minimum; the default delays wake-ups by up to 50 µs.
fn sleep_exactly() {
    #[cfg(target_os = "linux")]
    {
        // If the system refuses, the report shows how late messages were.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Time between two checks whether the run is over, when no message is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Most messages of one connection without an answer, in an open loop. Further ones are not sent and count as lost.
pub(crate) const UNANSWERED_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_evenly_and_counted_exactly() {
        assert_eq!(offset(0, 3), Duration::ZERO);
        assert_eq!(offset(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(offset(3, 3), Duration::from_secs(1));
        for (millis, rate, number) in [(0, 10, 0), (1, 10, 1), (100, 10, 1), (101, 10, 2)] {
            assert_eq!(
                number_at(Duration::from_millis(millis), rate),
                number,
                "{millis} ms"
            );
        }
        // Rounding errors don't add up over a day.
        let day = Duration::from_secs(86_400);
        assert_eq!(offset(86_400 * 7_777, 7_777), day);
        assert_eq!(number_at(day, 7_777), 86_400 * 7_777);
    }
}
