//! Who looks after a connection while nobody is in `recv`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::runtime::Handle;

use crate::{
    Error,
    driver::Driver,
    inbox::{Inbox, Item},
};

/// The receiving side of a loop-style connection, under one lock: `recv` works on it, and between
/// two calls of `recv` the attendant's task.
pub(crate) struct Core {
    state: Mutex<State>,
    attendant: Arc<Attendant>,
}

pub(crate) struct State {
    pub(crate) driver: Driver,
    pub(crate) inbox: Inbox,
    /// The parts of one message that `recv` has taken, until the last comes.
    pub(crate) joined: Vec<u8>,
    /// Whether the parts up to the next last one are unwanted.
    pub(crate) skips: bool,
}

/// The waker that the socket gets. It wakes the task that waits in `recv`; if there is none it
/// starts a task that reads, answers and flushes once, so that a pong leaves and a close is answered
/// whatever the program is doing. While somebody waits in `recv` no task exists.
struct Attendant {
    core: Weak<Core>,
    runtime: Handle,
    /// The task in `recv`.
    receiver: Mutex<Option<Waker>>,
    /// Whether a task has been started and has not begun its work.
    scheduled: AtomicBool,
}

impl Core {
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn new(driver: Driver, inbox: Inbox) -> Arc<Self> {
        let core = Arc::new_cyclic(|core| Self {
            state: Mutex::new(State {
                driver,
                inbox,
                joined: Vec::new(),
                skips: false,
            }),
            attendant: Arc::new(Attendant {
                core: Weak::clone(core),
                runtime: Handle::current(),
                receiver: Mutex::default(),
                scheduled: AtomicBool::new(false),
            }),
        });
        // The socket must know whom to wake, even if `recv` is never called.
        core.attendant.schedule();
        core
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            return Poll::Ready(found);
        }
        attending.begin(cx.waker());
        self.drive(&mut state);
        match wanted(&mut state) {
            Some(found) => {
                attending.end();
                Poll::Ready(found)
            }
            None => Poll::Pending,
        }
    }

    /// Sees to it that the connection ends in good order although nobody holds it any more.
    pub(crate) fn see_off(self: Arc<Self>) {
        let runtime = self.attendant.runtime.clone();
        runtime.spawn(std::future::poll_fn(move |cx| {
            let State { driver, inbox, .. } = &mut *self.state();
            driver.poll_drive(cx, inbox)
        }));
    }

    pub(crate) fn attend(&self) -> Attending<'_> {
        Attending {
            attendant: &self.attendant,
            attends: false,
        }
    }

    fn drive(&self, state: &mut State) {
        let waker = Waker::from(Arc::clone(&self.attendant));
        let _ = state
            .driver
            .poll_drive(&mut Context::from_waker(&waker), &mut state.inbox);
    }
}

impl State {
    /// Takes the next item that somebody wants.
    pub(crate) fn next_item(&mut self) -> Option<Item> {
        while let Some(item) = self.inbox.pop() {
            if self.inbox.is_empty() {
                self.driver.release();
            }
            match item {
                Item::Part { last, .. } if self.skips => self.skips = !last,
                item => return Some(item),
            }
        }
        None
    }

    /// With nothing left to take: whether more can come, and if not, what ended it.
    pub(crate) fn ended(&mut self) -> Option<Result<(), Error>> {
        if let Some(error) = self.inbox.error() {
            return Some(Err(error));
        }
        self.driver.has_ended().then_some(Ok(()))
    }
}

/// The time that a task spends in `recv`.
pub(crate) struct Attending<'a> {
    attendant: &'a Arc<Attendant>,
    attends: bool,
}

impl Attending<'_> {
    fn begin(&mut self, waker: &Waker) {
        let mut receiver = self.attendant.receiver();
        match &mut *receiver {
            Some(known) => known.clone_from(waker),
            None => *receiver = Some(waker.clone()),
        }
        self.attends = true;
    }

    /// Done waiting. If the socket's wake-up has come to this task meanwhile, it is handed on: the
    /// task is about to do something else.
    fn end(&mut self) {
        if self.attends && self.attendant.receiver().take().is_none() {
            self.attendant.schedule();
        }
        self.attends = false;
    }
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Attendant {
    fn receiver(&self) -> MutexGuard<'_, Option<Waker>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn schedule(self: &Arc<Self>) {
        if self.scheduled.swap(true, Ordering::AcqRel) {
            return;
        }
        let attendant = Arc::clone(self);
        self.runtime.spawn(async move {
            attendant.scheduled.store(false, Ordering::Release);
            if let Some(core) = attendant.core.upgrade() {
                core.drive(&mut core.state());
            }
        });
    }
}

impl Wake for Attendant {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let receiver = self.receiver().take();
        match receiver {
            Some(receiver) => receiver.wake(),
            None => self.schedule(),
        }
    }
}
