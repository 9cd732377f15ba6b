//! How many sessions are open, and how the others ended.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::closed::{EndCause, Ending};

/// How many sessions are open, and how the others ended, since the server began. Counted by tasks and
/// threads alike, without a lock.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    open: AtomicUsize,
    clean: AtomicUsize,
    unclean: AtomicUsize,
    silent: AtomicUsize,
    stalled: AtomicUsize,
    idle: AtomicUsize,
    expired: AtomicUsize,
    unfinished: AtomicUsize,
    shed: AtomicUsize,
}

/// How many sessions have ended since the server began, and how. Each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endings {
    /// With a Close frame in both directions.
    pub clean: usize,
    /// The peer gave no sign of life: see [`crate::Settings::heartbeat`].
    pub silent: usize,
    /// The peer took nothing of what waited for it: see [`crate::Settings::progress_timeout`].
    pub stalled: usize,
    /// The peer sent no message: see [`crate::Settings::idle_timeout`].
    pub idle: usize,
    /// They lasted as long as they may: see [`crate::Settings::lifetime`].
    pub expired: usize,
    /// A message of the peer's came too slowly: see [`crate::Limits::message_timeout`].
    pub unfinished: usize,
    /// They held most when memory was short: see [`crate::MemoryBudget`].
    pub shed: usize,
    /// Otherwise: the network failed, the peer hung up or didn't answer our Close frame in time.
    pub unclean: usize,
}

impl Endings {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.clean
            + self.silent
            + self.stalled
            + self.idle
            + self.expired
            + self.unfinished
            + self.shed
            + self.unclean
    }
}

impl Stats {
    /// A session opens.
    pub(crate) fn handle_open(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// A session that was counted as open has ended.
    pub(crate) fn handle_end(&self, ending: Ending) {
        let endings = match ending {
            Ending::Clean => &self.clean,
            Ending::Unclean => &self.unclean,
            Ending::EndCause(EndCause::Silent) => &self.silent,
            Ending::EndCause(EndCause::Stalled) => &self.stalled,
            Ending::EndCause(EndCause::Idle) => &self.idle,
            Ending::EndCause(EndCause::Expired) => &self.expired,
            Ending::EndCause(EndCause::Unfinished) => &self.unfinished,
            Ending::EndCause(EndCause::Shed) => &self.shed,
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
            silent: self.silent.load(Ordering::Relaxed),
            stalled: self.stalled.load(Ordering::Relaxed),
            idle: self.idle.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
            unfinished: self.unfinished.load(Ordering::Relaxed),
            shed: self.shed.load(Ordering::Relaxed),
            unclean: self.unclean.load(Ordering::Relaxed),
        }
    }
}
