//! Counts of the tables' contents, so that the tables need not be read for every message.
//!
//! A message is either history, which is removed when newer messages need room, or a queued one, which is not: its
//! sender was told that it waits. Bytes are counted for each sender and network, so that none can use all of the room.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::LogName;
use crate::{
    chat::{Limits, client_network::ClientNetwork},
    identity::Address,
};

/// Counts of the archive's contents.
#[derive(Debug, Default)]
pub(crate) struct ArchiveCounts {
    logs: HashMap<LogName, Account>,
    /// All logs that have history, ordered by its bytes; the largest last.
    by_history: BTreeSet<(u64, LogName)>,
    /// Bytes of all history.
    history_bytes: u64,
    /// All queued messages, by recipient and number.
    queued: BTreeMap<(LogName, u64), QueuedMessage>,
    queued_bytes: u64,
    /// Bytes of queued messages by sender. Never 0.
    by_sender: HashMap<Address, u64>,
    /// Bytes of queued messages by the sender's network. Never 0.
    by_origin: HashMap<ClientNetwork, u64>,
    /// Rooms by the network from which they were created. Never 0.
    rooms_by_origin: HashMap<ClientNetwork, usize>,
    /// The number of rooms.
    rooms: usize,
    /// Tombstones of forgotten rooms, by the time of their last use.
    tombstones: BTreeSet<(u64, LogName)>,
    /// Histories as JSON with the first and last number in them, for pages that join the same room.
    shared: HashMap<LogName, ((u64, u64), Arc<str>)>,
    shared_bytes: usize,
}

/// Counts of one log.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    history_bytes: u64,
    history_count: u64,
    queued_bytes: u64,
    /// When the last message was sent, or the history began, in milliseconds since 1970.
    time: u64,
    /// The network from which it was created, if that was during this process.
    origin: Option<ClientNetwork>,
}

/// A queued message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedMessage {
    pub(crate) bytes: u64,
    pub(crate) from: Address,
    /// Not stored on disk, for privacy.
    pub(crate) origin: Option<ClientNetwork>,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
}

/// A room that may be forgotten for a new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Rooms without history come first.
    has_history: bool,
    time: u64,
    log: LogName,
}

impl ArchiveCounts {
    // ---- Inputs --------------------------------------------------------------------------------------------

    pub(crate) fn begin_log(&mut self, log: &LogName, time: u64, origin: Option<ClientNetwork>) {
        if self.logs.contains_key(log) {
            return;
        }
        if log.is_room() {
            self.rooms += 1;
            if let Some(origin) = origin {
                *self.rooms_by_origin.entry(origin).or_default() += 1;
            }
        }
        let account = Account {
            time,
            origin,
            ..Account::default()
        };
        self.logs.insert(log.clone(), account);
    }

    pub(crate) fn touch_log(&mut self, log: &LogName, time: u64) {
        if let Some(account) = self.logs.get_mut(log) {
            account.time = time;
        }
    }

    /// Removes a log whose contents were removed before.
    pub(crate) fn end_log(&mut self, log: &LogName) {
        let Some(account) = self.logs.remove(log) else {
            return;
        };
        if log.is_room() {
            self.rooms -= 1;
            if let Some(origin) = account.origin {
                subtract(&mut self.rooms_by_origin, origin, 1);
            }
        }
    }

    pub(crate) fn add_tombstone(&mut self, log: &LogName, time: u64) {
        self.tombstones.insert((time, log.clone()));
    }

    pub(crate) fn remove_tombstone(&mut self, log: &LogName, time: u64) {
        self.tombstones.remove(&(time, log.clone()));
    }

    pub(crate) fn add_history(&mut self, log: &LogName, bytes: u64) {
        self.change_history(log, |account| {
            account.history_bytes += bytes;
            account.history_count += 1;
        });
    }

    pub(crate) fn remove_history(&mut self, log: &LogName, bytes: u64) {
        self.change_history(log, |account| {
            account.history_bytes = account.history_bytes.saturating_sub(bytes);
            account.history_count = account.history_count.saturating_sub(1);
        });
    }

