//! A connection that a task of tokio's drives.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Sleep, sleep_until};

use crate::{
    driver::{Driver, ShortRead, Sink, Turn},
    lend,
};

/// A connection that a task of tokio's drives: the driver, and a timer while it has an alarm.
pub(crate) struct TaskDriver {
    driver: Driver,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl TaskDriver {
    pub(crate) fn new(driver: Driver) -> Self {
        Self {
            driver,
            sleep: None,
        }
    }

    /// Works until nothing more can be done now. Ready once the transport is gone.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<()> {
        loop {
            let driver = &mut self.driver;
            match lend::reading(|lent| driver.poll_drive(cx, sink, lent, ShortRead::ReadOn)) {
                Poll::Ready(Turn::Done) => return Poll::Ready(()),
                Poll::Ready(Turn::Over) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
            let Some(alarm) = self.driver.alarm() else {
                self.sleep = None;
                return Poll::Pending;
            };
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(alarm)));
            if sleep.deadline() != alarm {
                sleep.as_mut().reset(alarm);
            }
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
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
