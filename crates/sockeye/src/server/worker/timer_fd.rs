//! The timer that wakes a worker at its next deadline.

#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::{io, time::Duration};

use mio::{Registry, Token};
use tokio::time::Instant;

/// The timer that wakes a worker at its next deadline. On Linux it is a `timerfd`, set when the deadline changes: the
/// kernel would set up and take down a timeout for each wait, which costs a twentieth of a message that comes alone.
/// On other systems it is that timeout.
///
/// Call [`TimerFd::set`] before each wait and [`TimerFd::may_be_due`] after it.
pub(crate) struct TimerFd {
    #[cfg(target_os = "linux")]
    timer: OwnedFd,
    /// When the timer fires, if it is set.
    #[cfg(target_os = "linux")]
    set_for: Option<Instant>,
    #[cfg(target_os = "linux")]
    has_fired: bool,
}

#[cfg(target_os = "linux")]
impl TimerFd {
    /// Creates a timer that fires as the event `token`.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
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
            has_fired: false,
        })
    }

    /// Sets the timer to fire at `due` or earlier. Returns a timeout that the wait needs all the same.
    #[inline]
    pub(crate) fn set(&mut self, due: Option<Instant>) -> Option<Duration> {
        let due = due?;
        // One that fires too early is set again then.
        match self.set_for.is_some_and(|set_for| set_for <= due) {
            true => None,
            false => self.set_anew(due),
        }
    }

    fn set_anew(&mut self, due: Instant) -> Option<Duration> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let wait = due.saturating_duration_since(Instant::now());
        // Zero would disarm the timer.
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
            // Without a timer the wait gets a timeout, as on other systems.
            _ => {
                self.has_fired = true;
                Some(wait)
            }
        }
    }

    /// Handles the timer's event.
    pub(crate) fn handle_event(&mut self) {
        self.has_fired = true;
        self.set_for = None;
    }

    /// Returns whether the deadline may have passed since the last call.
    #[inline]
    pub(crate) fn may_be_due(&mut self) -> bool {
        std::mem::take(&mut self.has_fired)
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

    pub(crate) fn handle_event(&mut self) {}

    pub(crate) fn may_be_due(&mut self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits as a worker does, for five seconds at most.
    fn wait(poll: &mut mio::Poll, timer_fd: &mut TimerFd, due: Instant) -> bool {
        let limit = Duration::from_secs(5);
        let timeout = timer_fd
            .set(Some(due))
            .map_or(limit, |wait| wait.min(limit));
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(timeout)).unwrap();
        for _ in &events {
            timer_fd.handle_event();
        }
        timer_fd.may_be_due()
    }

    #[test]
    fn it_fires_at_the_earliest_deadline_and_can_be_set_again() {
        let mut poll = mio::Poll::new().unwrap();
        let mut timer_fd = TimerFd::new(poll.registry(), Token(7)).unwrap();
        let begin = Instant::now();
        let far = begin + Duration::from_secs(3600);
        assert!(
            timer_fd
                .set(Some(far))
                .is_none_or(|wait| wait.as_secs() > 3000)
        );
        for millis in [20, 40] {
            let due = begin + Duration::from_millis(millis);
            while Instant::now() < due {
                assert!(wait(&mut poll, &mut timer_fd, due));
            }
        }
        // A deadline that has passed fires at once.
        assert!(wait(&mut poll, &mut timer_fd, begin));
    }
}
