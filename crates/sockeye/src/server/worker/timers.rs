//! The timers of a worker's slots.

use tokio::time::Instant;

use crate::server::worker::timer_wheel::TimerWheel;

/// The timers of a worker's slots: a wheel, and for each slot which of its timers counts.
///
/// A timer is never cancelled. When an earlier one of its slot has replaced it, it fires without effect. When its
/// session has ended, it stays and serves the next session in the slot. So there are no more timers than slots,
/// however fast connections come and go.
pub(crate) struct Timers {
    timer_wheel: TimerWheel,
    /// When the wheel must be checked, if it holds a timer.
    due: Option<Instant>,
    /// The tick of the timer that counts, for each slot, or [`NONE`].
    armed: Vec<u64>,
    /// The tokens that the wheel returns; kept for its memory.
    fired: Vec<u32>,
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

    /// Returns when [`Timers::expired`] must be called, if a timer is armed.
    #[inline]
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Arms the slot's timer for `deadline`, unless it fires earlier: the session in the slot arms it again then.
    pub(crate) fn arm_slot(&mut self, slot: u32, deadline: Instant) {
        let index = slot as usize;
        if index >= self.armed.len() {
            self.armed.resize(index + 1, NONE);
        }
        let tick = self.timer_wheel.tick(deadline.into_std());
        if tick < self.armed[index] {
            self.armed[index] = tick;
            self.arm(slot, deadline);
        }
    }

    /// Arms a timer that always fires at `deadline`. `number` must not be a slot's.
    pub(crate) fn arm(&mut self, number: u32, deadline: Instant) {
        self.timer_wheel.insert(deadline.into_std(), number);
        self.due = Some(self.due.map_or(deadline, |due| due.min(deadline)));
    }

    /// Appends the slots and numbers whose time has come.
    pub(crate) fn expired(&mut self, now: Instant, due_slots: &mut Vec<u32>) {
        self.timer_wheel.expired(now.into_std(), &mut self.fired);
        let wait = self.timer_wheel.next_wait(now.into_std());
        self.due = wait.map(|wait| now + wait);
        let tick = self.timer_wheel.tick(now.into_std());
        for slot in self.fired.drain(..) {
            match self.armed.get_mut(slot as usize) {
                Some(armed) if *armed > tick => continue,
                Some(armed) => *armed = NONE,
                None => {}
            }
            due_slots.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fired(timers: &mut Timers, now: Instant) -> Vec<u32> {
        let mut due_slots = Vec::new();
        timers.expired(now, &mut due_slots);
        due_slots
    }

    #[test]
    fn the_earliest_timer_of_a_slot_counts_and_the_others_do_nothing() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new(now);
        timers.arm_slot(3, now + 10 * second);
        timers.arm_slot(3, now + 5 * second);
        timers.arm_slot(3, now + 7 * second);
        assert!(fired(&mut timers, now + 4 * second).is_empty());
        assert_eq!(fired(&mut timers, now + 6 * second), [3]);
        timers.arm_slot(3, now + 20 * second);
        assert!(fired(&mut timers, now + 11 * second).is_empty());
        assert_eq!(fired(&mut timers, now + 21 * second), [3]);
        assert!(fired(&mut timers, now + 100 * second).is_empty());
        assert_eq!(timers.due(), None);
    }

    #[test]
    fn two_timers_of_one_slot_fire_once() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new(now);
        timers.arm_slot(0, now + 10 * second);
        timers.arm_slot(0, now + 5 * second);
        assert_eq!(fired(&mut timers, now + 6 * second), [0]);
        timers.arm_slot(0, now + 10 * second);
        assert_eq!(fired(&mut timers, now + 11 * second), [0]);
    }

    #[test]
    fn a_hundred_thousand_sessions_in_one_slot_leave_one_timer() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        for slot_user in 0..100_000 {
            timers.arm_slot(
                0,
                now + Duration::from_secs(25) + Duration::from_millis(slot_user),
            );
        }
        assert_eq!(timers.timer_wheel.len(), 1);
    }

    #[test]
    fn numbers_beyond_the_slots_fire_as_often_as_they_are_armed() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        timers.arm(u32::MAX, now);
        timers.arm(u32::MAX, now);
        let later = now + Duration::from_secs(1);
        assert_eq!(fired(&mut timers, later), [u32::MAX, u32::MAX]);
    }
}
