//! The notes by which other threads ask a worker to act.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use crate::connection::{fan_out::Slice, wake_state::WakeState};

/// The notes by which other threads ask a worker to act for the connections that it drives. The worker reads
/// them between two waits.
///
/// There are about as many notes as connections at most: a connection posts one only when it begins to close
/// and when a pause ends, each slice of a group has at most one delivery posted, and each order of the server's
/// is one.
pub(crate) struct Mailbox {
    /// `None` once the worker has ended.
    notes: Mutex<Option<Vec<Note>>>,
    /// Tells without a lock whether there are notes.
    state: WakeState,
    waker: mio::Waker,
    /// Slices of groups with publications that not all of their members have.
    undelivered: AtomicUsize,
    /// The publications so far, in all slices.
    stamps: AtomicU64,
}

pub(crate) enum Note {
    /// The connection at this place needs to be driven. If another has its place by then, driving that one
    /// does no harm.
    Look(u32),
    /// The slice has publications to deliver, once all other work of the round is done.
    Deliver(Arc<Slice>),
    /// The server has orders for the worker, in a queue that only the two know.
    Orders,
}

impl Mailbox {
    pub(crate) fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(Self {
            notes: Mutex::new(Some(Vec::new())),
            state: WakeState::default(),
            waker: mio::Waker::new(registry, token)?,
            undelivered: AtomicUsize::new(0),
            stamps: AtomicU64::new(0),
        })
    }

    /// Posts a note. A worker that has ended drops it.
    pub(crate) fn post(&self, note: Note) {
        match &mut *self.lock() {
            Some(notes) => notes.push(note),
            None => return,
        }
        if self.state.notify()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a worker can't be woken");
        }
    }

    /// Returns a waker that posts [`Note::Look`] for `place`.
    pub(crate) fn waker(mailbox: &Arc<Self>, place: u32) -> Waker {
        let mailbox = Arc::clone(mailbox);
        Waker::from(Arc::new(Look { mailbox, place }))
    }

    /// Takes all notes. `notes` must be empty, and its memory is used for the next ones.
    pub(crate) fn take(&self, notes: &mut Vec<Note>) {
        // Before the notes are taken: a note that comes in between is found in the next round.
        if !self.state.take() {
            return;
        }
        if let Some(posted) = &mut *self.lock() {
            std::mem::swap(posted, notes);
        }
    }

    /// Begins to wait. Returns false if the worker must not wait, because there are notes.
    #[inline]
    pub(crate) fn begin_wait(&self) -> bool {
        self.state.begin_wait()
    }

    /// Ends a wait, whether or not one had begun.
    pub(crate) fn end_wait(&self) {
        self.state.end_wait();
    }

    /// Returns how many slices of groups have publications that not all of their members have.
    #[inline]
    pub(crate) fn undelivered(&self) -> usize {
        self.undelivered.load(Ordering::Acquire)
    }

    /// Counts one more such slice.
    pub(crate) fn begin_delivery(&self) {
        self.undelivered.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts one less.
    pub(crate) fn end_delivery(&self) {
        self.undelivered.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns the stamp that the next publication of this worker's groups gets. Earlier ones have lower stamps.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamps.load(Ordering::Relaxed)
    }

    /// Returns the number of the next publication among all of this worker's slices.
    pub(crate) fn next_stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends the mailbox: the worker reads no more notes.
    pub(crate) fn close(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Note>>> {
        // Nothing panics while it holds the lock.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waker that has a worker drive the connection at a place.
struct Look {
    mailbox: Arc<Mailbox>,
    place: u32,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        self.mailbox.post(Note::Look(self.place));
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
