//! What others ask of a worker for the connections that it drives.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use crate::connection::fan_out::Slice;

/// What others ask of a worker for the connections that it drives: notes that it reads between two waits.
///
/// As many notes as there are connections, and a few: each connection asks for a look only when it
/// begins to close and when a pause ends. And each slice of a group has one delivery under way at most.
pub(crate) struct Mailbox {
    /// `None` once the worker has gone.
    notes: Mutex<Option<Vec<Note>>>,
    /// One of [`WAITING`], [`AWAKE`] and [`NOTED`], so that a round without notes needs no lock.
    state: AtomicU8,
    waker: mio::Waker,
    /// Slices of groups with publications that not all of their members have got.
    undelivered: AtomicUsize,
    /// How many publications there were in all of them.
    stamps: AtomicU64,
}

pub(crate) enum Note {
    /// There is something to do at this place. If somebody else is there by now, it doesn't hurt.
    Look(u32),
    /// There is something to deliver to the members of a group, once all else is done.
    Deliver(Arc<Slice>),
}

/// The worker waits for its sockets, and must be woken for a note.
const WAITING: u8 = 0;

/// The worker works, and will look for notes before it waits.
const AWAKE: u8 = 1;

/// There are notes; the worker works, or has been woken.
const NOTED: u8 = 2;

impl Mailbox {
    pub(crate) fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(Self {
            notes: Mutex::new(Some(Vec::new())),
            state: AtomicU8::new(WAITING),
            waker: mio::Waker::new(registry, token)?,
            undelivered: AtomicUsize::new(0),
            stamps: AtomicU64::new(0),
        })
    }

    /// If the worker has gone the note is dropped.
    pub(crate) fn post(&self, note: Note) {
        match &mut *self.lock() {
            Some(notes) => notes.push(note),
            None => return,
        }
        self.notify();
    }

    /// Has the worker look for notes, and for whatever else it looks for with them.
    pub(crate) fn notify(&self) {
        if self.state.swap(NOTED, Ordering::AcqRel) == WAITING
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a worker can't be woken");
        }
    }

    /// What asks the worker to look at `place`.
    pub(crate) fn waker(mailbox: &Arc<Self>, place: u32) -> Waker {
        let mailbox = Arc::clone(mailbox);
        Waker::from(Arc::new(Look { mailbox, place }))
    }

    /// Takes all notes. `notes` must be empty; its memory is used for the next ones. Returns whether the worker
    /// was notified since it was asked last.
    pub(crate) fn take(&self, notes: &mut Vec<Note>) -> bool {
        if self.state.load(Ordering::Acquire) != NOTED {
            return false;
        }
        // Before the notes are taken: a note that comes in between is found in the next round.
        self.state.store(AWAKE, Ordering::Release);
        if let Some(posted) = &mut *self.lock() {
            std::mem::swap(posted, notes);
        }
        true
    }

    /// The worker is going to wait. `false`: it must not, for there are notes.
    #[inline]
    pub(crate) fn begin_wait(&self) -> bool {
        self.change(AWAKE, WAITING)
    }

    /// The worker has waited.
    pub(crate) fn end_wait(&self) {
        self.change(WAITING, AWAKE);
    }

    /// Whether the state was `from`, and is `to` now.
    fn change(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// How many slices of groups have publications that not all of their members have got.
    #[inline]
    pub(crate) fn undelivered(&self) -> usize {
        self.undelivered.load(Ordering::Acquire)
    }

    /// One more has.
    pub(crate) fn begin_delivery(&self) {
        self.undelivered.fetch_add(1, Ordering::AcqRel);
    }

    /// One less has.
    pub(crate) fn end_delivery(&self) {
        self.undelivered.fetch_sub(1, Ordering::AcqRel);
    }

    /// The number of a publication among all of this worker's.
    pub(crate) fn next_stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::Relaxed)
    }

    /// The worker goes: nobody reads notes any more.
    pub(crate) fn close(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Note>>> {
        // Nothing panics while it holds the lock.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a worker to look at a place.
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
