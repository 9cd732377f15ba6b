//! Who looks after a connection while nobody is in `recv`.

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
        drive_queue,
        inbox::Inbox,
        message_queue::Item,
        wait::{Lulls, Wait},
    },
};

/// The receiving side of a loop-style connection, under one lock: `recv` works on it, and between
/// two calls of `recv` the attendant's task.
pub(crate) struct RecvState {
    state: Mutex<State>,
    background_driver: Arc<BackgroundDriver>,
}

pub(crate) struct State {
    pub(crate) driver: TaskDriver,
    pub(crate) inbox: Inbox,
    /// The parts of one message that `recv` has taken, until the last comes.
    pub(crate) joined: Vec<u8>,
    /// Whether the parts up to the next last one are unwanted.
    pub(crate) skips: bool,
    /// Whether the program knows that it ended, and how.
    told: bool,
    /// Whether what is sent may be gathering while the program answers a batch. Then a round is coming, or the
    /// program comes to `recv` before it.
    gathers: bool,
    lulls: Lulls,
}

/// The waker that the socket gets. It wakes the task that waits in `recv`; if there is none it
/// joins a round, whose task reads, answers and flushes once, so that a pong leaves and a close is answered
/// whatever the program is doing. While somebody waits in `recv` no task exists.
pub(crate) struct BackgroundDriver {
    core: Weak<RecvState>,
    runtime: Handle,
    receiver: Mutex<Receiver>,
    /// Whether it has joined a round, which has not come to it yet.
    scheduled: AtomicBool,
    /// Whether it was woken since somebody last began to drive. If not, driving again would find nothing.
    woken: AtomicBool,
}

/// The task in `recv`.
#[derive(Default)]
enum Receiver {
    #[default]
    None,
    /// It waits for what is received.
    Waiting(Waker, Presence),
    /// It was woken, and surely comes and drives.
    Coming,
}

/// Whether a task that was woken surely comes and drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It does, or says that it has gone: it is a future, which is polled or dropped.
    Sure,
    /// It may have turned to something else without a word, as from a read that timed out.
    Unsure,
}

impl RecvState {
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn new(driver: TaskDriver, inbox: Inbox) -> Arc<Self> {
        let core = Arc::new_cyclic(|core| Self {
            state: Mutex::new(State {
                driver,
                inbox,
                joined: Vec::new(),
                skips: false,
                told: false,
                gathers: false,
                lulls: Lulls::default(),
            }),
            background_driver: Arc::new(BackgroundDriver {
                core: Weak::clone(core),
                runtime: Handle::current(),
                receiver: Mutex::default(),
                scheduled: AtomicBool::new(false),
                woken: AtomicBool::new(true),
            }),
        });
        // The socket must know whom to wake, even if `recv` is never called.
        core.background_driver.schedule();
        core
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Works until `wanted` finds in the state what the caller waits for. The caller's task is the
    /// one that the socket wakes from now on, until the `attending` is dropped.
    pub(crate) fn poll_until<T>(
        &self,
        cx: &mut Context<'_>,
        attending: &mut Attending<'_>,
        mut wanted: impl FnMut(&mut State) -> Option<T>,
    ) -> Poll<T> {
        let mut state = self.state();
        if let Some(found) = wanted(&mut state) {
            attending.handle_found(&mut state);
            return Poll::Ready(self.hand_out(&state, found));
        }
        // Nothing is left to answer, nor to be taken.
        state.release();
        state.settle_held();
        attending.begin(cx.waker());
        // Asked behind that: whoever wakes from now on finds the caller.
        if self.background_driver.is_quiet() && !state.driver.is_busy() && !state.driver.has_ended()
        {
            attending.handle_nothing(&mut state, cx);
            return Poll::Pending;
        }
        self.drive(&mut state);
        // Whether or not it is all that the caller waits for.
        attending.handle_found(&mut state);
        match wanted(&mut state) {
            Some(found) => {
                attending.end();
                Poll::Ready(self.hand_out(&state, found))
            }
            None => {
                state.release();
                attending.handle_nothing(&mut state, cx);
                Poll::Pending
            }
        }
    }

    /// The next of several messages that wait, while what is answered to them gathers anyway: the usual way, without
    /// all that the first and the last of a batch need.
    #[inline]
    pub(crate) fn next_of_batch(&self) -> Option<Message<'static>> {
        let mut state = self.state();
        let is_amid = state.gathers && state.joined.is_empty() && !state.skips;
        if is_amid && self.background_driver.scheduled.load(Ordering::SeqCst) {
            state.inbox.pop_amid()
        } else {
            None
        }
    }

