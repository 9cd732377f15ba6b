//! What wakes a worker at its next deadline.

#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::{io, time::Duration};

use mio::{Registry, Token};
use tokio::time::Instant;

/// What wakes a worker at its next deadline. On Linux a timer of the kernel's, which is set when the
/// deadline changes: a time limit for each wait would be set up and taken down each time, a twentieth of
/// the cost of a message that comes alone. Elsewhere that time limit.
///
/// Before each wait [`TimerFd::set`], after it [`TimerFd::may_be_due`].
pub(crate) struct TimerFd {
    #[cfg(target_os = "linux")]
    timer: OwnedFd,
    /// When the timer rings, if it is set.
    #[cfg(target_os = "linux")]
    set_for: Option<Instant>,
    #[cfg(target_os = "linux")]
    rang: bool,
}

#[cfg(target_os = "linux")]
impl TimerFd {
    /// Rings with the event `token`.
    ///
    /// # Errors
    ///
    /// There are no descriptors left.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let descriptor = timer.as_raw_fd();
        let mut source = mio::unix::SourceFd(&descriptor);
        registry.register(&mut source, token, mio::Interest::READABLE)?;
        Ok(Self {
            timer,
            set_for: None,
            rang: false,
        })
    }

    /// Rings at `due`, or before. How long a wait may last all the same.
    #[inline]
    pub(crate) fn set(&mut self, due: Option<Instant>) -> Option<Duration> {
        let due = due?;
        // One that rings too early is set again then.
        match self.set_for.is_some_and(|set_for| set_for <= due) {
            true => None,
            false => self.set_anew(due),
        }
    }

    fn set_anew(&mut self, due: Instant) -> Option<Duration> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let wait = due.saturating_duration_since(Instant::now());
        // Zero would take the timer down.
        let value = Timespec::try_from(wait.max(Duration::from_nanos(1))).ok();
        let set = value.map(|it_value| {
            let it_interval = Timespec::default();
            let value = Itimerspec {
                it_interval,
                it_value,
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)
        });
        match set {
            Some(Ok(_)) => {
                self.set_for = Some(due);
                None
            }
            // Then as where there is none.
            _ => {
                self.rang = true;
                Some(wait)
            }
        }
    }

    /// Its event has come.
    pub(crate) fn handle_ring(&mut self) {
        self.rang = true;
        self.set_for = None;
    }

    /// Whether the deadline may have passed since this was asked last.
    #[inline]
    pub(crate) fn may_be_due(&mut self) -> bool {
        std::mem::take(&mut self.rang)
    }
}

#[cfg(not(target_os = "linux"))]
impl TimerFd {
    pub(crate) fn new(_: &Registry, _: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) fn set(&mut self, due: Option<Instant>) -> Option<Duration> {
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn handle_ring(&mut self) {}

    pub(crate) fn may_be_due(&mut self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits as a worker does, for five seconds at most.
    fn wait(poll: &mut mio::Poll, clock: &mut TimerFd, due: Instant) -> bool {
        let limit = Duration::from_secs(5);
        let timeout = clock.set(Some(due)).map_or(limit, |wait| wait.min(limit));
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(timeout)).unwrap();
        for _ in &events {
            clock.handle_ring();
        }
        clock.may_be_due()
    }

    #[test]
    fn it_rings_at_the_earliest_deadline_and_can_be_set_again() {
        let mut poll = mio::Poll::new().unwrap();
        let mut clock = TimerFd::new(poll.registry(), Token(7)).unwrap();
        let begin = Instant::now();
        let far = begin + Duration::from_secs(3600);
        assert!(
            clock
                .set(Some(far))
                .is_none_or(|wait| wait.as_secs() > 3000)
        );
        for millis in [20, 40] {
            let due = begin + Duration::from_millis(millis);
            while Instant::now() < due {
                assert!(wait(&mut poll, &mut clock, due));
            }
        }
        // What has passed rings at once.
        assert!(wait(&mut poll, &mut clock, begin));
    }
}
