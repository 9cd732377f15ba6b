//! All deadlines of a worker in one structure, so that none of them costs a timer of the system.

use std::time::{Duration, Instant};

/// A timer wheel of several levels, each turning 64 times slower than the one before it.
///
/// ```text
///   deadline in      .. 1 s      .. 65 s      .. 70 min       .. 34 years
///                  ┌────────┐  ┌────────┐   ┌────────┐
///   insert ──────> │ level 0│  │ level 1│   │ level 2│   ...   slots of 1, 64, 4096, ... ticks
///                  └───┬────┘  └───┬────┘   └───┬────┘
///   expired <──────────┴───────────┴────────────┘             a slot whose time comes fires what is due
///                                                             and hands the rest to the level below
/// ```
///
/// Nothing is cancelled: the owner of a token checks whether its deadline has moved, and inserts it again if so. So a
/// message on a connection costs no work here.
#[derive(Debug)]
pub(crate) struct TimerWheel {
    /// When tick 0 was.
    origin: Instant,
    /// All timers of earlier ticks have fired, and those of this tick that were armed in time.
    current: u64,
    /// A timer is in the level of the highest digit (of six bits) in which its tick and `current` differ, in the slot
    /// that this digit names. So the timers of a slot are all later than those of any earlier slot, and than those of
    /// the levels below.
    levels: [Level; LEVELS],
    timers: Vec<Timer>,
    /// The first of the timers that are unused.
    free: u32,
    /// Timers that are armed.
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// A bit for each slot that is not empty.
    occupied: u64,
    /// The first timer of each slot, or [`NONE`].
    slots: [u32; SLOTS],
}

#[derive(Debug)]
struct Timer {
    tick: u64,
    token: u32,
    /// The next timer of the same slot, or the next unused one.
    next: u32,
}

impl TimerWheel {
    pub(crate) fn new(now: Instant) -> Self {
        let empty = Level {
            occupied: 0,
            slots: [NONE; SLOTS],
        };
        Self {
            origin: now,
            current: 0,
            levels: [empty; LEVELS],
            timers: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    /// Arms a timer. One whose deadline has passed fires at the next check.
    ///
    /// # Panics
    ///
    /// Panics with 2^32 - 1 timers.
    pub(crate) fn insert(&mut self, deadline: Instant, token: u32) {
        let timer = Timer {
            tick: self.tick(deadline),
            token,
            next: NONE,
        };
        let index = match self.timers.get(self.free as usize) {
            Some(unused) => {
                let index = self.free;
                self.free = unused.next;
                self.timers[index as usize] = timer;
                index
            }
            None => {
                let index = u32::try_from(self.timers.len()).expect("fewer timers than NONE");
                assert_ne!(index, NONE, "fewer timers than NONE");
                self.timers.push(timer);
                index
            }
        };
        self.len += 1;
        self.link(index);
    }

    /// Returns the tick in which a timer of this deadline fires, rounded up so that it is never early.
    pub(crate) fn tick(&self, deadline: Instant) -> u64 {
        self.nanos_until(deadline)
            .div_ceil(TICK_NANOS)
            .min(TICK_MAX)
    }

    /// Returns how long nothing has to be done; `None` if no timer is armed. It may be that nothing is due then,
    /// because timers far away are moved to a lower level now and then.
    pub(crate) fn next_wait(&self, now: Instant) -> Option<Duration> {
        let (_, _, start) = self.first_slot()?;
        let wait = (start * TICK_NANOS).saturating_sub(self.nanos_until(now));
        Some(Duration::from_nanos(wait))
    }

    /// Appends the tokens of all timers that are due, in no particular order. None is early, and none is late by more
    /// than a tick.
    pub(crate) fn expired(&mut self, now: Instant, fired: &mut Vec<u32>) {
        let target = (self.nanos_until(now) / TICK_NANOS).min(TICK_MAX);
        while let Some((level, slot, start)) = self.first_slot() {
            if start > target {
                break;
            }
            // Goes straight to the slot: after a jump of the clock no empty tick is visited.
            self.current = start.max(self.current);
            let level = &mut self.levels[level];
            level.occupied &= !(1 << slot);
            let mut next = std::mem::replace(&mut level.slots[slot], NONE);
            while next != NONE {
                let index = next;
                let timer = &mut self.timers[index as usize];
                next = timer.next;
                if timer.tick <= target {
                    fired.push(timer.token);
                    timer.next = self.free;
                    self.free = index;
                    self.len -= 1;
                } else {
                    self.link(index);
                }
            }
        }
        // All other timers are in slots that begin later, so their levels are right for `target` too.
        self.current = target.max(self.current);
        if self.len == 0 && self.timers.capacity() > SPARE_TIMERS {
            self.timers = Vec::new();
            self.free = NONE;
        }
    }

    /// Returns the number of armed timers.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the time since the origin, at most 584 years.
    fn nanos_until(&self, instant: Instant) -> u64 {
        let time = instant.saturating_duration_since(self.origin);
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Puts a timer into its slot.
    fn link(&mut self, index: u32) {
        let timer = &mut self.timers[index as usize];
        let tick = timer.tick.max(self.current);
        let differing = (tick ^ self.current) | 1;
        let level = differing.ilog2() / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) as usize % SLOTS;
        let level = &mut self.levels[level as usize];
        timer.next = level.slots[slot];
        level.slots[slot] = index;
        level.occupied |= 1 << slot;
    }

    /// Returns the level and number of the first slot with a timer, and the slot's first tick.
    fn first_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        let slot = self.levels[level].occupied.trailing_zeros();
        let shift = level as u32 * SLOT_BITS;
        let above = self.current >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        Some((level, slot as usize, above | u64::from(slot) << shift))
    }
}

/// Nanoseconds: 16 ms. Timeouts are seconds, and even with a timer in every tick, 62 wake-ups a second can't be
/// measured.
const TICK_NANOS: u64 = 16_000_000;

/// As many as a word has bits, so that the next slot that is not empty is one instruction away.
const SLOTS: usize = 1 << SLOT_BITS;

/// Bits of a tick that choose the slot in one level.
const SLOT_BITS: u32 = 6;

/// 64^6 ticks are 34 years, longer than any program runs, so no deadline needs a case of its own.
const LEVELS: usize = 6;

/// The last tick that has a slot. Later deadlines never fire.
const TICK_MAX: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;

/// No timer.
const NONE: u32 = u32::MAX;

/// Timers whose memory an empty wheel may keep, so that a single timer doesn't allocate each time: 1.5 KiB.
const SPARE_TIMERS: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TICK: Duration = Duration::from_nanos(TICK_NANOS);

