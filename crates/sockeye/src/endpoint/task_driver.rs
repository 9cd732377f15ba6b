//! A connection that a tokio task drives.

use std::{
    future::Future as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::connection::{DriveOutcome, Driver, ShortRead, Sink, buffers};

/// A connection that a tokio task drives: the driver, and one timer for everything that it waits for.
pub(crate) struct TaskDriver {
    driver: Driver,
    /// When the driver's watchdog is due.
    vigil_due: Option<Instant>,
    /// The waker that the driver has; `None` before the first poll.
    waker: Option<Waker>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether `sleep` has the waker. It is then not polled for each message.
    is_set: bool,
}

impl TaskDriver {
    pub(crate) fn new(driver: Driver) -> Self {
        let vigil_due = driver.timeout_due(Instant::now());
        Self {
            driver,
            vigil_due,
            waker: None,
            // Made here, inside the runtime. A later poll may come from outside.
            sleep: vigil_due.map(|due| Box::pin(sleep_until(due))),
            is_set: false,
        }
    }

    /// Drives until nothing more can be done now. Ready when the stream is closed. A panic of the program ends this
    /// connection with 1011, and no other one that the task drives.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<()> {
        if !(self.waker.as_ref()).is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.driver.set_task(cx.waker());
            self.waker = Some(cx.waker().clone());
        }
        loop {
            let turn = buffers::with_read_buffers(|buffers| self.poll_turns(sink, buffers));
            self.driver.settle_held(sink);
            match turn {
                Poll::Ready(DriveOutcome::Done) => return Poll::Ready(()),
                Poll::Ready(DriveOutcome::Over) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
            if let Some(look) = self.driver.message_look() {
                self.vigil_due = Some(self.vigil_due.map_or(look, |due| due.min(look)));
            }
            let Some(timer) = self.timer() else {
                (self.sleep, self.is_set) = (None, false);
                return Poll::Pending;
            };
            if self.poll_sleep(cx, timer).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if self.vigil_due.is_some_and(|due| due <= now) {
                let driver = &mut self.driver;
                let kept = catch_unwind(AssertUnwindSafe(|| driver.handle_timeout(now, sink)));
                if kept.is_err() {
                    self.driver.handle_panic(sink);
                }
                self.vigil_due = self.driver.timeout_due(now);
            }
        }
    }

    fn poll_turns(
        &mut self,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
    ) -> Poll<DriveOutcome> {
        let driver = &mut self.driver;
        let driven = catch_unwind(AssertUnwindSafe(|| {
            driver.poll_drive(sink, buffers, ShortRead::ReadOn)
        }));
        driven.unwrap_or_else(|_| {
            self.driver.take_replies(&mut buffers.framed);
            self.driver.handle_panic(sink);
            Poll::Ready(DriveOutcome::Over)
        })
    }

    fn timer(&self) -> Option<Instant> {
        let timer = self.driver.timer();
        timer.into_iter().chain(self.vigil_due).min()
    }

    /// Polls the timer, which is due at `timer`.
    fn poll_sleep(&mut self, cx: &mut Context<'_>, timer: Instant) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(timer)));
        // A deadline that moves back is set again only when the old one has passed: it moves with each message.
        if timer < sleep.deadline() {
            sleep.as_mut().reset(timer);
            self.is_set = false;
        }
        if self.is_set && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if timer <= Instant::now() {
                self.is_set = false;
                return Poll::Ready(());
            }
            sleep.as_mut().reset(timer);
        }
        self.is_set = true;
        Poll::Pending
    }
}

impl std::ops::Deref for TaskDriver {
    type Target = Driver;

    fn deref(&self) -> &Driver {
        &self.driver
    }
}

impl std::ops::DerefMut for TaskDriver {
    fn deref_mut(&mut self) -> &mut Driver {
        &mut self.driver
    }
}
