//! The receiving side of a loop-style connection, and what drives it while no task is in `recv`.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use parking_lot::{Mutex, MutexGuard};
use sockeye_proto::Message;
use tokio::runtime::Handle;

use crate::{
    closed::Closed,
    endpoint::TaskDriver,
    error::Error,
    websocket::{
        drive_queue::{self, DriveOnce},
        inbox::Inbox,
        message_queue::Item,
        wait::{Wait, WaitStats},
    },
};

/// The receiving side of a loop-style connection, under one lock. A task in `recv` works on it, and between two calls
/// of `recv` the [`BackgroundDriver`].
pub(crate) struct RecvShared {
    state: Mutex<RecvState>,
    background_driver: Arc<BackgroundDriver>,
}

pub(crate) struct RecvState {
    pub(crate) driver: TaskDriver,
    pub(crate) inbox: Inbox,
    /// The parts of one message that `recv` has taken before the last part came.
    pub(crate) joined: Vec<u8>,
    /// Whether the next parts, up to the last one of their message, are to be dropped: their reader was.
    pub(crate) skips: bool,
    /// Whether the program has been told that the connection ended, and how.
    end_reported: bool,
    /// Whether what is sent may be gathering while the program answers a batch. The connection is then in the drive
    /// queue, or the program calls `recv` before its turn there: either one flushes.
    gathers: bool,
    wait_stats: WaitStats,
}

/// The waker that the socket gets. It decides which task drives the connection next.
///
/// A wake-up goes to the task that waits in `recv`. Without one the connection joins the drive queue, whose task reads,
/// answers and flushes once. So a pong leaves and a close is answered whatever the program is doing, and no
/// task exists for a connection while its program waits in `recv`.
///
/// Three facts decide, and each changes without the others. A wake-up changes `waiting` under its mutex. `is_queued` and
/// `unhandled_wake` are atomics because `recv` reads them for each message, where it takes no second lock.
///
/// A task of kind `Poll` stays registered between its calls (`keep_registered`).
///
/// ```text
///   waiting          register                  wake, if `Future`
///          ┌──────────────────────────> Task ─────────────────────> Woken
///          │                             │ ^                        │  │
///        None <── unregister ────────────┤ └─────── register ───────┘  │
///          ^  <── drive_once (wakes it) ─┘                             │
///          └────────── unregister (schedules if unhandled_wake) ───────┘
///
///   is_queued        false ── schedule ──> true ── drive_once ──> false
///                    A wake-up in None or Task(Poll) schedules, and recv when it returns a message while the answers
///                    to a batch gather.
///
///   unhandled_wake   false ── wake ──> true ── drive ──> false
///                    While it is false, drive_once doesn't drive, and recv only drives if the driver is busy or has
///                    ended.
/// ```
pub(crate) struct BackgroundDriver {
    shared: Weak<RecvShared>,
    runtime: Handle,
    waiting: Mutex<Waiting>,
    /// Whether the connection is in the drive queue and its turn has not come.
    is_queued: AtomicBool,
    /// Whether the socket has woken it since driving began last. If not, driving again would find nothing.
    unhandled_wake: AtomicBool,
}

/// Whether a task waits in `recv`.
#[derive(Default)]
enum Waiting {
    #[default]
    None,
    /// It waits for what is received.
    Task(Waker, WaitKind),
    /// A wake-up went to it. It will drive.
    Woken,
}

/// How a task waits, which decides whether it drives for certain after a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitKind {
    /// In a future of ours. The task polls it again or drops it, so it drives or unregisters.
    Future,
    /// In a `poll_` method. The task may never call it again, as after a read that timed out.
    Poll,
}

