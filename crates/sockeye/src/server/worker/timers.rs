//! When a worker must look at whom.

use tokio::time::Instant;

use crate::server::worker::timer_wheel::TimerWheel;

/// When a worker must look at whom: a wheel, and which of its timers counts for each place.
///
/// A timer is never cancelled. One that has been overtaken by an earlier one of its place fires for
/// nobody; one whose session has gone stays for whoever comes to the place, so that there are no more
/// timers than places, however fast guests come and go.
pub(crate) struct Timers {
    timer_wheel: TimerWheel,
    /// When the wheel must be looked at, if anything is in it.
    due: Option<Instant>,
    /// By place: the tick of the timer that counts, or [`NONE`].
    armed: Vec<u64>,
    /// Tokens from the wheel, for their memory.
    fired: Vec<u64>,
}

/// No timer counts.
const NONE: u64 = u64::MAX;

impl Timers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            timer_wheel: TimerWheel::new(now.into_std()),
            due: None,
            armed: Vec::new(),
            fired: Vec::new(),
        }
    }

    /// When [`Timers::expired`] must be called, if anything is armed.
    #[inline]
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Fires for `place` at the deadline, if it doesn't before: whoever is there asks again then.
    pub(crate) fn arm_place(&mut self, place: u32, deadline: Instant) {
        let index = place as usize;
        if index >= self.armed.len() {
            self.armed.resize(index + 1, NONE);
        }
        let tick = self.timer_wheel.tick(deadline.into_std());
        if tick < self.armed[index] {
            self.armed[index] = tick;
            self.arm(place, deadline);
        }
    }

    /// Fires for `number` at the deadline, in any case. No place has such a number.
    pub(crate) fn arm(&mut self, number: u32, deadline: Instant) {
        self.timer_wheel
            .insert(deadline.into_std(), u64::from(number));
        self.due = Some(self.due.map_or(deadline, |due| due.min(deadline)));
    }

    /// Appends whose time has come to `places`.
    pub(crate) fn expired(&mut self, now: Instant, places: &mut Vec<u32>) {
        self.timer_wheel.expired(now.into_std(), &mut self.fired);
        let wait = self.timer_wheel.next_wait(now.into_std());
        self.due = wait.map(|wait| now + wait);
        let tick = self.timer_wheel.tick(now.into_std());
        for token in self.fired.drain(..) {
            let place = token as u32;
            match self.armed.get_mut(place as usize) {
                Some(armed) if *armed > tick => continue,
                Some(armed) => *armed = NONE,
                None => {}
            }
            places.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fired(timers: &mut Timers, now: Instant) -> Vec<u32> {
        let mut places = Vec::new();
        timers.expired(now, &mut places);
        places
    }

    #[test]
    fn the_earliest_timer_of_a_place_counts_and_the_others_are_silent() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new(now);
        timers.arm_place(3, now + 10 * second);
        timers.arm_place(3, now + 5 * second);
        timers.arm_place(3, now + 7 * second);
        assert!(fired(&mut timers, now + 4 * second).is_empty());
        assert_eq!(fired(&mut timers, now + 6 * second), [3]);
        timers.arm_place(3, now + 20 * second);
        assert!(fired(&mut timers, now + 11 * second).is_empty());
        assert_eq!(fired(&mut timers, now + 21 * second), [3]);
        assert!(fired(&mut timers, now + 100 * second).is_empty());
        assert_eq!(timers.due(), None);
    }

    #[test]
    fn twins_fire_once() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new(now);
        timers.arm_place(0, now + 10 * second);
        timers.arm_place(0, now + 5 * second);
        assert_eq!(fired(&mut timers, now + 6 * second), [0]);
        timers.arm_place(0, now + 10 * second);
        assert_eq!(fired(&mut timers, now + 11 * second), [0]);
    }

    #[test]
    fn a_hundred_thousand_guests_at_one_place_leave_one_timer() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        for guest in 0..100_000 {
            timers.arm_place(
                0,
                now + Duration::from_secs(25) + Duration::from_millis(guest),
            );
        }
        assert_eq!(timers.timer_wheel.len(), 1);
    }

    #[test]
    fn numbers_beyond_the_places_fire_as_often_as_they_are_armed() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        timers.arm(u32::MAX, now);
        timers.arm(u32::MAX, now);
        let later = now + Duration::from_secs(1);
        assert_eq!(fired(&mut timers, later), [u32::MAX, u32::MAX]);
    }
}
