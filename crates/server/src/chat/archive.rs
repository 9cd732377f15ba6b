//! What was said, and who has yet to hear it: an embedded database, in a file or in memory.
//!
//! ```text
//!   logs      "r:tea", "p:ADDRESS" ─> epoch, first and last number, time      a room's history, a person's
//!   messages  (log, number) ─> the message
//!   letters   (log, number) ─> browser that got it, 0 for none                waits for /socket/get-msg
//!   sent      (from, id) ─> log, number, time                                 known when it is sent again
//!   order     running number ─> (log, number)                                 the oldest of all goes first
//!   lost      log ─> how many letters went unheard
//!   people    ADDRESS ─> name, last seen
//! ```

use std::{fmt, path::Path};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, Table,
    TableDefinition, WriteTransaction,
    backends::{FileBackend, InMemoryBackend},
};
use serde::{Deserialize, Serialize};
use sockeye_hub::open_private_file;
use uuid::Uuid;

use super::{
    Limits,
    dialect::{Heard, Known, Past, Since},
    person::Address,
    receipt::Receipt,
};

/// What was said, and who has yet to hear it.
pub(crate) struct Archive {
    /// `None` if it could not be opened again after an error.
    database: Option<Database>,
    open: Open,
}

type Open = Box<dyn Fn() -> Result<Database, redb::Error> + Send>;

/// One transaction's tables. What it changes counts when the transaction is committed, all of it or nothing.
pub(crate) struct Pages<'t> {
    logs: Table<'t, &'static str, &'static [u8]>,
    messages: Table<'t, (&'static str, u64), &'static [u8]>,
    letters: Table<'t, (&'static str, u64), u64>,
    sent: Table<'t, (&'static str, &'static str), (&'static str, u64, u64)>,
    order: Table<'t, u64, (&'static str, u64)>,
    lost: Table<'t, &'static str, u64>,
    people: Table<'t, &'static str, &'static [u8]>,
    limits: &'t Limits,
    has_changed: bool,
}

/// The history of a room, or of a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LogName(String);

/// Whether a message waits until its receiver fetches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    Yes,
    No,
}

/// Somebody who has been here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resident {
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) seen: u64,
}

/// What `/socket/get-msg` hands out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handed {
    pub(crate) messages: Vec<Heard>,
    /// Letters that went unheard since somebody asked.
    pub(crate) lost: u64,
    /// For the receipt.
    pub(crate) epoch: String,
}

/// What the answer to `ONLINE` says of the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) count: u64,
    pub(crate) lost: u64,
}

#[derive(Serialize, Deserialize)]
struct Log {
    epoch: String,
    /// Number of the first message kept; `last + 1` if none is.
    first: u64,
    /// Number of the last message that ever was; 0 if there was none.
    last: u64,
    /// Milliseconds since 1970, of the last message or of the beginning.
    time: u64,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    heard: Heard,
    /// Its place among all.
    order: u64,
    /// Whether `sent` leads here. A private message is kept twice and found once.
    is_indexed: bool,
}

impl LogName {
    pub(crate) fn room(name: &str) -> Self {
        Self(format!("r:{name}"))
    }

    pub(crate) fn person(address: Address) -> Self {
        Self(format!("p:{address}"))
    }
}

impl Archive {
    /// # Errors
    ///
    /// The file can't be opened, or is not what this program writes.
    pub(crate) fn open(file: &Path) -> Result<Self, redb::Error> {
        let file = file.to_owned();
        Self::with(Box::new(move || {
            let backend = FileBackend::new(open_private_file(&file)?)?;
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            // What a damaged page would do later shows now.
            builder.set_check_integrity_on_open(true);
            Ok(builder.create_with_backend(backend)?)
        }))
    }

    /// Forgotten when the process ends.
    pub(crate) fn in_memory() -> Result<Self, redb::Error> {
        Self::with(Box::new(|| {
            Ok(Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(InMemoryBackend::new())?)
        }))
    }

    fn with(open: Open) -> Result<Self, redb::Error> {
        let database = Some(prepared(&open)?);
        Ok(Self { database, open })
    }