    /// The program turns to what was found, and may take its time: what it has sent goes out without it then.
    #[inline]
    fn hand_out<T>(&self, state: &State, found: T) -> T {
        if state.gathers && self.background_driver.schedule() {
            state.driver.gather();
        }
        found
    }

    /// Sees to it that the connection ends in good order although nobody holds it any more.
    pub(crate) fn see_off(self: Arc<Self>) {
        let runtime = self.background_driver.runtime.clone();
        runtime.spawn(async move {
            let mut attending = self.attend(Presence::Sure);
            std::future::poll_fn(|cx| {
                self.poll_until(cx, &mut attending, |state| {
                    state.driver.is_done().then_some(())
                })
            })
            .await;
        });
    }

    pub(crate) fn attend(&self, presence: Presence) -> Attending<'_> {
        Attending {
            background_driver: &self.background_driver,
            presence,
            attends: false,
            wait: Wait::None,
        }
    }

    fn drive(&self, state: &mut State) {
        self.background_driver.woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.background_driver));
        let _ = state
            .driver
            .poll_drive(&mut Context::from_waker(&waker), &mut state.inbox);
    }
}

impl State {
    /// Takes the next item that somebody wants.
    pub(crate) fn next_item(&mut self) -> Option<Item> {
        loop {
            let had_much_room = self.inbox.has_much_room();
            let item = self.inbox.pop()?;
            // The answer to the last of a batch goes out with the others.
            self.gathers = match self.inbox.is_empty() {
                true => self.driver.gathers(),
                false => true,
            };
            if !had_much_room && self.inbox.has_much_room() {
                // Reading may have stopped, and nobody may come to `recv` for a while.
                self.driver.wake();
            }
            match item {
                Item::Part { last, .. } if self.skips => self.skips = !last,
                item => return Some(item),
            }
        }
    }

    /// What the program has taken isn't held any more.
    #[inline]
    fn settle_held(&mut self) {
        self.driver.settle_held(&self.inbox);
    }

    /// What has gathered goes out, and what is sent from now on goes to the socket at once.
    fn release(&mut self) {
        if std::mem::take(&mut self.gathers) {
            self.driver.release();
        }
    }

    /// With nothing left to take: whether more can come, and if not, what ended it. An end that isn't normal is
    /// an error, once.
    pub(crate) fn ended(&mut self) -> Option<Result<(), Error>> {
        let closed = self.closed()?;
        if std::mem::replace(&mut self.told, true) {
            return Some(Ok(()));
        }
        Some(match self.inbox.error() {
            Some(error) => Err(error.with_closed(closed)),
            None if closed.is_normal() => Ok(()),
            None => Err(Error::ended(closed)),
        })
    }

    /// How it ended, if nothing comes any more.
    pub(crate) fn closed(&self) -> Option<Closed> {
        match self.driver.has_ended() {
            true => self.driver.session().closed_now(),
            false => None,
        }
    }
}

/// The time that a task spends in `recv`.
pub(crate) struct Attending<'a> {
    background_driver: &'a Arc<BackgroundDriver>,
    presence: Presence,
    attends: bool,
    wait: Wait,
}

