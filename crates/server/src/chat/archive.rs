//! What was said, and who has yet to hear it: an embedded database, in a file or in memory.
//!
//! ```text
//!   logs      "r:tea", "p:ADDRESS" ─> epoch, first and last number, time, loss  a room's history, a person's
//!   messages  (log, number) ─> the message
//!   letters   (log, number)                                                     waits until it is confirmed
//!   sent      (from, id) ─> log, number, time                                   known when it is sent again
//!   people    ADDRESS ─> name, last seen, whether they have spoken
//! ```
//!
//! [`Pages`] are these tables in one transaction; the [`Ledger`] counts in memory what they hold.

mod ledger;
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

use super::{dialect::Heard, dialect::Known, origin::Origin, person::Address};

pub(crate) use self::{
    ledger::{Ledger, Letter},
    pages::Pages,
};

/// What was said, and who has yet to hear it.
pub(crate) struct Archive {
    /// `None` if it could not be opened again after an error.
    database: Option<Database>,
    /// Of what was committed.
    ledger: Ledger,
    open: Open,
    _cache: MemoryAccount,
}

type Open = Box<dyn Fn() -> Result<Database, redb::Error> + Send>;

/// The history of a room, or of a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LogName(Arc<str>);

/// Whether a message waits until its receiver confirms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Counted against where its sender is, if that is known.
    Yes(Option<Origin>),
    No,
}

/// Somebody who has been here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resident {
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) seen: u64,
    /// Whether they have ever said something.
    #[serde(default = "has_spoken")]
    pub(crate) has_spoken: bool,
}

/// Nobody knows it of those who were written down before it was asked.
fn has_spoken() -> bool {
    true
}

/// What `/socket/get-msg` hands out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handed {
    pub(crate) messages: Vec<Heard>,
    /// Letters that were lost, as far as nobody has confirmed to know of it.
    pub(crate) lost: u64,
    /// Who shows both has got all of this.
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    /// Whether more wait than one answer may hold.
    pub(crate) has_more: bool,
    /// What they count.
    pub(crate) bytes: u64,
}

/// What the answer to `ONLINE` says of the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) count: u64,
    pub(crate) lost: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Log {
    epoch: String,
    /// From this number on everything is kept; `last + 1` if that is nothing. Before it, letters that wait may be.
    first: u64,
    /// Number of the last message that ever was; 0 if there was none.
    last: u64,
    /// Milliseconds since 1970, of the last message or of the beginning.
    time: u64,
    /// Up to this number something had to go because there was too much in all, and not too much here. 0 if nothing had.
    #[serde(default)]
    taken: u64,
    /// Letters that were lost, and the number from which on a receipt says that its owner knows.
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    lost_at: u64,
    /// Whether this is all that is known of a room: its tombstone.
    #[serde(default)]
    is_forgotten: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    heard: Heard,
    /// Whether `sent` leads here. A private message is kept twice and found once.
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
    /// Whether something is missing that this log alone would have kept.
    fn is_cut(&self) -> bool {
        self.taken > 0 && self.taken + 1 >= self.first
    }
}

impl Archive {
    /// # Errors
    ///
    /// The file can't be opened, or is not what this program writes.
    pub(crate) fn open(file: &Path, budget: &MemoryBudget) -> Result<Self, redb::Error> {
        let file = file.to_owned();
        let cache = (budget.account(), CACHE_BYTES);
        Self::with(
            cache,
            Box::new(move || {
                let backend = FileBackend::new(open_private_file(&file)?)?;
                let mut builder = Database::builder();
                builder.set_cache_size(CACHE_BYTES);
                // What a damaged page would do later shows now.
                builder.set_check_integrity_on_open(true);
                Ok(builder.create_with_backend(backend)?)
            }),
        )
    }

    /// Forgotten when the process ends.
    pub(crate) fn in_memory(budget: &MemoryBudget) -> Result<Self, redb::Error> {
        let (cache, budget) = ((budget.account(), CACHE_BYTES / 8), budget.clone());
        Self::with(
            cache,
            Box::new(move || {
                let mut builder = Database::builder();
                // It is memory already.
                builder.set_cache_size(CACHE_BYTES / 8);
                Ok(builder.create_with_backend(segments::Segments::new(budget.account()))?)
            }),
        )
    }

    /// `cache` is what the database keeps of it in memory.
    fn with((mut cache, bytes): (MemoryAccount, usize), open: Open) -> Result<Self, redb::Error> {
        cache.set(bytes);
        let (database, ledger) = prepared(&open)?;
        Ok(Self {
            database: Some(database),
            ledger,
            open,
            _cache: cache,
        })
    }

