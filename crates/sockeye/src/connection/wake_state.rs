//! Whether a worker waits, works, or was notified, in one byte without a lock.

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether a worker waits, works, or was notified.
///
/// ```text
///              begin_wait                     notify: the caller wakes the worker
///   AWAKE ───────────────────> WAITING ───────────────────────────> NOTIFIED
///     ^ <─────── end_wait ─────────┘                                   ^  │ take
///     ├──────────────────── notify ────────────────────────────────────┘  │
///     └───────────────────────────────────────────────────────────────────┘
/// ```
///
/// Another thread leaves its note first and calls `notify` then. The worker calls `take` first and collects the
/// notes then. In this order no note stays behind while the worker waits.
pub(crate) struct WakeState<A = AtomicU8>(A);

/// The worker waits for its sockets. A notification has to wake it.
const WAITING: u8 = 0;

/// The worker works, and looks for notifications before it waits.
const AWAKE: u8 = 1;

/// The worker was notified. It works, or has been woken.
const NOTIFIED: u8 = 2;

/// The operations that [`WakeState`] needs of an atomic byte. Tests put in one that tries all orders of threads.
pub(crate) trait AtomicByte {
    fn new(value: u8) -> Self;
    fn load_acquire(&self) -> u8;
    fn store_release(&self, value: u8);
    fn swap_acq_rel(&self, value: u8) -> u8;
    /// Returns whether the value was `from`, and is `to` now.
    fn change(&self, from: u8, to: u8) -> bool;
}

impl<A: AtomicByte> WakeState<A> {
    /// Notifies the worker. Returns whether the caller must wake it.
    #[inline]
    pub(crate) fn notify(&self) -> bool {
        self.0.swap_acq_rel(NOTIFIED) == WAITING
    }

    /// Returns whether the worker was notified since the last call.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        if self.0.load_acquire() != NOTIFIED {
            return false;
        }
        self.0.store_release(AWAKE);
        true
    }

    /// Begins a wait. Returns false if the worker must not wait, because it was notified.
    #[inline]
    pub(crate) fn begin_wait(&self) -> bool {
        self.0.change(AWAKE, WAITING)
    }

    /// Ends a wait, whether or not one had begun.
    #[inline]
    pub(crate) fn end_wait(&self) {
        self.0.change(WAITING, AWAKE);
    }
}

/// A worker that has not begun to work is woken like one that waits.
impl<A: AtomicByte> Default for WakeState<A> {
    fn default() -> Self {
        Self(A::new(WAITING))
    }
}

macro_rules! atomic_byte {
    ($atomic:ty) => {
        impl AtomicByte for $atomic {
            fn new(value: u8) -> Self {
                <$atomic>::new(value)
            }

            #[inline]
            fn load_acquire(&self) -> u8 {
                self.load(Ordering::Acquire)
            }

            #[inline]
            fn store_release(&self, value: u8) {
                self.store(value, Ordering::Release);
            }

            #[inline]
            fn swap_acq_rel(&self, value: u8) -> u8 {
                self.swap(value, Ordering::AcqRel)
            }

            #[inline]
            fn change(&self, from: u8, to: u8) -> bool {
                self.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok()
            }
        }
    };
}

atomic_byte!(AtomicU8);

#[cfg(test)]
mod tests {
    use loom::{
        sync::{Arc, Mutex, Notify, atomic::AtomicU8},
        thread,
    };

    use super::{AtomicByte, WakeState};
    use std::sync::atomic::Ordering;

    atomic_byte!(AtomicU8);

    /// What a worker and the others share: notes, and what ends the worker's wait.
    struct Shared {
        state: WakeState<AtomicU8>,
        notes: Mutex<Vec<u8>>,
        wake: Notify,
    }

    impl Shared {
        fn new() -> Self {
            Self {
                state: WakeState::default(),
                notes: Mutex::default(),
                wake: Notify::new(),
            }
        }

        fn post(&self, note: u8) {
            self.notes.lock().unwrap().push(note);
            if self.state.notify() {
                self.wake.notify();
            }
        }

        /// Runs one round of the worker.
        fn round(&self) -> Vec<u8> {
            if self.state.begin_wait() {
                self.wake.wait();
            }
            self.state.end_wait();
            match self.state.take() {
                true => std::mem::take(&mut *self.notes.lock().unwrap()),
                false => Vec::new(),
            }
        }
    }

    #[test]
    fn no_note_stays_behind_while_the_worker_waits() {
        // A lost notification would leave the worker waiting for ever, which loom reports as a deadlock.
        let mut model = loom::model::Builder::new();
        // Threads change places at most twice outside their waits; more orders take minutes and have found nothing.
        model.preemption_bound = Some(2);
        model.check(|| {
            let shared = Arc::new(Shared::new());
            let posters = [1, 2].map(|note| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.post(note))
            });
            let mut seen = Vec::new();
            while seen.len() < 2 {
                seen.extend(shared.round());
            }
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
            for poster in posters {
                poster.join().unwrap();
            }
        });
    }
}
