//! The state that all connections of a run share: its phase and errors.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Instant,
};

use sockeye::{Closed, Error};

use super::tally::lock;

/// The phase of a run. A connection reads it with each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Connections are opened.
    Open,
    /// Messages are sent but not counted.
    WarmUp,
    /// Received messages are counted.
    Measure,
    /// No new messages are sent; those in flight may still arrive.
    Drain,
    /// The load generator closes connections, so their end is no loss.
    Close,
}

/// The state that all connections of a run share.
pub(crate) struct Run {
    phase: AtomicU8,
    measured_from: OnceLock<Instant>,
    measured_until: OnceLock<Instant>,
    /// Messages that came back changed, twice or unexpectedly.
    pub(crate) wrong: AtomicU64,
    /// Messages that were lost.
    pub(crate) lost: AtomicU64,
    /// Connections that could not be opened.
    pub(crate) refused: AtomicU64,
    /// Connections that ended unexpectedly.
    pub(crate) dropped: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Open as u8),
            measured_from: OnceLock::new(),
            measured_until: OnceLock::new(),
            wrong: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            errors: Mutex::default(),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let now = Instant::now();
        // The first time counts, since a phase may be entered twice.
        let _ = match phase {
            Phase::Open | Phase::WarmUp => Ok(()),
            Phase::Measure => self.measured_from.set(now),
            Phase::Drain | Phase::Close => self.measured_until.set(now),
        };
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::WarmUp,
            2 => Phase::Measure,
            3 => Phase::Drain,
            _ => Phase::Close,
        }
    }

    /// Returns whether a message that is due at this time belongs to the measurement.
    pub(crate) fn is_measured_at(&self, time: Instant) -> bool {
        self.measured_from.get().is_some_and(|from| time >= *from)
            && self.measured_until.get().is_none_or(|until| time < *until)
    }

    /// Returns when the measurement began and ended.
    pub(crate) fn measured(&self) -> Option<(Instant, Instant)> {
        Some((*self.measured_from.get()?, *self.measured_until.get()?))
    }

    /// Returns whether new messages are sent.
    pub(crate) fn is_sending(&self) -> bool {
        matches!(self.phase(), Phase::WarmUp | Phase::Measure)
    }

    /// Counts an error by its text.
    pub(crate) fn count_error(&self, what: String) {
        let mut errors = lock(&self.errors);
        let what = if errors.len() < ERRORS_MAX || errors.contains_key(&what) {
            what
        } else {
            "others".to_owned()
        };
        *errors.entry(what).or_default() += 1;
    }

    /// Returns the errors, the most frequent first.
    pub(crate) fn errors(&self) -> Vec<(String, u64)> {
        let mut errors: Vec<_> = lock(&self.errors).clone().into_iter().collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        errors
    }
}

/// Most distinct error texts. A person doesn't read a longer list.
const ERRORS_MAX: usize = 16;

/// The end of one connection, which all endpoints handle alike.
#[derive(Default)]
pub(crate) struct Ending(Option<String>);

impl Ending {
    /// Records the error, which is reported before the end.
    pub(crate) fn handle_error(&mut self, error: &Error) {
        self.0 = Some(error.report().to_string());
    }

    /// Handles the end. Returns whether the connection was lost.
    pub(crate) fn handle_close(&mut self, run: &Run, closed: &Closed) -> bool {
        if run.phase() == Phase::Close {
            return false;
        }
        run.dropped.fetch_add(1, Ordering::Relaxed);
        let why = self.0.take().unwrap_or_else(|| closed.to_string());
        run.count_error(format!("ended: {why}"));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_text_and_bounded() {
        let run = Run::new();
        for number in 0..40 {
            run.count_error(format!("{number}"));
        }
        run.count_error("3".to_owned());
        let errors = run.errors();
        assert_eq!(errors.len(), ERRORS_MAX + 1);
        assert_eq!(errors[0], ("others".to_owned(), 24));
        assert_eq!(errors[1], ("3".to_owned(), 2));
    }
}
