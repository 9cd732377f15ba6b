//! The back pressure on an endpoint that sends to groups faster than a worker delivers.

use std::{cell::Cell, cell::RefCell, sync::Arc};

use crate::connection::fan_out::slice::Slice;

/// The reason why a worker's connection pauses after it has sent a group more than its members could be
/// given. It is not read from meanwhile, so that only its own peer waits.
pub(crate) enum SenderBacklog {
    /// Until this slice's members have got some of it.
    Slice(Arc<Slice>),
    /// Until the worker has driven its other connections: members that tasks drive got all at once.
    OtherConnections,
}

thread_local! {
    /// Whether this thread is a worker, which has other connections to drive.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
    /// Whether the connection being driven has a backlog.
    static IS_BEHIND: Cell<bool> = const { Cell::new(false) };
    static BACKLOG: RefCell<Option<SenderBacklog>> = const { RefCell::new(None) };
    /// Sends to members that tasks drive, since the last [`take`].
    static GIVEN: Cell<usize> = const { Cell::new(0) };
}

/// Sends to members that tasks drive, for one connection at a time: one or two milliseconds.
const GIVEN_MAX: usize = 1024;

/// Marks this thread as a worker.
pub(crate) fn begin_work() {
    IS_WORKER.set(true);
}

/// Returns whether the connection being driven has sent enough.
#[inline]
pub(crate) fn is_behind() -> bool {
    IS_BEHIND.get()
}

/// Returns what that connection waits for. The next one begins with nothing.
pub(crate) fn take() -> Option<SenderBacklog> {
    GIVEN.set(0);
    if !IS_BEHIND.replace(false) {
        return None;
    }
    BACKLOG.take()
}

/// Notes that a slice is full. Returns whether its sender will pause; if not, the sender has to do the
/// slice's work.
pub(crate) fn note_full(slice: &Arc<Slice>) -> bool {
    if !IS_WORKER.get() {
        return false;
    }
    IS_BEHIND.set(true);
    BACKLOG.replace(Some(SenderBacklog::Slice(Arc::clone(slice))));
    true
}

/// Counts sends to members that tasks drive.
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
