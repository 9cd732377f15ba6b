//! The tables in one transaction, and the rules that keep them within their limits.

use std::sync::Arc;

use redb::{ReadableTable as _, Table, WriteTransaction};
use uuid::Uuid;

use super::{
    ArchiveCounts, Delivery, LOGS, LOST, Log, LogName, MESSAGES, PEOPLE, PersonRecord, QUEUED,
    QueuedMessage, SENT, StoredAs, StoredMessage, UNUSED, Waiting, decoded, encoded,
};
use crate::chat::{
    Limits,
    client_network::ClientNetwork,
    protocol::{ChatMessage, Past, Since},
    receipt::Receipt,
};
use crate::identity::Address;

/// The tables in one transaction. If the transaction isn't committed, the counts are wrong and the caller reopens the
/// archive.
pub(crate) struct Pages<'t> {
    logs: Table<'t, &'static str, &'static [u8]>,
    messages: Table<'t, (&'static str, u64), &'static [u8]>,
    queued: Table<'t, (&'static str, u64), u64>,
    sent: Table<'t, (&'static str, &'static str), (&'static str, u64, u64)>,
    lost: Table<'t, &'static str, u64>,
    people: Table<'t, &'static str, &'static [u8]>,
    counts: &'t mut ArchiveCounts,
    limits: &'t Limits,
    has_changed: bool,
}

impl<'t> Pages<'t> {
    pub(crate) fn open(
        transaction: &'t WriteTransaction,
        limits: &'t Limits,
        counts: &'t mut ArchiveCounts,
    ) -> Result<Self, redb::Error> {
        Ok(Self {
            logs: transaction.open_table(LOGS)?,
            messages: transaction.open_table(MESSAGES)?,
            queued: transaction.open_table(QUEUED)?,
            sent: transaction.open_table(SENT)?,
            lost: transaction.open_table(LOST)?,
            people: transaction.open_table(PEOPLE)?,
            counts,
            limits,
            has_changed: false,
        })
    }