    pub(crate) fn add_queued(&mut self, log: &LogName, seq: u64, queued_message: QueuedMessage) {
        self.queued_bytes += queued_message.bytes;
        *self.by_sender.entry(queued_message.from).or_default() += queued_message.bytes;
        if let Some(origin) = queued_message.origin {
            *self.by_origin.entry(origin).or_default() += queued_message.bytes;
        }
        if let Some(account) = self.logs.get_mut(log) {
            account.queued_bytes += queued_message.bytes;
        }
        self.queued.insert((log.clone(), seq), queued_message);
    }

    /// Removes a queued message that was confirmed or is too old. Returns its bytes.
    pub(crate) fn remove_queued(&mut self, log: &LogName, seq: u64) -> Option<u64> {
        let queued_message = self.queued.remove(&(log.clone(), seq))?;
        self.queued_bytes -= queued_message.bytes;
        subtract(
            &mut self.by_sender,
            queued_message.from,
            queued_message.bytes,
        );
        if let Some(origin) = queued_message.origin {
            subtract(&mut self.by_origin, origin, queued_message.bytes);
        }
        if let Some(account) = self.logs.get_mut(log) {
            account.queued_bytes -= queued_message.bytes;
        }
        Some(queued_message.bytes)
    }

    /// Stores a history's JSON for the next page that joins.
    pub(crate) fn share(&mut self, log: &LogName, numbers: (u64, u64), text: &Arc<str>) {
        if self.shared_bytes + text.len() > SHARED_BYTES_MAX {
            self.shared.clear();
            self.shared_bytes = 0;
        }
        let entry = (numbers, Arc::clone(text));
        self.shared_bytes += text.len();
        if let Some((_, old)) = self.shared.insert(log.clone(), entry) {
            self.shared_bytes -= old.len();
        }
    }

    // ---- Queries ------------------------------------------------------------------------------------------

    /// Returns the stored JSON of a history with these numbers.
    pub(crate) fn shared(&self, log: &LogName, numbers: (u64, u64)) -> Option<Arc<str>> {
        let (known, text) = self.shared.get(log)?;
        (*known == numbers).then(|| Arc::clone(text))
    }

    /// Returns whether one more message may be queued. A sender and a network can use only a share of a recipient's room, and of all
    /// room.
    pub(crate) fn admits(
        &self,
        log: &LogName,
        queued_message: &QueuedMessage,
        limits: &Limits,
    ) -> bool {
        let receiver_bytes_max = limits.queued_receiver_bytes_max;
        let (mut from_sender, mut from_origin) = (queued_message.bytes, queued_message.bytes);
        for (_, other) in self.queued_of(log) {
            if other.from == queued_message.from {
                from_sender += other.bytes;
            }
            if queued_message.origin.is_some() && other.origin == queued_message.origin {
                from_origin += other.bytes;
            }
        }
        let account = self.logs.get(log).copied().unwrap_or_default();
        let sent = self.by_sender.get(&queued_message.from).unwrap_or(&0);
        let origin = queued_message
            .origin
            .and_then(|origin| self.by_origin.get(&origin));
        from_sender <= receiver_bytes_max / 4
            && from_origin <= receiver_bytes_max / 2
            && account.queued_bytes + queued_message.bytes <= receiver_bytes_max
            && sent + queued_message.bytes <= limits.queued_bytes_max / 32
            && origin.unwrap_or(&0) + queued_message.bytes <= limits.queued_bytes_max / 8
            && self.queued_bytes + queued_message.bytes <= limits.queued_bytes_max
    }

    /// Returns the queued messages in a log, in their order.
    pub(crate) fn queued_of(&self, log: &LogName) -> impl Iterator<Item = (u64, &QueuedMessage)> {
        let range = (log.clone(), 0)..=(log.clone(), u64::MAX);
        let queued = self.queued.range(range);
        queued.map(|((_, seq), queued_message)| (*seq, queued_message))
    }

    pub(crate) fn is_queued(&self, log: &LogName, seq: u64) -> bool {
        self.queued.contains_key(&(log.clone(), seq))
    }

    pub(crate) fn has_queued(&self, log: &LogName) -> bool {
        self.logs
            .get(log)
            .is_some_and(|account| account.queued_bytes > 0)
    }

