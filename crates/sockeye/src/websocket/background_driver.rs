//! The receiving side of a loop-style connection, and what drives it while no task is in `recv`.

use std::{
    sync::{Arc, Weak},
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
        drive_state::{DriveAction, DriveState, WaitKind},
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
    replies: Replies,
    wait_stats: WaitStats,
}

/// Whether what the program sends while it answers a batch goes to the socket at once.
///
/// ```text
///              next_item, of a batch             hand_out
///   Direct ─────────────────────────> Gathering ──────────> FlushQueued
///     ^                                   │                      │
///     └───── release: flushes ────────────┴──────────────────────┘
///     (recv has found nothing more, or the drive queue has come to the connection)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Replies {
    /// It goes to the socket at once.
    #[default]
    Direct,
    /// It may gather.
    Gathering,
    /// It may gather, and the drive queue flushes if the program doesn't call `recv` before.
    FlushQueued,
}

/// The waker that the socket gets. [`DriveState`] decides which task drives the connection next.
///
/// A wake-up goes to the task that waits in `recv`. Without one the connection joins the drive queue, whose task reads,
/// answers and flushes once. So a pong leaves and a close is answered whatever the program is doing, and no
/// task exists for a connection while its program waits in `recv`.
///
/// ```text
///   socket ── wake ──> DriveState ──┬── WakeTask ──> a task in recv: poll_until ──┬──> drive
///                                   └── Queue ─────> drive_queue: drive_once ─────┘
/// ```
pub(crate) struct BackgroundDriver {
    shared: Weak<RecvShared>,
    runtime: Handle,
    /// Taken after the lock of [`RecvShared`], never before it: a wake-up may come while that one is held.
    drive_state: Mutex<DriveState>,
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
                replies: Replies::Direct,
                wait_stats: WaitStats::default(),
            }),
            background_driver: Arc::new(BackgroundDriver {
                shared: Weak::clone(shared),
                runtime: Handle::current(),
                drive_state: Mutex::default(),
            }),
        });
        // The first drive registers the waker with the socket, even if `recv` is never called.
        shared.background_driver.wake_by_ref();
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
            return Poll::Ready(self.hand_out(&mut state, found));
        }
        // Nothing is left to answer or to take.
        state.release();
        state.settle_held();
        let was_woken = call.register(cx.waker());
        if !was_woken && !state.driver.is_busy() && !state.driver.has_ended() {
            call.handle_nothing(&mut state, cx);
            return Poll::Pending;
        }
        self.drive(&mut state);
        // Something came, even if it isn't all that the caller waits for.
        call.handle_found(&mut state);
        match wanted(&mut state) {
            Some(found) => {
                call.unregister();
                Poll::Ready(self.hand_out(&mut state, found))
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
        match state.replies {
            Replies::FlushQueued if state.joined.is_empty() && !state.skips => {
                state.inbox.pop_within_batch()
            }
            _ => None,
        }
    }

    /// Returns `found` to the program, which may take its time. The drive queue then flushes what the program has sent.
    #[inline]
    fn hand_out<T>(&self, state: &mut RecvState, found: T) -> T {
        if state.replies == Replies::Gathering {
            self.queue_flush(state);
        }
        found
    }

    #[inline(never)]
    fn queue_flush(&self, state: &mut RecvState) {
        state.replies = Replies::FlushQueued;
        let action = self.background_driver.drive_state().queue();
        if let DriveAction::Queue = action {
            self.background_driver.act(action);
            state.driver.gather();
        }
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
            let gathers = !self.inbox.is_empty() || self.driver.gathers();
            self.replies = match self.replies {
                _ if !gathers => Replies::Direct,
                Replies::Direct => Replies::Gathering,
                replies => replies,
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
        if std::mem::take(&mut self.replies) != Replies::Direct {
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

    /// Registers the task, and returns whether a wake-up has come that no task has handled: the caller then drives.
    /// A wake-up that comes from now on reaches the task.
    fn register(&mut self, waker: &Waker) -> bool {
        self.is_registered = true;
        let mut drive_state = self.background_driver.drive_state();
        drive_state.register(waker, self.kind);
        drive_state.take_wake()
    }

    /// Ends the call without ending the registration: the task may poll again. Only for a call of kind `Poll`.
    pub(crate) fn keep_registered(mut self) {
        debug_assert_eq!(self.kind, WaitKind::Poll);
        self.is_registered = false;
    }

    /// Ends the registration: the task turns to something else.
    #[inline]
    fn unregister(&mut self) {
        if std::mem::take(&mut self.is_registered) {
            self.unregister_now();
        }
    }

    #[inline(never)]
    fn unregister_now(&self) {
        let action = self.background_driver.drive_state().unregister();
        self.background_driver.act(action);
    }
}

impl Drop for RecvCall<'_> {
    fn drop(&mut self) {
        self.unregister();
    }
}

impl BackgroundDriver {
    fn drive_state(&self) -> MutexGuard<'_, DriveState> {
        self.drive_state.lock()
    }

    /// Does what follows from an event, after the lock of the state was released.
    fn act(self: &Arc<Self>, action: DriveAction) {
        match action {
            DriveAction::None => {}
            DriveAction::WakeTask(waker) => waker.wake(),
            DriveAction::Queue => {
                let driver: Arc<dyn DriveOnce> = Arc::clone(self) as _;
                drive_queue::push(driver, &self.runtime);
            }
        }
    }
}

impl DriveOnce for BackgroundDriver {
    fn drive_once(self: Arc<Self>) {
        if !self.drive_state().handle_turn() {
            return;
        }
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut state = shared.state();
        // Taken under the lock: a task that has called `recv` meanwhile may have driven.
        let was_woken = self.drive_state().take_wake();
        if was_woken {
            shared.drive(&mut state);
            if !state.inbox.is_empty() && state.replies == Replies::Direct {
                state.replies = Replies::Gathering;
            }
        }
        state.release();
        drop(state);
        if was_woken {
            let action = self.drive_state().handle_driven();
            self.act(action);
        }
    }
}

impl Wake for BackgroundDriver {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let action = self.drive_state().handle_wake();
        self.act(action);
    }
}