    /// After an error of the disk: the database takes nothing more before it was opened again.
    pub(crate) fn reopen(&mut self) -> Result<(), redb::Error> {
        // The old one holds a lock on the file.
        self.database = None;
        let (database, ledger) = prepared(&self.open)?;
        (self.database, self.ledger) = (Some(database), ledger);
        Ok(())
    }

    /// Everybody who has been here.
    pub(crate) fn people(&self) -> Result<Vec<(Address, Resident)>, redb::Error> {
        let table = self.database()?.begin_read()?.open_table(PEOPLE)?;
        let mut people = Vec::new();
        for row in table.iter()? {
            let (address, resident) = row?;
            let Some(address) = Address::parse(address.value()) else {
                continue;
            };
            people.push((address, decoded(resident.value())?));
        }
        Ok(people)
    }

    /// A transaction, and the ledger that it changes. After a failure the archive has to be opened again, which makes the
    /// ledger anew; after a commit the ledger is handed back to [`Archive::keep`].
    pub(crate) fn begin(&mut self) -> Result<(WriteTransaction, Ledger), redb::Error> {
        let transaction = self.database()?.begin_write()?;
        Ok((transaction, mem::take(&mut self.ledger)))
    }

    pub(crate) fn keep(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    #[cfg(test)]
    fn ledger(&self) -> &Ledger {
        &self.ledger
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

/// With all its tables, as this version knows them, and counted.
fn prepared(open: &Open) -> Result<(Database, Ledger), redb::Error> {
    let database = open()?;
    let transaction = database.begin_write()?;
    let ledger = {
        let mut logs = transaction.open_table(LOGS)?;
        let mut lost = transaction.open_table(LOST)?;
        take_over_losses(&mut logs, &mut lost)?;
        transaction.open_table(SENT)?;
        transaction.open_table(PEOPLE)?;
        let mut letters = transaction.open_table(LETTERS)?;
        // An earlier version kept those that somebody had got, and who: they don't wait, and would fill a mailbox.
        letters.retain(|_, holder| holder == UNUSED)?;
        counted(&logs, &transaction.open_table(MESSAGES)?, &letters)?
    };
    // The order of all messages, which an earlier version kept.
    transaction.delete_table(ORDER)?;
    transaction.commit()?;
    Ok((database, ledger))
}

/// An earlier version kept the number of lost letters in a table of its own.
fn take_over_losses(
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

/// Walks all tables once.
fn counted(
    logs: &impl redb::ReadableTable<&'static str, &'static [u8]>,
    messages: &impl redb::ReadableTable<(&'static str, u64), &'static [u8]>,
    letters: &impl redb::ReadableTable<(&'static str, u64), u64>,
) -> Result<Ledger, redb::Error> {
    let mut ledger = Ledger::default();
    for row in logs.iter()? {
        let (key, log) = row?;
        let (name, log) = (LogName(key.value().into()), decoded::<Log>(log.value())?);
        match log.is_forgotten {
            true => ledger.add_tombstone(&name, log.time),
            false => ledger.begin_log(&name, log.time, None),
        }
    }
    for row in messages.iter()? {
        let (place, kept) = row?;
        let (key, seq) = place.value();
        let (name, bytes) = (LogName(key.into()), pages::bytes_of(kept.value()));
        if letters.get((key, seq))?.is_none() {
            ledger.add_history(&name, bytes);
            continue;
        }
        let heard = decoded::<Kept>(kept.value())?.heard;
        let letter = Letter {
            bytes,
            from: heard.from.address,
            origin: None,
            time: heard.time,
        };
        ledger.add_letter(&name, seq, letter);
    }
    Ok(ledger)
}

impl Heard {
    /// A message that has no number yet.
    pub(crate) fn unfiled(from: Known, text: String, time: u64, id: Option<String>) -> Self {
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

/// In the table of letters, where there was once who had got it.
const UNUSED: u64 = 0;

const LOGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("logs");
const MESSAGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("messages");
const LETTERS: TableDefinition<'_, (&str, u64), u64> = TableDefinition::new("letters");
const SENT: TableDefinition<'_, (&str, &str), (&str, u64, u64)> = TableDefinition::new("sent");
const ORDER: TableDefinition<'_, u64, (&str, u64)> = TableDefinition::new("order");
const LOST: TableDefinition<'_, &str, u64> = TableDefinition::new("lost");
const PEOPLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("people");

/// Bytes of the file that are kept in memory, to read and to write.
const CACHE_BYTES: usize = 8 << 20;

#[cfg(test)]
pub(crate) mod tests;
