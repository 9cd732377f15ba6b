//! The store that saves presence in a file.

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
    store::{Batch, ClientState, SaveTiming, StoreEvent},
};
use crate::{StoreError, UnixMillis, open_private_file};

/// The store that saves presence in the file `presence.redb` of a directory.
///
/// The changes of a second are written together, with the current time as a heartbeat. After a crash all clients are
/// offline, and those that were online were last seen at the last heartbeat: at most [`Durable::FLUSH_INTERVAL`] and the
/// time of one write before the crash. A change within that last interval may be lost.
#[derive(Debug)]
pub struct Durable {
    file: PathBuf,
    clients_max: usize,
    database: Option<Arc<Database>>,
}

/// The last-seen times of offline clients, in milliseconds since 1970.
const SEEN: TableDefinition<'_, &str, u64> = TableDefinition::new("seen");

/// The online clients, with the time since when, in milliseconds since 1970.
const ONLINE: TableDefinition<'_, &str, u64> = TableDefinition::new("online");

/// Single values: [`ALIVE_AT`], [`FORMAT`].
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

/// The time of the last heartbeat, in milliseconds since 1970.
const ALIVE_AT: &str = "alive_at";

/// The number of the file's layout.
const FORMAT: &str = "format";

/// The layout that this code writes and reads.
const FORMAT_NUMBER: u64 = 1;

impl Durable {
    /// Time between two writes while a client is online. A crash may lose the changes of this time.
    pub const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

    /// The name of the file.
    pub const FILE_NAME: &str = "presence.redb";

    /// Creates a store in `directory`, which must exist. If the file holds more clients than the limits allow, those
    /// seen longest ago are forgotten.
    #[must_use]
    pub fn in_directory(directory: &Path, limits: &Limits) -> Self {
        Self {
            file: directory.join(Self::FILE_NAME),
            clients_max: limits.clients_max,
            database: None,
        }
    }

    /// Runs `work` on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| StoreError::of_file(&self.file, error)),
            // redb panics on damage that it doesn't expect.
            Err(error) => Err(StoreError::outage(format!(
                "{}: the database panicked, the file may be damaged: {error}",
                self.file.display()
            ))),
        }
    }
}

impl Store for Durable {
    async fn open(&mut self, _now: UnixMillis) -> Result<Vec<StoreEvent>, StoreError> {
        // The old handle holds the file's lock, and can't be used after an error of the disk.
        self.database = None;
        let (file, clients_max) = (self.file.clone(), self.clients_max);
        let opened = self.blocking(move || {
            let database = database(&file)?;
            let seen = recover(&database, clients_max)?;
            Ok((database, seen))
        });
        let (database, seen) = opened.await?;
        self.database = Some(Arc::new(database));
        Ok(vec![StoreEvent::LastSeen(seen)])
    }

    async fn save(&mut self, batch: Batch) -> Result<Vec<StoreEvent>, StoreError> {
        let Some(database) = self.database.clone() else {
            return Err(StoreError::outage("the store isn't open"));
        };
        if !batch.clients.is_empty() || batch.is_anybody_online {
            self.blocking(move || write(&database, &batch)).await?;
        }
        Ok(Vec::new())
    }

    async fn next_event(&mut self) -> Result<Option<StoreEvent>, StoreError> {
        std::future::pending().await
    }

    fn expire(&mut self, _now: UnixMillis) -> Option<StoreEvent> {
        None
    }

    async fn close(&mut self) {
        self.database = None;
    }

    fn save_timing(&self) -> Option<SaveTiming> {
        Some(SaveTiming {
            batch_delay: Self::FLUSH_INTERVAL,
            interval_max: Self::FLUSH_INTERVAL,
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
                ClientState::Local { since, .. } => {
                    online.insert(client, since.0)?;
                    seen.remove(client)?;
                }
                ClientState::Offline { last_seen } => {
                    online.remove(client)?;
                    seen.insert(client, last_seen.0)?;
                }
                ClientState::Remote | ClientState::Forgotten => {
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

/// Marks the clients that were online when the last process ended as offline, forgets the oldest beyond `clients_max`, and
/// returns the last-seen times.
fn recover(
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
            // A client that connected after the last heartbeat was last seen when it connected.
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

/// Opens the database and checks every page, so that damage is found at the start.
fn database(file: &Path) -> Result<Database, redb::Error> {
    let backend = FileBackend::new(open_private_file(file)?)?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(backend)?)
}

/// Bytes. The changes of a second are small, and the file is read at the start only.
const CACHE_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests;