    /// Returns whether there is anything to commit.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    pub(crate) fn counts(&self) -> &ArchiveCounts {
        self.counts
    }

    // ---- Messages ------------------------------------------------------------------------------------------

    /// Returns whether all limits allow one more queued message for a recipient.
    pub(crate) fn admits(
        &self,
        name: &LogName,
        heard: &ChatMessage,
        origin: Option<ClientNetwork>,
    ) -> bool {
        let queued_message = queued_message(heard, bytes_of(&encoded(heard)), origin);
        self.counts.admits(name, &queued_message, self.limits)
    }

    /// Stores a message and sets its number. A queued message must have been admitted before.
    pub(crate) fn append(
        &mut self,
        name: &LogName,
        heard: &mut ChatMessage,
        stored_as: StoredAs,
    ) -> Result<(), redb::Error> {
        self.has_changed = true;
        let key = name.as_str();
        let mut log = self.log(name, heard.time)?;
        log.last += 1;
        log.time = heard.time;
        heard.seq = log.last;
        let mut is_indexed = false;
        if let Some(id) = &heard.id {
            let from = heard.from.address.to_string();
            is_indexed = self.sent.get((from.as_str(), id.as_str()))?.is_none();
            if is_indexed {
                let found = (key, heard.seq, heard.time);
                self.sent.insert((from.as_str(), id.as_str()), found)?;
            }
        }
        let kept = encoded(&StoredMessage {
            heard: heard.clone(),
            is_indexed,
        });
        self.messages.insert((key, heard.seq), kept.as_slice())?;
        self.put_log(name, &log)?;
        let bytes = bytes_of(&kept);
        match stored_as {
            StoredAs::Queued(origin) => {
                self.queued.insert((key, heard.seq), UNUSED)?;
                let queued_message = queued_message(heard, bytes, origin);
                self.counts.add_queued(name, heard.seq, queued_message);
            }
            StoredAs::History => {
                self.counts.add_history(name, bytes);
                self.make_room(name)?;
            }
        }
        Ok(())
    }

    /// Returns number and time of the message that this person has sent before under this id.
    pub(crate) fn sent(&self, from: Address, id: &str) -> Result<Option<(u64, u64)>, redb::Error> {
        let found = self.sent.get((from.to_string().as_str(), id))?;
        Ok(found.map(|found| (found.value().1, found.value().2)))
    }

    /// Returns the part of a history for a page that joins (`None`) or reconnects.
    pub(crate) fn past(
        &mut self,
        name: &LogName,
        since: Option<&Since>,
    ) -> Result<Past, redb::Error> {
        let Some(log) = self.find(name)? else {
            return Ok(Past::default());
        };
        let (read, complete) = match since {
            None => (0, !log.is_cut()),
            Some(since) => {
                let is_same = since.epoch.as_ref().is_none_or(|epoch| *epoch == log.epoch);
                match is_same && since.seq <= log.last {
                    true => (since.seq, since.seq + 1 >= log.first),
                    false => (0, false),
                }
            }
        };
        Ok(Past {
            messages: self.text(name, &log, read)?,
            epoch: log.epoch,
            seq: log.last,
            complete,
        })
    }

    /// Returns the messages after number `read` as a JSON array. All pages that join a room share the same text.
    fn text(&mut self, name: &LogName, log: &Log, read: u64) -> Result<Arc<str>, redb::Error> {
        let is_shared = read == 0 && name.is_room();
        if is_shared && let Some(text) = self.counts.shared(name, (log.first, log.last)) {
            return Ok(text);
        }
        let mut messages = Vec::new();
        if read < log.last {
            let key = name.as_str();
            for row in self.messages.range((key, read + 1)..=(key, log.last))? {
                messages.push(decoded::<StoredMessage>(row?.1.value())?.heard);
            }
        }
        let text = serde_json::to_string(&messages).expect("messages are JSON");
        let text: Arc<str> = text.into();
        if is_shared {
            self.counts.share(name, (log.first, log.last), &text);
        }
        Ok(text)
    }

    // ---- Queued messages ------------------------------------------------------------------------------------

    /// Removes the queued messages that a receipt confirms.
    pub(crate) fn confirm(&mut self, name: &LogName, receipt: &Receipt) -> Result<(), redb::Error> {
        let Some(mut log) = self.find(name)?.filter(|log| log.epoch == receipt.epoch) else {
            return Ok(());
        };
        let queued = self.counts.queued_of(name).map(|(seq, _)| seq);
        let heard: Vec<u64> = queued.take_while(|seq| *seq <= receipt.seq).collect();
        for seq in &heard {
            self.queued.remove((name.as_str(), *seq))?;
            if let Some(bytes) = self.counts.remove_queued(name, *seq) {
                self.counts.add_history(name, bytes);
            }
        }
        if log.lost > 0 && log.lost_at <= receipt.seq {
            log.lost = 0;
            self.put_log(name, &log)?;
        }
        if !heard.is_empty() {
            self.has_changed = true;
            self.make_room(name)?;
        }
        Ok(())
    }

    /// Returns the oldest queued messages, up to the limit of one answer. They wait until they are confirmed.
    pub(crate) fn hand_out(&self, name: &LogName) -> Result<Delivery, redb::Error> {
        let Some(log) = self.find(name)? else {
            return Ok(Delivery::default());
        };
        let mut handed = Delivery {
            epoch: log.epoch,
            seq: log.last,
            lost: log.lost,
            ..Delivery::default()
        };
        for (seq, queued_message) in self.counts.queued_of(name) {
            handed.bytes += queued_message.bytes;
            if handed.bytes > self.limits.handed_bytes_max && !handed.messages.is_empty() {
                handed.seq = handed
                    .messages
                    .last()
                    .map_or(0, |heard: &ChatMessage| heard.seq);
                handed.has_more = true;
                break;
            }
            if let Some(kept) = self.messages.get((name.as_str(), seq))? {
                handed
                    .messages
                    .push(decoded::<StoredMessage>(kept.value())?.heard);
            }
        }
        Ok(handed)
    }

    pub(crate) fn waiting(&self, name: &LogName) -> Result<Waiting, redb::Error> {
        let count = self.counts.queued_of(name).count() as u64;
        let lost = self.find(name)?.map_or(0, |log| log.lost);
        Ok(Waiting { count, lost })
    }

    /// Removes queued messages older than `time`. Their recipients are told how many.
    pub(crate) fn expire_queued(&mut self, time: u64) -> Result<(), redb::Error> {
        for (name, seq) in self.counts.queued_before(time) {
            self.remove(&name, seq)?;
            let Some(mut log) = self.find(&name)? else {
                continue;
            };
            // The loss takes a number, so that earlier receipts don't confirm it.
            log.last += 1;
            log.lost += 1;
            log.lost_at = log.last;
            self.put_log(&name, &log)?;
        }
        Ok(())
    }

    // ---- Logs ----------------------------------------------------------------------------------------------

    /// Returns whether the log exists and is no tombstone.
    pub(crate) fn has(&self, name: &LogName) -> Result<bool, redb::Error> {
        Ok(self.find(name)?.is_some_and(|log| !log.is_forgotten))
    }

    /// Creates a history if there is none, so that it has an identity before its first message.
    pub(crate) fn begin(
        &mut self,
        name: &LogName,
        time: u64,
        origin: Option<ClientNetwork>,
    ) -> Result<(), redb::Error> {
        if self.has(name)? {
            return Ok(());
        }
        self.counts.begin_log(name, time, origin);
        let mut log = self.log(name, time)?;
        if log.is_forgotten {
            self.counts.remove_tombstone(name, log.time);
            log.is_forgotten = false;
        } else if name.is_room() && self.lost.get(DROPPED_TOMBSTONES)?.is_some() {
            // The room may have existed before, without a tombstone left. Number 1 stands for messages it may have had.
            (log.first, log.last, log.taken) = (2, 1, 1);
        }
        log.time = time;
        self.put_log(name, &log)
    }

    /// Removes a room. Leaves a tombstone if it had messages.
    pub(crate) fn forget_room(&mut self, name: &LogName) -> Result<(), redb::Error> {
        self.remove_all(name)?;
        self.counts.end_log(name);
        let Some(mut log) = self.find(name)? else {
            return Ok(());
        };
        if log.last == 0 {
            self.logs.remove(name.as_str())?;
            return Ok(());
        }
        (log.first, log.taken, log.is_forgotten) = (log.last + 1, log.last, true);
        self.put_log(name, &log)?;
        self.counts.add_tombstone(name, log.time);
        while let Some((time, oldest)) = self.counts.tombstone_to_drop(self.limits) {
            self.counts.remove_tombstone(&oldest, time);
            self.logs.remove(oldest.as_str())?;
            self.lost.insert(DROPPED_TOMBSTONES, 1)?;
        }
        Ok(())
    }

    pub(crate) fn put_person(
        &mut self,
        address: Address,
        record: &PersonRecord,
    ) -> Result<(), redb::Error> {
        self.has_changed = true;
        self.people
            .insert(address.to_string().as_str(), encoded(record).as_slice())?;
        Ok(())
    }

    /// Removes a person with their private messages.
    pub(crate) fn forget_person(&mut self, address: Address) -> Result<(), redb::Error> {
        let name = LogName::person(address);
        self.remove_all(&name)?;
        self.counts.end_log(&name);
        self.logs.remove(name.as_str())?;
        self.people.remove(address.to_string().as_str())?;
        Ok(())
    }

    fn find(&self, name: &LogName) -> Result<Option<Log>, redb::Error> {
        let row = self.logs.get(name.as_str())?;
        row.map(|row| decoded(row.value())).transpose()
    }

    fn log(&mut self, name: &LogName, time: u64) -> Result<Log, redb::Error> {
        if let Some(log) = self.find(name)? {
            return Ok(log);
        }
        self.counts.begin_log(name, time, None);
        Ok(Log {
            epoch: Uuid::new_v4().simple().to_string(),
            first: 1,
            time,
            ..Log::default()
        })
    }

    fn put_log(&mut self, name: &LogName, log: &Log) -> Result<(), redb::Error> {
        self.has_changed = true;
        self.counts.touch_log(name, log.time);
        self.logs.insert(name.as_str(), encoded(log).as_slice())?;
        Ok(())
    }

    // ---- Making room ---------------------------------------------------------------------------------------

    /// Removes history beyond the limits of this log and of all logs.
    fn make_room(&mut self, name: &LogName) -> Result<(), redb::Error> {
        while self.counts.is_log_full(name, self.limits) {
            if !self.remove_oldest(name)? {
                break;
            }
        }
        while let Some(largest) = self.counts.largest(self.limits) {
            let before = self.find(&largest)?.map_or(0, |log| log.first);
            if !self.remove_oldest(&largest)? {
                break;
            }
            if let Some(mut log) = self.find(&largest)?.filter(|log| log.first > before) {
                log.taken = log.first - 1;
                self.put_log(&largest, &log)?;
            }
        }
        Ok(())
    }

    /// Removes the oldest message that isn't queued. Returns whether there was one.
    fn remove_oldest(&mut self, name: &LogName) -> Result<bool, redb::Error> {
        let key = name.as_str();
        let mut oldest = None;
        for row in self.messages.range((key, 0)..=(key, u64::MAX))? {
            let seq = row?.0.value().1;
            if !self.counts.is_queued(name, seq) {
                oldest = Some(seq);
                break;
            }
        }
        match oldest {
            Some(seq) => self.remove(name, seq).map(|()| true),
            None => Ok(false),
        }
    }

    fn remove_all(&mut self, name: &LogName) -> Result<(), redb::Error> {
        self.has_changed = true;
        let key = name.as_str();
        let mut all = Vec::new();
        for row in self.messages.range((key, 0)..=(key, u64::MAX))? {
            all.push(row?.0.value().1);
        }
        all.into_iter().try_for_each(|seq| self.remove(name, seq))
    }

    fn remove(&mut self, name: &LogName, seq: u64) -> Result<(), redb::Error> {
        self.has_changed = true;
        let key = name.as_str();
        let (kept, bytes) = match self.messages.remove((key, seq))? {
            Some(kept) => (
                decoded::<StoredMessage>(kept.value())?,
                bytes_of(kept.value()),
            ),
            None => return Ok(()),
        };
        if let Some(id) = kept.heard.id.as_ref().filter(|_| kept.is_indexed) {
            let from = kept.heard.from.address.to_string();
            self.sent.remove((from.as_str(), id.as_str()))?;
        }
        self.queued.remove((key, seq))?;
        if self.counts.remove_queued(name, seq).is_none() {
            self.counts.remove_history(name, bytes);
        }
        if let Some(mut log) = self.find(name)? {
            log.first = log.first.max(seq + 1);
            self.put_log(name, &log)?;
        }
        Ok(())
    }
}

fn queued_message(heard: &ChatMessage, bytes: u64, origin: Option<ClientNetwork>) -> QueuedMessage {
    QueuedMessage {
        bytes,
        from: heard.from.address,
        origin,
        time: heard.time,
    }
}

/// Returns the bytes that a message counts: itself and its keys in the tables.
pub(super) fn bytes_of(kept: &[u8]) -> u64 {
    kept.len() as u64 + ENTRY_BYTES
}

/// Bytes. The keys in `messages`, `queued` and `sent`, and their share of a page.
const ENTRY_BYTES: u64 = 256;

/// The key in the table `lost` that says whether tombstones were dropped.
const DROPPED_TOMBSTONES: &str = "tombstones";
