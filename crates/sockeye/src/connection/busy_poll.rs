//! Whether a thread polls busily (spins) before it sleeps.

use std::time::Duration;

/// The price of a vain spin at first: so many prompt arrivals are needed before the next spin.
const PRICE_MIN: u16 = 4;

/// The highest price, and the most credit.
const PRICE_MAX: u16 = 8192;

/// A sleep that lasts up to so many spins counts as prompt: most of a short sleep is falling asleep and
/// waking up.
const PROMPT_SLEEP_SPINS: u32 = 3;

/// Decides whether a thread spins before it sleeps. Falling asleep and waking up takes longer than many
/// answers do, and spinning in vain takes the processor from other threads.
///
/// The decision is learned from past waits. Each prompt arrival adds credit, and a thread with credit enough
/// for the price spins. Each spin in vain costs the price and doubles it. So at most one in [`PRICE_MAX`]
/// waits is a vain spin in the end, however the peers time what they send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BusyPoll {
    /// 0 <= credit <= PRICE_MAX
    credit: u16,
    /// PRICE_MIN <= price <= PRICE_MAX
    price: u16,
}

impl Default for BusyPoll {
    fn default() -> Self {
        Self {
            credit: 0,
            price: PRICE_MIN,
        }
    }
}

impl BusyPoll {
    /// Returns whether the next wait begins with a spin.
    #[inline]
    pub(crate) fn spins(self) -> bool {
        self.credit >= self.price
    }

    /// Notes that something came after a spin of length `spun`, which was to last for `spin_max`. If it
    /// lasted longer, another thread has had the core, and a sleep would have been as fast.
    #[inline]
    pub(crate) fn handle_spin(&mut self, spun: Duration, spin_max: Duration) {
        if spun > spin_max {
            return self.handle_vain();
        }
        self.earn();
        self.price = (self.price / 2).max(PRICE_MIN);
    }

    /// Notes that a spin has found nothing.
    pub(crate) fn handle_vain(&mut self) {
        self.credit = self.credit.saturating_sub(self.price);
        self.price = (self.price * 2).min(PRICE_MAX);
    }

    /// Notes that something came after a sleep, where a spin would last for `spin_max`.
    pub(crate) fn handle_sleep(&mut self, slept: Duration, spin_max: Duration) {
        match slept <= spin_max.saturating_mul(PROMPT_SLEEP_SPINS) {
            true => self.earn(),
            false => self.credit = self.credit.saturating_sub(PRICE_MIN),
        }
    }

    #[inline]
    fn earn(&mut self) {
        self.credit = (self.credit + 1).min(PRICE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPIN_MAX: Duration = Duration::from_micros(30);

    /// The time that waking up takes.
    const WAKING: Duration = Duration::from_micros(40);

    #[derive(Default)]
    struct Thread {
        busy_poll: BusyPoll,
        found: usize,
        vain: usize,
        slept: usize,
    }

    impl Thread {
        /// Simulates an arrival after so many microseconds.
        fn wait(&mut self, micros: u64) {
            let wait = Duration::from_micros(micros);
            match self.busy_poll.spins() {
                true if wait <= SPIN_MAX => {
                    self.found += 1;
                    self.busy_poll.handle_spin(wait, SPIN_MAX);
                }
                true => {
                    self.vain += 1;
                    self.busy_poll.handle_vain();
                }
                false => {
                    self.slept += 1;
                    self.busy_poll.handle_sleep(wait + WAKING, SPIN_MAX);
                }
            }
        }
    }

    #[test]
    fn who_is_answered_promptly_spins() {
        let mut thread = Thread::default();
        for _ in 0..1000 {
            thread.wait(15);
        }
        assert_eq!((thread.slept, thread.vain), (4, 0));
    }

    #[test]
    fn who_waits_for_long_never_spins() {
        let mut thread = Thread::default();
        for _ in 0..1000 {
            thread.wait(500);
        }
        assert_eq!(thread.slept, 1000);
    }

    #[test]
    fn what_comes_just_too_late_is_seldom_spun_for() {
        let mut thread = Thread::default();
        for _ in 0..100_000 {
            // A sleep of this length counts as prompt.
            thread.wait(35);
        }
        assert!(thread.vain < 40, "{}", thread.vain);
    }

    #[test]
    fn what_comes_promptly_as_often_as_not_is_seldom_spun_for() {
        let mut thread = Thread::default();
        for turn in 0..100_000 {
            thread.wait(if turn % 2 == 0 { 10 } else { 2000 });
        }
        assert!(thread.vain < 40, "{}", thread.vain);
    }

    #[test]
    fn silence_ends_the_spinning_soon() {
        let mut thread = Thread::default();
        for _ in 0..100_000 {
            thread.wait(15);
        }
        for _ in 0..1000 {
            thread.wait(1_000_000);
        }
        assert!(thread.vain <= 12, "{}", thread.vain);
    }

    #[test]
    fn a_pause_between_two_bursts_does_not_end_it() {
        let mut thread = Thread::default();
        for _ in 0..1000 {
            for _ in 0..10 {
                thread.wait(20);
            }
            thread.wait(200);
        }
        assert!(thread.found > 9_500, "{}", thread.found);
    }

    #[test]
    fn who_is_kept_from_the_core_while_it_spins_seldom_spins() {
        let mut busy_poll = BusyPoll::default();
        let mut spins = 0;
        for _ in 0..100_000 {
            if busy_poll.spins() {
                spins += 1;
                busy_poll.handle_spin(Duration::from_millis(4), SPIN_MAX);
            } else {
                busy_poll.handle_sleep(Duration::from_micros(50), SPIN_MAX);
            }
        }
        assert!(spins < 40, "{spins}");
    }

    #[test]
    fn after_many_vain_spins_it_is_tried_again() {
        let mut thread = Thread::default();
        for _ in 0..100_000 {
            thread.wait(35);
        }
        thread.found = 0;
        for _ in 0..2 * usize::from(PRICE_MAX) {
            thread.wait(15);
        }
        assert!(thread.found >= usize::from(PRICE_MAX), "{}", thread.found);
    }
}