impl Attending<'_> {
    /// Something has come.
    #[inline]
    fn handle_found(&mut self, state: &mut State) {
        if !matches!(self.wait, Wait::None) {
            let spin_max = state.driver.spin_max();
            self.wait.handle_found(&mut state.lulls, spin_max);
        }
    }

    /// What the task waits for hasn't come.
    #[inline]
    fn handle_nothing(&mut self, state: &mut State, cx: &mut Context<'_>) {
        if self.presence == Presence::Sure {
            let spin_max = state.driver.spin_max();
            self.wait.handle_nothing(&mut state.lulls, spin_max, cx);
        }
    }

    fn begin(&mut self, waker: &Waker) {
        let mut receiver = self.background_driver.receiver();
        match &mut *receiver {
            Receiver::Waiting(known, presence) => {
                known.clone_from(waker);
                *presence = self.presence;
            }
            _ => *receiver = Receiver::Waiting(waker.clone(), self.presence),
        }
        self.attends = true;
    }

    /// Leaves the task's waker behind, for a task that may come again. Only for one whose presence is unsure.
    pub(crate) fn stay(mut self) {
        debug_assert_eq!(self.presence, Presence::Unsure);
        self.attends = false;
    }

    /// Done waiting. If the socket's wake-up has come to this task meanwhile, and nobody has driven since, it
    /// is handed on: the task is about to do something else.
    #[inline]
    fn end(&mut self) {
        if std::mem::take(&mut self.attends) {
            self.leave();
        }
    }

    #[inline(never)]
    fn leave(&self) {
        let receiver = std::mem::take(&mut *self.background_driver.receiver());
        if !matches!(receiver, Receiver::Waiting(..)) && !self.background_driver.is_quiet() {
            self.background_driver.schedule();
        }
    }
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl BackgroundDriver {
    fn receiver(&self) -> MutexGuard<'_, Receiver> {
        self.receiver.lock()
    }

    /// Whether nobody has woken it since somebody began to drive.
    fn is_quiet(&self) -> bool {
        !self.woken.load(Ordering::SeqCst)
    }

    /// Sees to it that a round comes by. Whether that is news.
    #[inline]
    fn schedule(self: &Arc<Self>) -> bool {
        !self.scheduled.load(Ordering::SeqCst) && self.schedule_now()
    }

    #[inline(never)]
    fn schedule_now(self: &Arc<Self>) -> bool {
        let is_news = !self.scheduled.swap(true, Ordering::SeqCst);
        if is_news {
            drive_queue::join(Arc::clone(self), &self.runtime);
        }
        is_news
    }

    /// Does once what the program doesn't come to.
    pub(crate) fn drive_once(&self) {
        self.scheduled.store(false, Ordering::SeqCst);
        // What it sent went out when it began to wait; what it sends next gathers better if it drives itself.
        if matches!(*self.receiver(), Receiver::Coming) {
            return;
        }
        let Some(core) = self.core.upgrade() else {
            return;
        };
        let mut state = core.state();
        // Otherwise somebody who came to `recv` has driven meanwhile.
        let drives = !self.is_quiet();
        if drives {
            core.drive(&mut state);
            state.gathers |= !state.inbox.is_empty();
        }
        state.release();
        drop(state);
        if drives {
            // Whoever came to `recv` meanwhile may find there what this task has read.
            let receiver = std::mem::take(&mut *self.receiver());
            if let Receiver::Waiting(waker, _) = receiver {
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
        self.woken.store(true, Ordering::SeqCst);
        let mut receiver = self.receiver();
        match std::mem::take(&mut *receiver) {
            Receiver::Waiting(waker, Presence::Sure) => {
                *receiver = Receiver::Coming;
                drop(receiver);
                waker.wake();
            }
            Receiver::Coming => *receiver = Receiver::Coming,
            // The round wakes an unsure one when it has done its work.
            other => {
                *receiver = other;
                drop(receiver);
                self.schedule();
            }
        }
    }
}
