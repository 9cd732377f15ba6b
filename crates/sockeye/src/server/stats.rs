//! Counts of open and ended sessions.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::closed::{EndCause, Ending};

/// Counts of the sessions that are open, and of those that have ended since the server started. Tasks and threads
/// count without a lock.
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

/// How many sessions have ended since the server started, and how. Each session counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endings {
    /// Sessions that ended with a Close frame in both directions.
    pub clean: usize,
    /// Sessions whose peer sent nothing and answered no ping: see [`crate::Settings::heartbeat`].
    pub silent: usize,
    /// Sessions whose peer read nothing of what waited for it: see [`crate::Settings::progress_timeout`].
    pub stalled: usize,
    /// Sessions whose peer sent no message: see [`crate::Settings::idle_timeout`].
    pub idle: usize,
    /// Sessions that reached the longest time they may last: see [`crate::Settings::lifetime`].
    pub expired: usize,
    /// Sessions whose peer sent a message too slowly: see [`crate::Limits::message_timeout`].
    pub unfinished: usize,
    /// Sessions that held the most memory when it was short: see [`crate::MemoryBudget`].
    pub shed: usize,
    /// Sessions that ended in any other way: the network failed, the peer hung up, or the peer didn't answer a Close
    /// frame in time.
    pub unclean: usize,
}

impl Endings {
    /// Returns the number of all sessions that have ended.
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
    /// Counts a session that opens.
    pub(crate) fn handle_open(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts the end of a session that was counted as open.
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
        // Last: a reader that sees one open session less also sees how it ended.
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns the number of open sessions.
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
