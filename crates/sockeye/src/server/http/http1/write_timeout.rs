//! A limit on how long a write may wait.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::time::later;

/// A limit on how long a write may be pending. It takes no memory for a timer before the first wait.
#[derive(Debug)]
pub(super) struct WriteTimeout {
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_armed: bool,
}

impl WriteTimeout {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            timer: None,
            is_armed: false,
        }
    }

    /// Returns whether a write is pending.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_armed
    }

    /// Returns `polled`, or an error once writes have been pending for too long.
    pub(super) fn limit<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.is_armed = false;
            return polled;
        }
        if !self.is_armed {
            self.is_armed = true;
            arm(&mut self.timer, later(Instant::now(), self.timeout));
        }
        match poll_timer(&mut self.timer, cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Sets a timer, and makes it if there is none.
pub(super) fn arm(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Instant) {
    match timer {
        Some(timer) if timer.deadline() == deadline => {}
        Some(timer) => timer.as_mut().reset(deadline),
        None => *timer = Some(Box::pin(sleep_until(deadline))),
    }
}

/// Polls a timer. Pending for ever if there is none.
pub(super) fn poll_timer(timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    match timer {
        Some(timer) => timer.as_mut().poll(cx),
        None => Poll::Pending,
    }
}