    /// The wheel beside a sorted map that knows every deadline to the nanosecond.
    struct Pair {
        timer_wheel: TimerWheel,
        model: BTreeMap<(Instant, u32), Instant>,
        now: Instant,
        tokens: u32,
    }

    impl Pair {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                timer_wheel: TimerWheel::new(now),
                model: BTreeMap::new(),
                now,
                tokens: 0,
            }
        }

        fn insert(&mut self, deadline: Instant) {
            self.tokens += 1;
            self.timer_wheel.insert(deadline, self.tokens);
            self.model.insert((deadline, self.tokens), self.now);
        }

        /// Lets time pass, and compares.
        fn pass(&mut self, time: Duration, seed: u64) {
            self.now += time;
            let mut fired = Vec::new();
            self.timer_wheel.expired(self.now, &mut fired);
            for token in fired {
                let found = self.model.keys().find(|(_, other)| *other == token);
                let key = *found.unwrap_or_else(|| panic!("seed {seed}: {token} fired twice"));
                assert!(key.0 <= self.now, "seed {seed}: {token} is early");
                self.model.remove(&key);
            }
            let overdue = self.model.range(..=(self.now - TICK, u32::MAX)).next();
            assert_eq!(overdue, None, "seed {seed}: late");
            assert_eq!(self.timer_wheel.len, self.model.len(), "seed {seed}");
            let wait = self.timer_wheel.next_wait(self.now);
            assert_eq!(wait.is_some(), !self.model.is_empty(), "seed {seed}");
            if let (Some(wait), Some(((first, _), _))) = (wait, self.model.first_key_value()) {
                assert!(self.now + wait <= *first + TICK, "seed {seed}: overslept");
            }
        }
    }

    /// Returns a number below `bound`; splitmix64.
    fn draw(state: &mut u64, bound: u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Returns a length of time from nothing to some hours, short ones as likely as long ones.
    fn draw_time(state: &mut u64) -> Duration {
        let magnitude = draw(state, 45);
        Duration::from_nanos(draw(state, 1 << magnitude))
    }

    #[test]
    fn wheel_fires_what_a_sorted_map_says_for_many_seeds() {
        for seed in 0..2000 {
            let mut state = seed;
            let mut pair = Pair::new();
            for _ in 0..100 {
                match draw(&mut state, 5) {
                    0 => {
                        let time = draw_time(&mut state);
                        pair.pass(time, seed);
                    }
                    // Sleeps as long as a worker does.
                    1 => {
                        let wait = pair.timer_wheel.next_wait(pair.now).unwrap_or_default();
                        pair.pass(wait, seed);
                    }
                    // A deadline that has passed.
                    2 if draw(&mut state, 4) == 0 => {
                        let past = draw_time(&mut state);
                        pair.insert(pair.now.checked_sub(past).unwrap_or(pair.now));
                    }
                    _ => {
                        let time = draw_time(&mut state);
                        pair.insert(pair.now + time);
                    }
                }
            }
        }
    }

    #[test]
    fn worker_that_sleeps_for_next_wait_wakes_seldom_and_misses_nothing() {
        let mut pair = Pair::new();
        pair.insert(pair.now + Duration::from_secs(3600));
        let mut wakeups = 0;
        while let Some(wait) = pair.timer_wheel.next_wait(pair.now) {
            pair.pass(wait, 0);
            wakeups += 1;
        }
        assert!(wakeups <= LEVELS, "{wakeups}");
    }

    #[test]
    fn years_pass_at_once() {
        let mut pair = Pair::new();
        for hours in 0..1000 {
            pair.insert(pair.now + Duration::from_secs(hours * 3600));
        }
        // A deadline beyond the last tick never fires.
        let never = pair.now + Duration::from_secs(100 * 365 * 86_400);
        pair.timer_wheel.insert(never, 0);
        let mut fired = Vec::new();
        let day = Duration::from_secs(86_400);
        pair.timer_wheel
            .expired(pair.now + 2 * 365 * day, &mut fired);
        assert_eq!(fired.len(), 1000);
        let wait = pair.timer_wheel.next_wait(pair.now + 2 * 365 * day);
        assert!(wait.is_some_and(|wait| wait > day));
    }

    #[test]
    fn empty_wheel_owns_no_more_than_a_few_timers() {
        let mut pair = Pair::new();
        assert_eq!(pair.timer_wheel.timers.capacity(), 0);
        for _ in 0..10_000 {
            pair.insert(pair.now + Duration::from_secs(1));
        }
        pair.pass(Duration::from_secs(2), 0);
        assert_eq!(pair.timer_wheel.timers.capacity(), 0);
        assert_eq!(pair.timer_wheel.next_wait(pair.now), None);
        assert!(size_of::<TimerWheel>() <= 2048);
        assert_eq!(size_of::<Timer>(), 16);
    }
}
