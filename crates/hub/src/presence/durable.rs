//! The store that survives the process: one file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, backends::FileBackend,
};

use super::{
    Limits, Store,
    store::{Batch, News, Pace, State},
};
use crate::{StoreError, UnixMillis, open_private_file};

/// The store that survives the process: `presence.redb` in a directory.
///
/// Changes of a second are written together, and with them a sign of life. After a crash those who were
/// here are away, last seen at the last sign of life: at most [`Durable::FLUSH_INTERVAL`], and the time of one
/// write, before the crash. A client that came or went within that last interval may be kept as it was before.
#[derive(Debug)]
pub struct Durable {
    file: PathBuf,
    clients_max: usize,
    database: Option<Arc<Database>>,
}

/// Last-seen times of those who are away, in milliseconds.
const SEEN: TableDefinition<'_, &str, u64> = TableDefinition::new("seen");

/// Those who are here, with the time since when.
const ONLINE: TableDefinition<'_, &str, u64> = TableDefinition::new("online");

/// Single values: [`ALIVE_AT`], [`FORMAT`].
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

/// The last time that the node was known to be alive.
const ALIVE_AT: &str = "alive_at";

/// The number of this layout.
const FORMAT: &str = "format";

/// The layout that this code writes and reads.
const FORMAT_NUMBER: u64 = 1;

impl Durable {
    /// Time between two writes while somebody is here: what a crash may lose.
    pub const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

    /// The name of the file.
    pub const FILE_NAME: &str = "presence.redb";

    /// The store in `directory`, which has to be there. Of more clients than the limits allow, those seen
    /// longest ago are forgotten.
    #[must_use]
    pub fn in_directory(directory: &Path, limits: &Limits) -> Self {
        Self {
            file: directory.join(Self::FILE_NAME),
            clients_max: limits.clients_max,
            database: None,
        }
    }

    /// Runs `work` where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| StoreError::of_file(&self.file, error)),
            // A database that is damaged in a way that it doesn't expect panics.
            Err(error) => Err(StoreError::outage(format!(
                "{}: this was cut off, the file may be damaged: {error}",
                self.file.display()
            ))),
        }
    }
}

impl Store for Durable {
    async fn open(&mut self, _now: UnixMillis) -> Result<Vec<News>, StoreError> {
        // The old handle holds the file's lock; after an error of the disk it's good for nothing else.
        self.database = None;
        let (file, clients_max) = (self.file.clone(), self.clients_max);
        let opened = self.blocking(move || {
            let database = database(&file)?;
            let seen = take_over(&database, clients_max)?;
            Ok((database, seen))
        });
        let (database, seen) = opened.await?;
        self.database = Some(Arc::new(database));
        Ok(vec![News::Seen(seen)])
    }

    async fn save(&mut self, batch: Batch) -> Result<Vec<News>, StoreError> {
        let Some(database) = self.database.clone() else {
            return Err(StoreError::outage("the store isn't open"));
        };
        if !batch.clients.is_empty() || batch.is_anybody_online {
            self.blocking(move || write(&database, &batch)).await?;
        }
        Ok(Vec::new())
    }

    async fn news(&mut self) -> Result<Option<News>, StoreError> {
        std::future::pending().await
    }

    fn lost(&mut self, _now: UnixMillis) -> Option<News> {
        None
    }

    async fn close(&mut self) {
        self.database = None;
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace {
            gather: Self::FLUSH_INTERVAL,
            beat: Self::FLUSH_INTERVAL,
        })
    }
}

fn write(database: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    {
        let mut seen = writing.open_table(SEEN)?;
        let mut online = writing.open_table(ONLINE)?;
        for saved in &batch.clients {
            let client = &*saved.client;
            match saved.state {
                State::Here { since, .. } => {
                    online.insert(client, since.0)?;
                    seen.remove(client)?;
                }
                State::Away { last_seen } => {
                    online.remove(client)?;
                    seen.insert(client, last_seen.0)?;
                }
                State::Elsewhere | State::Forgotten => {
                    online.remove(client)?;
                    seen.remove(client)?;
                }
            }
        }
        writing.open_table(FACTS)?.insert(ALIVE_AT, batch.at.0)?;
    }
    writing.commit()?;
    Ok(())
}

/// Makes those who were here when the last process ended into those who were last seen then, forgets whoever
/// is too many, and returns the last-seen times.
fn take_over(
    database: &Database,
    clients_max: usize,
) -> Result<Vec<(Arc<str>, UnixMillis)>, redb::Error> {
    let writing = database.begin_write()?;
    {
        let mut facts = writing.open_table(FACTS)?;
        let format = facts.get(FORMAT)?.map(|found| found.value());
        if format.is_some_and(|number| number != FORMAT_NUMBER) {
            return Err(redb::Error::Corrupted(format!(
                "its layout is number {}, this program knows {FORMAT_NUMBER}",
                format.unwrap_or_default()
            )));
        }
        facts.insert(FORMAT, FORMAT_NUMBER)?;
        let alive_at = facts.get(ALIVE_AT)?.map_or(0, |found| found.value());
        let mut seen = writing.open_table(SEEN)?;
        let mut online = writing.open_table(ONLINE)?;
        for entry in online.iter()? {
            let (client, since) = entry?;
            // Whoever came after the last sign of life was seen when they came.
            let last_seen = alive_at.max(since.value());
            seen.insert(client.value(), last_seen)?;
        }
        online.retain(|_, _| false)?;
    }
    writing.commit()?;

    let mut known = Vec::new();
    for entry in database.begin_read()?.open_table(SEEN)?.iter()? {
        let (client, at) = entry?;
        known.push((Arc::from(client.value()), UnixMillis(at.value())));
    }
    if known.len() > clients_max {
        known.sort_unstable_by_key(|(_, at)| std::cmp::Reverse(*at));
        let writing = database.begin_write()?;
        {
            let mut seen = writing.open_table(SEEN)?;
            for (client, _) in known.drain(clients_max..) {
                seen.remove(&*client)?;
            }
        }
        writing.commit()?;
    }
    Ok(known)
}

/// Every page is looked at: what a damaged one would do later shows now.
fn database(file: &Path) -> Result<Database, redb::Error> {
    let backend = FileBackend::new(open_private_file(file)?)?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(backend)?)
}

/// Bytes. What changes in a second is small, and nothing is read but at the start.
const CACHE_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests;