impl RecvShared {
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn new(driver: TaskDriver, inbox: Inbox) -> Arc<Self> {
        let shared = Arc::new_cyclic(|shared| Self {
            state: Mutex::new(RecvState {
                driver,
                inbox,
                joined: Vec::new(),
                skips: false,
                end_reported: false,
                gathers: false,
                wait_stats: WaitStats::default(),
            }),
            background_driver: Arc::new(BackgroundDriver {
                shared: Weak::clone(shared),
                runtime: Handle::current(),
                waiting: Mutex::default(),
                is_queued: AtomicBool::new(false),
                unhandled_wake: AtomicBool::new(true),
            }),
        });
        // The first drive registers the waker with the socket, even if `recv` is never called.
        shared.background_driver.schedule();
        shared
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, RecvState> {
        self.state.lock()
    }

    /// Drives until `wanted` finds in the state what the caller waits for. From the first `Pending` until `call` is
    /// dropped, or has found something, the socket wakes the caller's task.
    pub(crate) fn poll_until<T>(
        &self,
        cx: &mut Context<'_>,
        call: &mut RecvCall<'_>,
        mut wanted: impl FnMut(&mut RecvState) -> Option<T>,
    ) -> Poll<T> {
        let mut state = self.state();
        if let Some(found) = wanted(&mut state) {
            call.handle_found(&mut state);
            return Poll::Ready(self.hand_out(&state, found));
        }
        // Nothing is left to answer or to take.
        state.release();
        state.settle_held();
        call.register(cx.waker());
        // Read after `register`: a wake-up that comes after this line reaches the caller.
        if self.background_driver.is_quiet() && !state.driver.is_busy() && !state.driver.has_ended()
        {
            call.handle_nothing(&mut state, cx);
            return Poll::Pending;
        }
        self.drive(&mut state);
        // Something came, even if it isn't all that the caller waits for.
        call.handle_found(&mut state);
        match wanted(&mut state) {
            Some(found) => {
                call.unregister();
                Poll::Ready(self.hand_out(&state, found))
            }
            None => {
                state.release();
                call.handle_nothing(&mut state, cx);
                Poll::Pending
            }
        }
    }

    /// Takes the next message of a batch while the answers to the batch gather: the fast path, without what the first
    /// and the last message of a batch need.
    #[inline]
    pub(crate) fn next_of_batch(&self) -> Option<Message<'static>> {
        let mut state = self.state();
        let is_within_batch = state.gathers && state.joined.is_empty() && !state.skips;
        if is_within_batch && self.background_driver.is_queued.load(Ordering::SeqCst) {
            state.inbox.pop_within_batch()
        } else {
            None
        }
    }

    /// Returns `found` to the program, which may take its time. The drive queue then flushes what the program has sent.
    #[inline]
    fn hand_out<T>(&self, state: &RecvState, found: T) -> T {
        if state.gathers && self.background_driver.schedule() {
            state.driver.gather();
        }
        found
    }

    /// Drives the connection to its end in a task of its own: the program has dropped its handle.
    pub(crate) fn finish_in_background(self: Arc<Self>) {
        let runtime = self.background_driver.runtime.clone();
        runtime.spawn(async move {
            let mut call = self.begin_call(WaitKind::Future);
            std::future::poll_fn(|cx| {
                self.poll_until(cx, &mut call, |state| state.driver.is_done().then_some(()))
            })
            .await;
        });
    }

    pub(crate) fn begin_call(&self, kind: WaitKind) -> RecvCall<'_> {
        RecvCall {
            background_driver: &self.background_driver,
            kind,
            is_registered: false,
            wait: Wait::None,
        }
    }

    fn drive(&self, state: &mut RecvState) {
        self.background_driver
            .unhandled_wake
            .store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.background_driver));
        let _ = state
            .driver
            .poll_drive(&mut Context::from_waker(&waker), &mut state.inbox);
    }
}

impl RecvState {
    /// Takes the next item, except parts that are to be skipped.
    pub(crate) fn next_item(&mut self) -> Option<Item> {
        loop {
            let had_much_room = self.inbox.has_much_room();
            let item = self.inbox.pop()?;
            // The answer to the last message of a batch leaves with the other answers.
            self.gathers = match self.inbox.is_empty() {
                true => self.driver.gathers(),
                false => true,
            };
            if !had_much_room && self.inbox.has_much_room() {
                // Reading may have paused, and the program may not call `recv` for a while.
                self.driver.wake();
            }
            match item {
                Item::Part { last, .. } if self.skips => self.skips = !last,
                item => return Some(item),
            }
        }
    }

    /// Takes what the program has taken out of the memory account.
    #[inline]
    fn settle_held(&mut self) {
        self.driver.settle_held(&self.inbox);
    }

    /// Flushes what has gathered. What is sent from now on goes to the socket at once.
    fn release(&mut self) {
        if std::mem::take(&mut self.gathers) {
            self.driver.release();
        }
    }

    /// Returns, for an empty inbox, what ended the connection; `None` while more can come. An end that isn't normal is
    /// an error the first time.
    pub(crate) fn ended(&mut self) -> Option<Result<(), Error>> {
        let closed = self.closed()?;
        if std::mem::replace(&mut self.end_reported, true) {
            return Some(Ok(()));
        }
        Some(match self.inbox.error() {
            Some(error) => Err(error.with_closed(closed)),
            None if closed.is_normal() => Ok(()),
            None => Err(Error::ended(closed)),
        })
    }

