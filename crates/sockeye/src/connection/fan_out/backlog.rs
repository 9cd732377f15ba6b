//! A worker's sender that is ahead of what it sends.

use std::{cell::Cell, cell::RefCell, sync::Arc};

use crate::connection::fan_out::slice::Slice;

/// What a connection of a worker waits for that has sent more to a group than its members could be given. It is not
/// read from meanwhile, so that its peer waits, and nobody else.
pub(crate) enum SenderBacklog {
    /// Until this slice's members have got some of it.
    Slice(Arc<Slice>),
    /// Until others have had their turn: members that tasks drive have got all at once.
    OtherConnections,
}

thread_local! {
    /// Whether this thread is a worker, which carries others beside the one whose turn it is.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
    /// Whether whoever is at work has a backlog.
    static IS_BEHIND: Cell<bool> = const { Cell::new(false) };
    static BACKLOG: RefCell<Option<SenderBacklog>> = const { RefCell::new(None) };
    /// Sends to members that tasks drive, since others had their turn.
    static GIVEN: Cell<usize> = const { Cell::new(0) };
}

/// Sends to members that tasks drive, in one turn: one or two milliseconds.
const GIVEN_MAX: usize = 1024;

/// This thread is a worker from now on.
pub(crate) fn begin_work() {
    IS_WORKER.set(true);
}

/// Whether the connection whose turn it is has sent enough.
#[inline]
pub(crate) fn is_behind() -> bool {
    IS_BEHIND.get()
}

/// What that connection waits for. The next one begins with nothing.
pub(crate) fn take() -> Option<SenderBacklog> {
    GIVEN.set(0);
    if !IS_BEHIND.replace(false) {
        return None;
    }
    BACKLOG.take()
}

/// A slice has more than it should have. Whether its sender is held back by it; otherwise it has to do the
/// slice's work.
pub(crate) fn note_full(slice: &Arc<Slice>) -> bool {
    if !IS_WORKER.get() {
        return false;
    }
    IS_BEHIND.set(true);
    BACKLOG.replace(Some(SenderBacklog::Slice(Arc::clone(slice))));
    true
}

/// So many members that tasks drive got something.
pub(crate) fn note_given(members: usize) {
    if !IS_WORKER.get() {
        return;
    }
    let given = GIVEN.get().saturating_add(members);
    GIVEN.set(given);
    if given >= GIVEN_MAX {
        IS_BEHIND.set(true);
        BACKLOG.with_borrow_mut(|backlog| {
            backlog.get_or_insert(SenderBacklog::OtherConnections);
        });
    }
}
