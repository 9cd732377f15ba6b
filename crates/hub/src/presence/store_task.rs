//! The task that keeps the store and the registry in step.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time};

use super::{SaveTiming, Store, StoreEvent, shared::PresenceShared};
use crate::StoreError;

/// Saves changes, passes the store's events to the registry, and reopens the store after a failure.
pub(super) struct StoreTask<S> {
    /// What the store is for, in the log.
    name: &'static str,
    store: S,
    shared: Arc<PresenceShared>,
    stop: watch::Receiver<bool>,
}

/// Why [`StoreTask::work`] has returned.
enum WorkEnd {
    Stopped,
    Failed(StoreError),
}

impl<S: Store> StoreTask<S> {
    pub(super) fn new(name: &'static str, store: S, shared: Arc<PresenceShared>) -> Self {
        let stop = shared.stop();
        Self {
            name,
            store,
            shared,
            stop,
        }
    }

    /// Runs until presence is closed. `opened` is the result of the first `open`.
    pub(super) async fn run(mut self, opened: Result<Vec<StoreEvent>, StoreError>) {
        let mut opened = opened;
        loop {
            let pause = match opened {
                Ok(events) => {
                    self.shared.handle_events(events);
                    self.shared.mark_local_unsaved();
                    self.work().await
                }
                Err(error) => WorkEnd::Failed(error),
            };
            match pause {
                WorkEnd::Stopped => return self.finish().await,
                WorkEnd::Failed(error) => self.report_failure(&error),
            }
            match self.reopen().await {
                Some(events) => opened = Ok(events),
                None => return self.finish().await,
            }
        }
    }

    /// Saves after changes and at least every `interval_max`, and waits for events in between.
    async fn work(&mut self) -> WorkEnd {
        let save_timing = self.store.save_timing().unwrap_or(IDLE);
        loop {
            match self.save_all().await {
                Ok(()) => self.report_recovery(),
                Err(error) => return WorkEnd::Failed(error),
            }
            let interval_max = time::sleep(save_timing.interval_max);
            let changed = async {
                self.shared.until_unsaved().await;
                time::sleep(save_timing.batch_delay).await;
            };
            let (mut interval_max, mut changed) =
                (std::pin::pin!(interval_max), std::pin::pin!(changed));
            loop {
                tokio::select! {
                    biased;
                    _ = self.stop.wait_for(|stop| *stop) => return WorkEnd::Stopped,
                    () = &mut interval_max => break,
                    () = &mut changed => break,
                    event = self.store.next_event() => match event {
                        Ok(Some(event)) => self.shared.handle_events(vec![event]),
                        Ok(None) => break,
                        Err(error) => return WorkEnd::Failed(error),
                    },
                }
            }
        }
    }

    /// Saves all unsaved changes in batches. Saves at least one batch, which may be empty.
    async fn save_all(&mut self) -> Result<(), StoreError> {
        loop {
            let batch = self.shared.poll_unsaved(BATCH_CLIENTS_MAX);
            let is_last = batch.is_last;
            let clients = batch.clients.iter();
            let clients: Vec<_> = clients.map(|saved| Arc::clone(&saved.client)).collect();
            match self.store.save(batch).await {
                Ok(events) => self.shared.handle_events(events),
                Err(error) => {
                    self.shared.return_unsaved(clients);
                    return Err(error);
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Reopens the store until it succeeds. Returns `None` if presence is closed meanwhile.
    async fn reopen(&mut self) -> Option<Vec<StoreEvent>> {
        let mut delay = RETRY_MIN;
        loop {
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return None,
                () = time::sleep(delay) => {}
            }
            let now = self.shared.now();
            match self.store.open(now).await {
                Ok(events) => return Some(events),
                Err(error) => self.report_failure(&error),
            }
            delay = (delay * 2).min(RETRY_MAX);
        }
    }

    /// Logs the first failure in a row as a warning, and drops outdated knowledge about other nodes.
    fn report_failure(&mut self, error: &StoreError) {
        let before = self.shared.set_store_error(Some(error.to_string()));
        if before.is_none() {
            tracing::warn!(of = self.name, %error, "presence continues without its store, which is retried");
        } else {
            tracing::debug!(of = self.name, %error, "the presence store still fails");
        }
        if let Some(event) = self.store.expire(self.shared.now()) {
            self.shared.handle_events(vec![event]);
        }
    }

    /// Logs that the store works again and that all changes are saved.
    fn report_recovery(&self) {
        if self.shared.set_store_error(None).is_some() {
            tracing::info!(
                of = self.name,
                "the presence store works again and is up to date"
            );
        }
    }

    /// Saves for the last time and closes the store, within [`FINISH_TIMEOUT`].
    async fn finish(&mut self) {
        let saved = time::timeout(FINISH_TIMEOUT, async {
            self.save_all().await?;
            self.store.close().await;
            Ok::<(), StoreError>(())
        });
        match saved.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(of = self.name, %error, "the last presence changes were not saved");
            }
            Err(_) => {
                tracing::warn!(
                    "the last presence changes were not saved: the store did not answer in time"
                );
            }
        }
    }
}

/// For a store that saves nothing, for which no task is started.
const IDLE: SaveTiming = SaveTiming {
    batch_delay: Duration::from_secs(1),
    interval_max: Duration::from_secs(60),
};

/// Clients in one batch. Bounds how long the registry's lock is held, and the size of a message to the store.
const BATCH_CLIENTS_MAX: usize = 1000;

/// Delay of the first attempt after a failure. Short, so that a restart of the store is hardly noticed.
const RETRY_MIN: Duration = Duration::from_millis(100);

/// The longest delay between two attempts. A recovery is noticed within this time.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Most time that the end of the process waits for the last save.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