    /// After an error of the disk: the database takes nothing more before it was opened again.
    pub(crate) fn reopen(&mut self) -> Result<(), redb::Error> {
        // The old one holds a lock on the file.
        self.database = None;
        self.database = Some(prepared(&self.open)?);
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

    pub(crate) fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        Ok(self.database()?.begin_write()?)
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

/// With all its tables.
fn prepared(open: &Open) -> Result<Database, redb::Error> {
    let database = open()?;
    let transaction = database.begin_write()?;
    Pages::open(&transaction, &Limits::default())?;
    transaction.commit()?;
    Ok(database)
}

impl<'t> Pages<'t> {
    pub(crate) fn open(
        transaction: &'t WriteTransaction,
        limits: &'t Limits,
    ) -> Result<Self, redb::Error> {
        Ok(Self {
            logs: transaction.open_table(LOGS)?,
            messages: transaction.open_table(MESSAGES)?,
            letters: transaction.open_table(LETTERS)?,
            sent: transaction.open_table(SENT)?,
            order: transaction.open_table(ORDER)?,
            lost: transaction.open_table(LOST)?,
            people: transaction.open_table(PEOPLE)?,
            limits,
            has_changed: false,
        })
    }

    /// Whether there is anything to commit.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Files a message and gives it its number.
    pub(crate) fn append(
        &mut self,
        name: &LogName,
        heard: &mut Heard,
        waits: Waits,
    ) -> Result<(), redb::Error> {
        self.has_changed = true;
        let key = name.0.as_str();
        let mut log = self.log(name, heard.time)?;
        log.last += 1;
        log.time = heard.time;
        heard.seq = log.last;
        let order = self.order.last()?.map_or(0, |(order, _)| order.value() + 1);
        let mut is_indexed = false;
        if let Some(id) = &heard.id {
            let from = heard.from.address.to_string();
            is_indexed = self.sent.get((from.as_str(), id.as_str()))?.is_none();
            if is_indexed {
                let found = (key, heard.seq, heard.time);
                self.sent.insert((from.as_str(), id.as_str()), found)?;
            }
        }
        let kept = Kept {
            heard: heard.clone(),
            order,
            is_indexed,
        };
        self.messages
            .insert((key, heard.seq), encoded(&kept).as_slice())?;
        self.order.insert(order, (key, heard.seq))?;
        if waits == Waits::Yes {
            self.letters.insert((key, heard.seq), NOBODY)?;
        }
        self.logs.insert(key, encoded(&log).as_slice())?;
        self.trim(name, log.first, log.last)
    }

    /// Number and time of a message that this person has sent under this id before.
    pub(crate) fn sent(&self, from: Address, id: &str) -> Result<Option<(u64, u64)>, redb::Error> {
        let found = self.sent.get((from.to_string().as_str(), id))?;
        Ok(found.map(|found| (found.value().1, found.value().2)))
    }

    /// What there is of a history for somebody who comes (`None`) or returns.
    pub(crate) fn past(&self, name: &LogName, since: Option<&Since>) -> Result<Past, redb::Error> {
        let Some(log) = self.find(name)? else {
            return Ok(Past::default());
        };
        let (read, complete) = match since {
            None => (0, true),
            Some(since) => {
                let is_same = since.epoch.as_ref().is_none_or(|epoch| *epoch == log.epoch);
                match is_same && since.seq <= log.last {
                    true => (since.seq, since.seq + 1 >= log.first),
                    false => (0, false),
                }
            }
        };
        let mut messages = Vec::new();
        if read < log.last {
            for row in self
                .messages
                .range((name.0.as_str(), read + 1)..=(name.0.as_str(), log.last))?
            {
                messages.push(decoded::<Kept>(row?.1.value())?.heard);
            }
        }
        Ok(Past {
            epoch: log.epoch,
            seq: log.last,
            complete,
            messages,
        })
    }

    /// Hands out what waits, each letter to one browser. What this browser's receipt covers is struck out; what it was
    /// handed and doesn't show is handed out again, unless an answer to it may still be on its way.
    pub(crate) fn hand_out(
        &mut self,
        name: &LogName,
        receipt: Option<&Receipt>,
        is_leased: bool,
    ) -> Result<Handed, redb::Error> {
        let key = name.0.as_str();
        let Some(log) = self.find(name)? else {
            return Ok(Handed::default());
        };
        let jar = receipt.map_or(NOBODY, |receipt| receipt.jar);
        let mut letters = Vec::new();
        for row in self.letters.range((key, 0)..=(key, u64::MAX))? {
            let (place, handed) = row?;
            letters.push((place.value().1, handed.value()));
        }
        let mut handed = Handed {
            epoch: log.epoch,
            ..Handed::default()
        };
        for (seq, holder) in letters {
            self.has_changed = true;
            let was_ours = holder != NOBODY && holder == jar;
            if was_ours && receipt.is_some_and(|receipt| receipt.covers(&handed.epoch, seq)) {
                self.letters.remove((key, seq))?;
                continue;
            }
            let is_ours = holder == NOBODY || (was_ours && !is_leased);
            if !is_ours {
                continue;
            }
            if let Some(kept) = self.messages.get((key, seq))? {
                handed.messages.push(decoded::<Kept>(kept.value())?.heard);
            }
            // Who shows no receipt can't prove anything later either.
            match receipt {
                Some(_) => self.letters.insert((key, seq), jar)?,
                None => self.letters.remove((key, seq))?,
            };
        }
        handed.lost = self.lost.remove(key)?.map_or(0, |lost| lost.value());
        self.has_changed |= handed.lost > 0;
        Ok(handed)
    }

    pub(crate) fn waiting(&self, name: &LogName) -> Result<Waiting, redb::Error> {
        let key = name.0.as_str();
        let mut count = 0;
        for row in self.letters.range((key, 0)..=(key, u64::MAX))? {
            count += u64::from(row?.1.value() == NOBODY);
        }
        let lost = self.lost.get(key)?.map_or(0, |lost| lost.value());
        Ok(Waiting { count, lost })
    }

    pub(crate) fn has(&self, name: &LogName) -> Result<bool, redb::Error> {
        Ok(self.logs.get(name.0.as_str())?.is_some())
    }

    /// Begins a history if there is none, so that it has an identity before its first message.
    pub(crate) fn begin(&mut self, name: &LogName, time: u64) -> Result<(), redb::Error> {
        if !self.has(name)? {
            self.has_changed = true;
            let log = self.log(name, time)?;
            self.logs
                .insert(name.0.as_str(), encoded(&log).as_slice())?;
        }
        Ok(())
    }

    /// How many rooms have a history, and among those that `is_free` names the one that was silent longest.
    pub(crate) fn rooms(
        &self,
        is_free: impl Fn(&str) -> bool,
    ) -> Result<(usize, Option<String>), redb::Error> {
        let (mut count, mut oldest) = (0, None);
        for row in self.logs.range("r:".."r;")? {
            let (key, log) = row?;
            count += 1;
            let room = &key.value()[2..];
            let time = decoded::<Log>(log.value())?.time;
            if is_free(room) && oldest.as_ref().is_none_or(|(other, _)| time < *other) {
                oldest = Some((time, room.to_owned()));
            }
        }
        Ok((count, oldest.map(|(_, room)| room)))
    }

    /// Forgets a history and what waits in it.
    pub(crate) fn forget(&mut self, name: &LogName) -> Result<(), redb::Error> {
        self.has_changed = true;
        if let Some(log) = self.find(name)? {
            for seq in log.first..=log.last {
                self.remove(name, seq)?;
            }
        }
        self.logs.remove(name.0.as_str())?;
        self.lost.remove(name.0.as_str())?;
        Ok(())
    }

    pub(crate) fn put_person(
        &mut self,
        address: Address,
        resident: &Resident,
    ) -> Result<(), redb::Error> {
        self.has_changed = true;
        self.people
            .insert(address.to_string().as_str(), encoded(resident).as_slice())?;
        Ok(())
    }

    pub(crate) fn forget_person(&mut self, address: Address) -> Result<(), redb::Error> {
        self.people.remove(address.to_string().as_str())?;
        self.forget(&LogName::person(address))
    }

    fn find(&self, name: &LogName) -> Result<Option<Log>, redb::Error> {
        let row = self.logs.get(name.0.as_str())?;
        row.map(|row| decoded(row.value())).transpose()
    }

    fn log(&self, name: &LogName, time: u64) -> Result<Log, redb::Error> {
        Ok(self.find(name)?.unwrap_or_else(|| Log {
            epoch: Uuid::new_v4().simple().to_string(),
            first: 1,
            last: 0,
            time,
        }))
    }

    /// Keeps to the limits: of this history, and of all.
    fn trim(&mut self, name: &LogName, first: u64, last: u64) -> Result<(), redb::Error> {
        let keep = match name.0.starts_with("r:") {
            true => self.limits.history_max,
            false => self.limits.letters_max,
        };
        let surplus = (last + 1 - first).saturating_sub(keep as u64);
        for seq in first..first + surplus {
            self.remove(name, seq)?;
        }
        while self.order.len()? > self.limits.kept_max {
            let oldest = self.order.pop_first()?;
            let Some((name, seq)) = oldest.map(|(_, place)| {
                let (log, seq) = place.value();
                (LogName(log.to_owned()), seq)
            }) else {
                break;
            };
            self.remove(&name, seq)?;
        }
        Ok(())
    }

    fn remove(&mut self, name: &LogName, seq: u64) -> Result<(), redb::Error> {
        let key = name.0.as_str();
        let kept = match self.messages.remove((key, seq))? {
            Some(kept) => decoded::<Kept>(kept.value())?,
            None => return Ok(()),
        };
        self.order.remove(kept.order)?;
        if let Some(id) = kept.heard.id.as_ref().filter(|_| kept.is_indexed) {
            let from = kept.heard.from.address.to_string();
            self.sent.remove((from.as_str(), id.as_str()))?;
        }
        let holder = self.letters.remove((key, seq))?.map(|jar| jar.value());
        if holder == Some(NOBODY) {
            let lost = self.lost.get(key)?.map_or(0, |lost| lost.value());
            self.lost.insert(key, lost + 1)?;
        }
        if let Some(mut log) = self.find(name)? {
            log.first = log.first.max(seq + 1);
            self.logs.insert(key, encoded(&log).as_slice())?;
        }
        Ok(())
    }
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

const LOGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("logs");
const MESSAGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("messages");
const LETTERS: TableDefinition<'_, (&str, u64), u64> = TableDefinition::new("letters");
const SENT: TableDefinition<'_, (&str, &str), (&str, u64, u64)> = TableDefinition::new("sent");
const ORDER: TableDefinition<'_, u64, (&str, u64)> = TableDefinition::new("order");
const LOST: TableDefinition<'_, &str, u64> = TableDefinition::new("lost");
const PEOPLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("people");

/// Bytes of the file that are kept in memory, to read and to write.
const CACHE_BYTES: usize = 8 << 20;

/// No browser: the letter waits.
const NOBODY: u64 = 0;

#[cfg(test)]
pub(crate) mod tests;
