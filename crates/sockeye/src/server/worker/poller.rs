//! How a worker waits for its events.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use crate::connection::BusyPoll;

/// Waits for a worker's events: first it polls in a loop, if that has paid off so far, then it sleeps.
pub(crate) struct Poller {
    /// How long it polls in a loop; zero turns that off.
    spin_max: Duration,
    busy_poll: BusyPoll,
}

impl Poller {
    pub(crate) fn new(spin_max: Duration) -> Self {
        Self {
            spin_max,
            busy_poll: BusyPoll::default(),
        }
    }

    /// Waits for events, for `timeout` at most. Before the wait it polls in a loop, for `timeout` at most, too.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub(crate) fn wait(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if self.spin_max.is_zero() || timeout == Some(Duration::ZERO) {
            return poll.poll(events, timeout);
        }
        if !self.busy_poll.spins() {
            let began = Instant::now();
            poll.poll(events, timeout)?;
            self.busy_poll.handle_sleep(began.elapsed(), self.spin_max);
            return Ok(());
        }
        let spin_max = timeout.map_or(self.spin_max, |timeout| timeout.min(self.spin_max));
        let spun = spin(poll, events, spin_max)?;
        if !events.is_empty() {
            self.busy_poll.handle_spin(spun, spin_max);
            return Ok(());
        }
        self.busy_poll.handle_vain();
        poll.poll(events, timeout)
    }
}

/// Polls in a loop until events come or `spin_max` has passed. Returns how long it took.
fn spin(poll: &mut Poll, events: &mut Events, spin_max: Duration) -> io::Result<Duration> {
    // Under load there are events already, and no clock is read.
    poll.poll(events, Some(Duration::ZERO))?;
    if !events.is_empty() {
        return Ok(Duration::ZERO);
    }
    let began = Instant::now();
    loop {
        // Other threads with work for this core run first.
        thread::yield_now();
        poll.poll(events, Some(Duration::ZERO))?;
        let spun = began.elapsed();
        if !events.is_empty() || spun >= spin_max {
            return Ok(spun);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mio::{Token, Waker};

    use super::*;

    struct Bench {
        poll: Poll,
        events: Events,
        waker: Arc<Waker>,
    }

    impl Bench {
        fn new() -> Self {
            let poll = Poll::new().unwrap();
            let waker = Arc::new(Waker::new(poll.registry(), Token(7)).unwrap());
            let events = Events::with_capacity(4);
            Self {
                poll,
                events,
                waker,
            }
        }

        fn wait(&mut self, poller: &mut Poller, timeout: Option<Duration>) -> usize {
            poller
                .wait(&mut self.poll, &mut self.events, timeout)
                .unwrap();
            self.events.iter().count()
        }
    }

    fn spinning(spin_max: Duration) -> Poller {
        let mut poller = Poller::new(spin_max);
        while !poller.busy_poll.spins() {
            poller.busy_poll.handle_spin(Duration::ZERO, spin_max);
        }
        poller
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn prompt_events_make_it_spin() {
        let mut bench = Bench::new();
        let mut poller = Poller::new(HOUR);
        for _ in 0..10 {
            bench.waker.wake().unwrap();
            assert_eq!(bench.wait(&mut poller, None), 1);
        }
        assert!(poller.busy_poll.spins());
    }

    #[test]
    fn a_poller_without_spinning_sleeps_and_is_woken() {
        let mut bench = Bench::new();
        let mut poller = Poller::new(Duration::ZERO);
        for _ in 0..10 {
            bench.waker.wake().unwrap();
            assert_eq!(bench.wait(&mut poller, None), 1);
        }
        assert!(!poller.busy_poll.spins());
    }

    #[test]
    fn a_spin_finds_what_comes_meanwhile() {
        let mut bench = Bench::new();
        let mut poller = spinning(HOUR);
        let waker = Arc::clone(&bench.waker);
        let other = thread::spawn(move || waker.wake().unwrap());
        assert_eq!(bench.wait(&mut poller, None), 1);
        other.join().unwrap();
    }

    #[test]
    fn a_spin_in_vain_lasts_no_longer_than_the_wait_may_and_is_not_repeated() {
        let timeout = Duration::from_millis(1);
        for spin_max in [timeout, HOUR] {
            let mut bench = Bench::new();
            let mut poller = spinning(spin_max);
            assert_eq!(bench.wait(&mut poller, Some(timeout)), 0);
            assert!(!poller.busy_poll.spins());
        }
    }
}
