//! The task that brings the registry and its store together.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time};

use super::{News, Pace, Store, handle::Shared};
use crate::StoreError;

/// Saves what has changed, hands over what others know, and opens the store again when it has failed.
pub(super) struct Keeper<S> {
    store: S,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
}

/// Why the keeper is no longer at its usual work.
enum Pause {
    Stopped,
    Failed(StoreError),
}

impl<S: Store> Keeper<S> {
    pub(super) fn new(store: S, shared: Arc<Shared>) -> Self {
        let stop = shared.stop();
        Self {
            store,
            shared,
            stop,
        }
    }

    /// Runs until presence is closed. `opened` is how the first opening went.
    pub(super) async fn run(mut self, opened: Result<Vec<News>, StoreError>) {
        let mut opened = opened;
        loop {
            let pause = match opened {
                Ok(news) => {
                    self.shared.handle_news(news);
                    self.shared.mark_here();
                    self.work().await
                }
                Err(error) => Pause::Failed(error),
            };
            match pause {
                Pause::Stopped => return self.finish().await,
                Pause::Failed(error) => self.complain(&error),
            }
            match self.reopen().await {
                Some(news) => opened = Ok(news),
                None => return self.finish().await,
            }
        }
    }

    /// The usual work: save when something has changed and at each beat, listen in between.
    async fn work(&mut self) -> Pause {
        let pace = self.store.pace().unwrap_or(IDLE);
        loop {
            match self.save_all().await {
                Ok(()) => self.rejoice(),
                Err(error) => return Pause::Failed(error),
            }
            let beat = time::sleep(pace.beat);
            let changed = async {
                self.shared.until_unsaved().await;
                time::sleep(pace.gather).await;
            };
            let (mut beat, mut changed) = (std::pin::pin!(beat), std::pin::pin!(changed));
            loop {
                tokio::select! {
                    biased;
                    _ = self.stop.wait_for(|stop| *stop) => return Pause::Stopped,
                    () = &mut beat => break,
                    () = &mut changed => break,
                    news = self.store.news() => match news {
                        Ok(Some(news)) => self.shared.handle_news(vec![news]),
                        Ok(None) => break,
                        Err(error) => return Pause::Failed(error),
                    },
                }
            }
        }
    }

    /// Saves batch after batch, at least one.
    async fn save_all(&mut self) -> Result<(), StoreError> {
        loop {
            let batch = self.shared.poll_unsaved(BATCH_CLIENTS_MAX);
            let is_last = batch.is_last;
            let clients = batch.clients.iter();
            let clients: Vec<_> = clients.map(|saved| Arc::clone(&saved.client)).collect();
            match self.store.save(batch).await {
                Ok(news) => self.shared.handle_news(news),
                Err(error) => {
                    self.shared.put_back(clients);
                    return Err(error);
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Opens the store again and again until it works; `None` if presence is closed meanwhile.
    async fn reopen(&mut self) -> Option<Vec<News>> {
        let mut delay = RETRY_MIN;
        loop {
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return None,
                () = time::sleep(delay) => {}
            }
            let now = self.shared.now();
            match self.store.open(now).await {
                Ok(news) => return Some(news),
                Err(error) => self.complain(&error),
            }
            delay = (delay * 2).min(RETRY_MAX);
        }
    }

    /// Says once that the store has failed, and goes on without what it no longer knows.
    fn complain(&mut self, error: &StoreError) {
        let before = self.shared.set_trouble(Some(error.to_string()));
        if before.is_none() {
            tracing::warn!(%error, "presence goes on without its store, which is tried again");
        } else {
            tracing::debug!(%error, "the store of presence is still away");
        }
        if let Some(news) = self.store.lost(self.shared.now()) {
            self.shared.handle_news(vec![news]);
        }
    }

    /// Says once that the store is back and has all there is.
    fn rejoice(&self) {
        if self.shared.set_trouble(None).is_some() {
            tracing::info!("the store of presence is back and up to date");
        }
    }

    /// The last save. A store that is away then isn't waited for.
    async fn finish(&mut self) {
        let saved = time::timeout(FINISH_TIMEOUT, async {
            self.save_all().await?;
            self.store.close().await;
            Ok::<(), StoreError>(())
        });
        match saved.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the last changes of presence were not kept");
            }
            Err(_) => {
                tracing::warn!("the last changes of presence were not kept: the store hangs");
            }
        }
    }
}

/// For a store without a pace, which no keeper is made for.
const IDLE: Pace = Pace {
    gather: Duration::from_secs(1),
    beat: Duration::from_secs(60),
};

/// Clients in one batch: what the registry's lock is held for, and what a store's message holds.
const BATCH_CLIENTS_MAX: usize = 1000;

/// The first attempt after a failure, soon enough that a restart of the store is hardly noticed.
const RETRY_MIN: Duration = Duration::from_millis(100);

/// The longest pause between two attempts, which is how late a recovery may be noticed.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What the process' end waits for.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
