//! The archive: messages and those that wait for confirmation, in an embedded database, on disk or in memory.
//!
//! ```text
//!   logs      "r:tea", "p:ADDRESS" ─> epoch, first and last number, time, loss  the history of a room or person
//!   messages  (log, number) ─> the message
//!   letters   (log, number)                                                     waits for confirmation
//!   sent      (from, id) ─> log, number, time                                   recognises a message that is sent again
//!   people    ADDRESS ─> name, last seen, whether they have spoken
//! ```
//!
//! [`Pages`] has these tables in one transaction. [`ArchiveCounts`] has counts of their contents in memory.

mod counts;
mod pages;
mod segments;

use std::{fmt, mem, path::Path, sync::Arc};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
    backends::FileBackend,
};
use serde::{Deserialize, Serialize};
use sockeye::{MemoryAccount, MemoryBudget};
use sockeye_hub::open_private_file;

use super::{client_network::ClientNetwork, protocol::ChatMessage, protocol::PersonInfo};
use crate::identity::Address;

pub(crate) use self::{
    counts::{ArchiveCounts, QueuedMessage},
    pages::Pages,
};

/// The stored messages and people.
pub(crate) struct Archive {
    /// `None` if it could not be reopened after an error.
    database: Option<Database>,
    /// Counts what is committed.
    counts: ArchiveCounts,
    open: Open,
    _cache: MemoryAccount,
}

type Open = Box<dyn Fn() -> Result<Database, redb::Error> + Send>;

/// The key of the history of a room or person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LogName(Arc<str>);

/// What a message is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredAs {
    /// Waits until its recipient confirms it, and counts against the sender's network, if that is known.
    Queued(Option<ClientNetwork>),
    /// Is removed when newer messages need room.
    History,
}

/// A known person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PersonRecord {
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) seen: u64,
    /// Whether they have ever sent a message.
    #[serde(default = "has_spoken")]
    pub(crate) has_spoken: bool,
}

/// Records of an earlier version lack the field and count as true.
fn has_spoken() -> bool {
    true
}

/// The answer of `/socket/get-msg`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) messages: Vec<ChatMessage>,
    /// Lost messages that the person has not confirmed to know about.
    pub(crate) lost: u64,
    /// The receipt of this answer: history and number.
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    /// Whether more queued messages wait for the next answer.
    pub(crate) has_more: bool,
    /// The bytes that the messages count.
    pub(crate) bytes: u64,
}

/// The queued messages for a person, as `ONLINE` reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) count: u64,
    pub(crate) lost: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Log {
    epoch: String,
    /// All messages from this number on are stored; `last + 1` if there are none. Queued messages may have lower numbers.
    first: u64,
    /// The number of the last message ever; 0 if there was none.
    last: u64,
    /// When the last message was sent, or the history began, in milliseconds since 1970.
    time: u64,
    /// Messages up to this number were removed because of the limit for all histories, not of this one's. 0 if none was.
    #[serde(default)]
    taken: u64,
    /// Lost messages. A receipt from number `lost_at` on confirms that the person knows about them.
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    lost_at: u64,
    /// Whether this is a tombstone: the room was forgotten.
    #[serde(default)]
    is_forgotten: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredMessage {
    heard: ChatMessage,
    /// Whether `sent` has an entry for it. A private message is stored twice and indexed once.
    is_indexed: bool,
}

impl LogName {
    pub(crate) fn room(name: &str) -> Self {
        Self(format!("r:{name}").into())
    }

    pub(crate) fn person(address: Address) -> Self {
        Self(format!("p:{address}").into())
    }

    fn as_str(&self) -> &str {
        &self.0
    }

    fn is_room(&self) -> bool {
        self.0.starts_with("r:")
    }

    fn room_name(&self) -> Option<&str> {
        self.0.strip_prefix("r:")
    }
}

impl Log {
    /// Returns whether messages are missing that the limits of this log alone would have kept.
    fn is_cut(&self) -> bool {
        self.taken > 0 && self.taken + 1 >= self.first
    }
}

impl Archive {
    /// Opens the archive in a file.
    ///
    /// # Errors
    ///
    /// The file can't be opened, or was not written by this program.
    pub(crate) fn open(file: &Path, budget: &MemoryBudget) -> Result<Self, redb::Error> {
        let file = file.to_owned();
        let cache = (budget.account(), CACHE_BYTES);
        Self::with(
            cache,
            Box::new(move || {
                let backend = FileBackend::new(open_private_file(&file)?)?;
                let mut builder = Database::builder();
                builder.set_cache_size(CACHE_BYTES);
                // Finds damage now instead of later.
                builder.set_check_integrity_on_open(true);
                Ok(builder.create_with_backend(backend)?)
            }),
        )
    }

    /// Opens an archive in memory.
    pub(crate) fn in_memory(budget: &MemoryBudget) -> Result<Self, redb::Error> {
        let (cache, budget) = ((budget.account(), CACHE_BYTES / 8), budget.clone());
        Self::with(
            cache,
            Box::new(move || {
                let mut builder = Database::builder();
                // The data is in memory already.
                builder.set_cache_size(CACHE_BYTES / 8);
                Ok(builder.create_with_backend(segments::Segments::new(budget.account()))?)
            }),
        )
    }

    /// `cache` accounts for the database's cache.
    fn with((mut cache, bytes): (MemoryAccount, usize), open: Open) -> Result<Self, redb::Error> {
        cache.set(bytes);
        let (database, counts) = open_tables(&open)?;
        Ok(Self {
            database: Some(database),
            counts,
            open,
            _cache: cache,
        })
    }

    /// Reopens the database, which refuses writes after an error of the disk.
    pub(crate) fn reopen(&mut self) -> Result<(), redb::Error> {
        // The old handle holds the lock on the file.
        self.database = None;
        let (database, counts) = open_tables(&self.open)?;
        (self.database, self.counts) = (Some(database), counts);
        Ok(())
    }

    /// Returns all known people.
    pub(crate) fn people(&self) -> Result<Vec<(Address, PersonRecord)>, redb::Error> {
        let table = self.database()?.begin_read()?.open_table(PEOPLE)?;
        let mut people = Vec::new();
        for row in table.iter()? {
            let (address, record) = row?;
            let Some(address) = Address::parse(address.value()) else {
                continue;
            };
            people.push((address, decoded(record.value())?));
        }
        Ok(people)
    }

    /// Begins a transaction, and returns the counts that it changes. After a commit the caller returns the counts to
    /// [`Archive::keep`]. After a failure the caller reopens the archive, which counts again.
    pub(crate) fn begin(&mut self) -> Result<(WriteTransaction, ArchiveCounts), redb::Error> {
        let transaction = self.database()?.begin_write()?;
        Ok((transaction, mem::take(&mut self.counts)))
    }

    pub(crate) fn keep(&mut self, counts: ArchiveCounts) {
        self.counts = counts;
    }

    #[cfg(test)]
    fn counts(&self) -> &ArchiveCounts {
        &self.counts
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::DatabaseClosed)
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("is_open", &self.database.is_some())
            .finish_non_exhaustive()
    }
}

