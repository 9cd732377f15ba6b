//! The log's thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};

use super::{queue::Queue, subscriptions::Subscriptions};
use crate::{
    BrokerEvents, Clock,
    broker::refusal_log::BrokerRefusalLog,
    log::{Health, Log, LogSync, Order, Outcome},
};

/// What the broker and its thread share.
pub(super) struct Shared {
    pub(super) queue: Arc<Queue>,
    pub(super) subscriptions: Subscriptions,
    pub(super) receiver: OnceLock<Receiver>,
    pub(super) time: LogTime,
}

/// What receives deliveries, and the runtime in which it starts tasks.
pub(super) struct Receiver {
    pub(super) events: Arc<dyn BrokerEvents>,
    pub(super) runtime: Option<Handle>,
}

/// The log's clock: the time of day when the log was opened, or the latest time in the log if that is later, and what has
/// passed since. So a jump of the time of day expires nothing while the process lives.
pub(super) struct LogTime {
    clock: Arc<dyn Clock>,
    /// Milliseconds since 1970.
    begin: u64,
    begin_elapsed: Duration,
}

impl LogTime {
    pub(super) fn new(clock: Arc<dyn Clock>, newest: u64) -> Self {
        Self {
            begin: newest.max(clock.now().0),
            begin_elapsed: clock.elapsed(),
            clock,
        }
    }

    /// Returns milliseconds.
    pub(super) fn now(&self) -> u64 {
        let since = self.clock.elapsed().saturating_sub(self.begin_elapsed);
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.begin.saturating_add(millis)
    }
}

/// Carries out what waits until the broker is closed. Runs on a thread of its own.
pub(super) fn run(shared: &Shared, mut log: Log, sync: LogSync, sync_interval: Duration) {
    let mut end = EndQueue {
        queue: &shared.queue,
        health: Some(Arc::clone(log.health())),
    };
    let sync_millis = u64::try_from(sync_interval.as_millis()).unwrap_or(u64::MAX);
    let refusals = BrokerRefusalLog::default();
    let mut sync_at = None;
    let mut retry_at = None;
    let mut is_busy = false;
    loop {
        let due_at = [sync_at, retry_at].into_iter().flatten().min();
        let patience = match (is_busy, due_at) {
            (true, _) => Some(Duration::ZERO),
            (false, Some(at)) => {
                let left: u64 = at - shared.time.now().min(at);
                Some(Duration::from_millis(left.max(1)))
            }
            (false, None) => None,
        };
        let waiting = shared.queue.take(patience, &*shared.time.clock);
        let now = shared.time.now();
        if !waiting.orders.is_empty() {
            let outcomes = log.commit(&waiting.orders, now);
            for (order, outcome) in waiting.orders.into_iter().zip(&outcomes) {
                if let Outcome::Refused(error) = outcome {
                    refusals.write(error, Duration::from_millis(now));
                }
                // A panic is the receiver's, and the log goes on.
                _ = catch_unwind(AssertUnwindSafe(|| deliver(shared, order, outcome)));
            }
            answer(shared, waiting.answers, outcomes);
        }
        if sync == LogSync::Interval && log.is_unsynced() {
            let at = *sync_at.get_or_insert(now.saturating_add(sync_millis));
            if now >= at {
                sync_at = None;
                // It was logged, and what was accepted is written again with the next order.
                _ = log.sync();
            }
        }
        retry_at = match (log.health().failure(), retry_at) {
            (None, _) => None,
            (Some(_), Some(at)) if at > now => Some(at),
            (Some(_), at) => {
                // The first attempt comes after the pause, too: the disk has just refused.
                if at.is_some() {
                    log.retry(now);
                }
                Some(now.saturating_add(RETRY_MILLIS))
            }
        };
        if waiting.is_sweep_due {
            log.sweep(now);
        }
        if waiting.is_closing {
            end.health = None;
            break;
        }
        is_busy = log.upkeep(now);
    }
    if let Err(error) = log.close(shared.time.now()) {
        tracing::warn!(%error, "the log is not closed cleanly; the next start takes longer");
    }
}

/// Milliseconds between two attempts to write again, while nobody publishes.
const RETRY_MILLIS: u64 = 1_000;

/// Gives the answers to a batch, on a thread of the runtime if it has several: each would wake that thread by itself.
fn answer(shared: &Shared, answers: Vec<oneshot::Sender<Outcome>>, outcomes: Vec<Outcome>) {
    let answer = |answers: Vec<oneshot::Sender<Outcome>>, outcomes: Vec<Outcome>| {
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Who has asked may be gone.
            _ = answer.send(outcome);
        }
    };
    let receiver = shared.receiver.get();
    match receiver.and_then(|receiver| receiver.runtime.as_ref()) {
        Some(runtime) if answers.len() > 1 => {
            runtime.spawn(async move { answer(answers, outcomes) });
        }
        _ => answer(answers, outcomes),
    }
}

fn deliver(shared: &Shared, order: Order, outcome: &Outcome) {
    let (
        Order::Publish {
            channel,
            mut publication,
            ..
        },
        Outcome::Published(published),
    ) = (order, outcome)
    else {
        return;
    };
    let Some(receiver) = shared.receiver.get() else {
        return;
    };
    if published.suppressed.is_some() {
        return;
    }
    shared.subscriptions.deliver(&channel, || {
        let _runtime = receiver.runtime.as_ref().map(Handle::enter);
        let position = published.position.as_ref();
        publication.offset = position.map_or(0, |position| position.offset);
        let publication = Arc::new(publication);
        receiver
            .events
            .publication(&channel, &publication, position);
    });
}

/// Ends the queue when the thread ends, also by a panic.
struct EndQueue<'a> {
    queue: &'a Queue,
    /// `None`: the thread was told to end.
    health: Option<Arc<Health>>,
}

impl Drop for EndQueue<'_> {
    fn drop(&mut self) {
        if let Some(health) = &self.health {
            health.end();
        }
        self.queue.end();
    }
}