    /// Returns how the connection ended, once nothing more comes.
    pub(crate) fn closed(&self) -> Option<Closed> {
        match self.driver.has_ended() {
            true => self.driver.session().closed_now(),
            false => None,
        }
    }
}

/// One call of `recv`, or one handle whose `poll_` methods receive. While it is registered the socket wakes its task.
pub(crate) struct RecvCall<'a> {
    background_driver: &'a Arc<BackgroundDriver>,
    kind: WaitKind,
    is_registered: bool,
    wait: Wait,
}

impl RecvCall<'_> {
    /// Ends the wait that is measured: something has come.
    #[inline]
    fn handle_found(&mut self, state: &mut RecvState) {
        if !matches!(self.wait, Wait::None) {
            let spin_max = state.driver.spin_max();
            self.wait.handle_found(&mut state.wait_stats, spin_max);
        }
    }

    /// Begins or continues the wait: what the task waits for hasn't come.
    #[inline]
    fn handle_nothing(&mut self, state: &mut RecvState, cx: &mut Context<'_>) {
        if self.kind == WaitKind::Future {
            let spin_max = state.driver.spin_max();
            self.wait
                .handle_nothing(&mut state.wait_stats, spin_max, cx);
        }
    }

    fn register(&mut self, waker: &Waker) {
        let mut waiting = self.background_driver.waiting();
        match &mut *waiting {
            Waiting::Task(known, kind) => {
                known.clone_from(waker);
                *kind = self.kind;
            }
            _ => *waiting = Waiting::Task(waker.clone(), self.kind),
        }
        self.is_registered = true;
    }

    /// Ends the call without ending the registration: the task may poll again. Only for a call of kind `Poll`.
    pub(crate) fn keep_registered(mut self) {
        debug_assert_eq!(self.kind, WaitKind::Poll);
        self.is_registered = false;
    }

    /// Ends the registration: the task is about to do something else. If a wake-up went to this task and it hasn't
    /// driven since, the drive queue does.
    #[inline]
    fn unregister(&mut self) {
        if std::mem::take(&mut self.is_registered) {
            self.unregister_now();
        }
    }

    #[inline(never)]
    fn unregister_now(&self) {
        let waiting = std::mem::take(&mut *self.background_driver.waiting());
        if !matches!(waiting, Waiting::Task(..)) && !self.background_driver.is_quiet() {
            self.background_driver.schedule();
        }
    }
}

impl Drop for RecvCall<'_> {
    fn drop(&mut self) {
        self.unregister();
    }
}

impl BackgroundDriver {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    /// Whether the socket hasn't woken it since driving began last.
    fn is_quiet(&self) -> bool {
        !self.unhandled_wake.load(Ordering::SeqCst)
    }

    /// Puts the connection into the drive queue. Returns whether it wasn't there already.
    #[inline]
    fn schedule(self: &Arc<Self>) -> bool {
        !self.is_queued.load(Ordering::SeqCst) && self.schedule_now()
    }

    #[inline(never)]
    fn schedule_now(self: &Arc<Self>) -> bool {
        let is_new = !self.is_queued.swap(true, Ordering::SeqCst);
        if is_new {
            let driver: Arc<dyn DriveOnce> = Arc::clone(self) as _;
            drive_queue::push(driver, &self.runtime);
        }
        is_new
    }
}

impl DriveOnce for BackgroundDriver {
    fn drive_once(&self) {
        self.is_queued.store(false, Ordering::SeqCst);
        // The woken task drives. It flushed when it began to wait, and what it sends next gathers better if it drives.
        if matches!(*self.waiting(), Waiting::Woken) {
            return;
        }
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut state = shared.state();
        // A task that has called `recv` meanwhile may have driven.
        let drives = !self.is_quiet();
        if drives {
            shared.drive(&mut state);
            state.gathers |= !state.inbox.is_empty();
        }
        state.release();
        drop(state);
        if drives {
            // A task that waits in `recv` by now may find in the inbox what this drive has read.
            let waiting = std::mem::take(&mut *self.waiting());
            if let Waiting::Task(waker, _) = waiting {
                waker.wake();
            }
        }
    }
}

impl Wake for BackgroundDriver {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unhandled_wake.store(true, Ordering::SeqCst);
        let mut waiting = self.waiting();
        match std::mem::take(&mut *waiting) {
            Waiting::Task(waker, WaitKind::Future) => {
                *waiting = Waiting::Woken;
                drop(waiting);
                waker.wake();
            }
            Waiting::Woken => *waiting = Waiting::Woken,
            // `drive_once` wakes a task of kind `Poll` after it has driven.
            other => {
                *waiting = other;
                drop(waiting);
                self.schedule();
            }
        }
    }
}