    /// Returns the queued messages older than `time`.
    pub(crate) fn queued_before(&self, time: u64) -> Vec<(LogName, u64)> {
        let queued = self.queued.iter();
        queued
            .filter(|(_, queued_message)| queued_message.time < time)
            .map(|(place, _)| place.clone())
            .collect()
    }

    /// Returns whether a log's history exceeds its limits.
    pub(crate) fn is_log_full(&self, log: &LogName, limits: &Limits) -> bool {
        let Some(account) = self.logs.get(log) else {
            return false;
        };
        let count_max = match log.is_room() {
            true => limits.history_max,
            false => limits.queued_max,
        };
        account.history_count > count_max as u64
            || account.history_bytes > limits.history_log_bytes_max
    }

    /// Returns the largest log, if all history together exceeds its limit. Its oldest message is removed, so that large logs
    /// never displace small ones.
    pub(crate) fn largest(&self, limits: &Limits) -> Option<LogName> {
        (self.history_bytes > limits.history_bytes_max)
            .then(|| self.by_history.last().map(|(_, log)| log.clone()))
            .flatten()
    }

    /// Returns the room to forget for a new one from this network; `None` if there is room. `Err`: all candidates are in use.
    pub(crate) fn room_to_forget(
        &self,
        origin: Option<ClientNetwork>,
        limits: &Limits,
        is_free: impl Fn(&str) -> bool,
    ) -> Result<Option<LogName>, ()> {
        let begun = origin.and_then(|origin| self.rooms_by_origin.get(&origin));
        let is_over_share = *begun.unwrap_or(&0) >= limits.rooms_per_origin_max;
        if self.rooms < limits.rooms_max && !is_over_share {
            return Ok(None);
        }
        let logs = self.logs.iter();
        logs.filter(|(log, account)| {
            log.room_name().is_some_and(&is_free) && (!is_over_share || account.origin == origin)
        })
        .map(|(log, account)| Candidate {
            has_history: account.history_count > 0,
            time: account.time,
            log: log.clone(),
        })
        .min()
        .map(|candidate| Some(candidate.log))
        .ok_or(())
    }

    /// Returns the oldest tombstone, if there are too many.
    pub(crate) fn tombstone_to_drop(&self, limits: &Limits) -> Option<(u64, LogName)> {
        (self.tombstones.len() > limits.tombstones_max)
            .then(|| self.tombstones.first().cloned())
            .flatten()
    }

    /// Returns all counts for a comparison, except those by network, which are not stored.
    #[cfg(test)]
    pub(crate) fn sums(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let logs = self.logs.iter().map(|(log, account)| {
            let Account {
                history_bytes,
                history_count,
                queued_bytes,
                time,
                ..
            } = *account;
            (
                log.clone(),
                [history_bytes, history_count, queued_bytes, time],
            )
        });
        let logs: BTreeMap<_, _> = logs.collect();
        let queued: Vec<_> = self.queued.keys().cloned().collect();
        let senders: BTreeMap<_, _> = self.by_sender.clone().into_iter().collect();
        let totals = [self.history_bytes, self.queued_bytes, self.rooms as u64];
        let (sizes, tombstones) = (self.by_history.clone(), self.tombstones.clone());
        ((logs, queued, senders), (totals, sizes, tombstones))
    }

    fn change_history(&mut self, log: &LogName, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.logs.get_mut(log) else {
            return;
        };
        let before = account.history_bytes;
        change(account);
        let after = account.history_bytes;
        self.history_bytes = self.history_bytes - before + after;
        if before != after {
            self.by_history.remove(&(before, log.clone()));
            if after > 0 {
                self.by_history.insert((after, log.clone()));
            }
        }
    }
}

/// Most bytes of stored JSON of histories.
const SHARED_BYTES_MAX: usize = 2 << 20;

/// Subtracts from a count, and removes it when it is 0.
fn subtract<K, N>(counts: &mut HashMap<K, N>, key: K, amount: N)
where
    K: Eq + std::hash::Hash,
    N: Copy + PartialEq + std::ops::SubAssign + Default,
{
    if let Some(count) = counts.get_mut(&key) {
        *count -= amount;
        if *count == N::default() {
            counts.remove(&key);
        }
    }
}
