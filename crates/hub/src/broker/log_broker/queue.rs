//! What waits for the log's thread.

use std::{mem, sync::Arc, thread, time::Duration};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::{
    Clock,
    broker::BrokerError,
    log::{Order, Outcome},
};

/// Orders on their way to the log's thread, which takes all at once.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the thread.
    changed: Condvar,
    waiting_max: usize,
    waiting_bytes_max: usize,
}

/// What the thread takes.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) orders: Vec<Order>,
    /// One for each order.
    pub(super) answers: Vec<oneshot::Sender<Outcome>>,
    pub(super) is_sweep_due: bool,
    pub(super) is_closing: bool,
    /// Bytes. The payloads of `orders`.
    bytes: usize,
    /// The thread has ended.
    is_closed: bool,
    is_thread_waiting: bool,
}

impl Queue {
    pub(super) fn new(waiting_max: usize, waiting_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            waiting_max,
            waiting_bytes_max,
        })
    }

    /// Adds an order. The outcome comes by the receiver; an error of that means that the log has ended.
    pub(super) fn push(&self, order: Order) -> Result<oneshot::Receiver<Outcome>, BrokerError> {
        let bytes = match &order {
            Order::Publish { publication, .. } => publication.data.len(),
            Order::Remove { .. } => 0,
        };
        let (answer, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.is_closing || waiting.is_closed {
            return Err(closed());
        }
        let is_full = waiting.orders.len() >= self.waiting_max
            || (waiting.bytes > 0 && waiting.bytes + bytes > self.waiting_bytes_max);
        if is_full {
            return Err(BrokerError::TooManyWaiting {
                waiting_max: self.waiting_max,
            });
        }
        waiting.orders.push(order);
        waiting.answers.push(answer);
        waiting.bytes += bytes;
        self.wake(&waiting);
        Ok(receiver)
    }

    /// Asks the thread to drop what has expired.
    pub(super) fn sweep(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_sweep_due = true;
        self.wake(&waiting);
    }

    /// Asks the thread to end after what waits already.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closing = true;
        self.wake(&waiting);
    }

    /// Refuses what comes and what waits: the thread has ended.
    pub(super) fn end(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        waiting.orders.clear();
        waiting.answers.clear();
    }

    /// Takes what waits. Waits for something, but not longer than `patience`.
    pub(super) fn take(&self, patience: Option<Duration>, clock: &dyn Clock) -> Waiting {
        let mut waiting = self.waiting.lock();
        let is_idle = |waiting: &Waiting| {
            waiting.orders.is_empty() && !waiting.is_sweep_due && !waiting.is_closing
        };
        waiting.is_thread_waiting = true;
        match patience {
            None => {
                while is_idle(&waiting) {
                    self.changed.wait(&mut waiting);
                }
            }
            Some(Duration::ZERO) => {}
            Some(patience) => {
                if is_idle(&waiting) {
                    self.changed.wait_for(&mut waiting, patience);
                }
            }
        }
        // From here on nobody needs to wake the thread.
        waiting.is_thread_waiting = false;
        if !waiting.orders.is_empty() {
            gather(&mut waiting, clock);
        }
        let taken = mem::take(&mut *waiting);
        waiting.is_closing = taken.is_closing;
        waiting.is_closed = taken.is_closed;
        taken
    }

    fn wake(&self, waiting: &Waiting) {
        if waiting.is_thread_waiting {
            self.changed.notify_one();
        }
    }
}

/// Lets other threads run first as long as they add orders, since a batch shares one write. On a core of its own the thread loses
/// less than a microsecond by that; on one that it shares, the workers first read what has come to their sockets.
fn gather(waiting: &mut MutexGuard<'_, Waiting>, clock: &dyn Clock) {
    let end = clock.elapsed() + GATHERING_TIME_MAX;
    loop {
        let count = waiting.orders.len();
        MutexGuard::unlocked(waiting, thread::yield_now);
        if waiting.orders.len() == count || clock.elapsed() >= end {
            return;
        }
    }
}

/// Returns the answer when the log has ended.
pub(super) fn closed() -> BrokerError {
    BrokerError::Unavailable {
        message: "the log is closed".to_owned(),
    }
}

/// The longest that an order waits for others: a fraction of what a write to a disk takes.
const GATHERING_TIME_MAX: Duration = Duration::from_micros(100);
