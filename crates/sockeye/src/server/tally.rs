//! How many sessions are open, and how the others ended.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Closed;

/// How many sessions are open, and how the others ended, since the server began. Counted by tasks and
/// threads alike, without a lock.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    open: AtomicUsize,
    clean: AtomicUsize,
    unclean: AtomicUsize,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a Close frame in both directions.
    Clean,
    /// Otherwise.
    Unclean,
}

/// How many sessions have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endings {
    pub(crate) clean: usize,
    pub(crate) unclean: usize,
}

impl Tally {
    /// A session opens.
    pub(crate) fn handle_open(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// A session that was counted as open has ended.
    pub(crate) fn handle_end(&self, ending: Ending) {
        let endings = match ending {
            Ending::Clean => &self.clean,
            Ending::Unclean => &self.unclean,
        };
        endings.fetch_add(1, Ordering::Relaxed);
        // Last: whoever sees that it is not open any more sees how it ended.
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// Sessions that are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn endings(&self) -> Endings {
        Endings {
            clean: self.clean.load(Ordering::Relaxed),
            unclean: self.unclean.load(Ordering::Relaxed),
        }
    }
}

impl Ending {
    pub(crate) fn of(closed: &Closed) -> Self {
        match closed.is_clean() {
            true => Self::Clean,
            false => Self::Unclean,
        }
    }
}