/// Opens the database, creates missing tables, migrates those of earlier versions, and counts their contents.
fn open_tables(open: &Open) -> Result<(Database, ArchiveCounts), redb::Error> {
    let database = open()?;
    let transaction = database.begin_write()?;
    let counts = {
        let mut logs = transaction.open_table(LOGS)?;
        let mut lost = transaction.open_table(LOST)?;
        migrate_losses(&mut logs, &mut lost)?;
        transaction.open_table(SENT)?;
        transaction.open_table(PEOPLE)?;
        let mut queued = transaction.open_table(QUEUED)?;
        // An earlier version stored messages that were delivered, and who had received them. They would fill a mailbox.
        queued.retain(|_, holder| holder == UNUSED)?;
        count_tables(&logs, &transaction.open_table(MESSAGES)?, &queued)?
    };
    // An earlier version stored the order of all messages.
    transaction.delete_table(ORDER)?;
    transaction.commit()?;
    Ok((database, counts))
}

/// Moves the numbers of lost messages into the logs. An earlier version had a table for them.
fn migrate_losses(
    logs: &mut redb::Table<'_, &'static str, &'static [u8]>,
    lost: &mut redb::Table<'_, &'static str, u64>,
) -> Result<(), redb::Error> {
    let mut counts = Vec::new();
    for row in lost.range("p:".."p;")? {
        let (key, count) = row?;
        counts.push((key.value().to_owned(), count.value()));
    }
    for (key, count) in counts {
        lost.remove(key.as_str())?;
        let log = logs
            .get(key.as_str())?
            .map(|log| decoded::<Log>(log.value()));
        if let Some(mut log) = log.transpose()? {
            log.last += 1;
            log.lost += count;
            log.lost_at = log.last;
            logs.insert(key.as_str(), encoded(&log).as_slice())?;
        }
    }
    Ok(())
}

/// Counts the contents of all tables.
fn count_tables(
    logs: &impl redb::ReadableTable<&'static str, &'static [u8]>,
    messages: &impl redb::ReadableTable<(&'static str, u64), &'static [u8]>,
    queued: &impl redb::ReadableTable<(&'static str, u64), u64>,
) -> Result<ArchiveCounts, redb::Error> {
    let mut counts = ArchiveCounts::default();
    for row in logs.iter()? {
        let (key, log) = row?;
        let (name, log) = (LogName(key.value().into()), decoded::<Log>(log.value())?);
        match log.is_forgotten {
            true => counts.add_tombstone(&name, log.time),
            false => counts.begin_log(&name, log.time, None),
        }
    }
    for row in messages.iter()? {
        let (place, kept) = row?;
        let (key, seq) = place.value();
        let (name, bytes) = (LogName(key.into()), pages::bytes_of(kept.value()));
        if queued.get((key, seq))?.is_none() {
            counts.add_history(&name, bytes);
            continue;
        }
        let heard = decoded::<StoredMessage>(kept.value())?.heard;
        let queued_message = QueuedMessage {
            bytes,
            from: heard.from.address,
            origin: None,
            time: heard.time,
        };
        counts.add_queued(&name, seq, queued_message);
    }
    Ok(counts)
}

impl ChatMessage {
    /// Creates a message that has no number yet.
    pub(crate) fn unnumbered(
        from: PersonInfo,
        text: String,
        time: u64,
        id: Option<String>,
    ) -> Self {
        Self {
            seq: 0,
            from,
            to: None,
            room: None,
            text,
            time,
            id,
        }
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types are JSON")
}

fn decoded<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes).map_err(|error| redb::Error::Corrupted(error.to_string()))
}

/// The value in the table of queued messages. An earlier version stored who had received the message.
const UNUSED: u64 = 0;

const LOGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("logs");
const MESSAGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("messages");
/// The name is an earlier version's.
const QUEUED: TableDefinition<'_, (&str, u64), u64> = TableDefinition::new("letters");
const SENT: TableDefinition<'_, (&str, &str), (&str, u64, u64)> = TableDefinition::new("sent");
const ORDER: TableDefinition<'_, u64, (&str, u64)> = TableDefinition::new("order");
const LOST: TableDefinition<'_, &str, u64> = TableDefinition::new("lost");
const PEOPLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("people");

/// Bytes of the database's cache.
const CACHE_BYTES: usize = 8 << 20;

#[cfg(test)]
pub(crate) mod tests;
