//! What is kept, counted: the tables hold the same, but would have to be walked for every message.
//!
//! A message is either history, which makes room for newer messages, or a letter that waits, which makes room for nothing:
//! its sender was told that it waits. Who fills what is counted too, so that nobody takes all of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::LogName;
use crate::chat::{Limits, origin::Origin, person::Address};

/// What is kept, counted in bytes.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    logs: HashMap<LogName, Account>,
    /// All logs that have history, by how much of it; the largest last.
    by_history: BTreeSet<(u64, LogName)>,
    /// Of all logs together.
    history_bytes: u64,
    /// All letters that wait, by receiver and number.
    letters: BTreeMap<(LogName, u64), Letter>,
    letters_bytes: u64,
    /// Bytes of the letters that each sender has waiting. Never 0.
    by_sender: HashMap<Address, u64>,
    /// Bytes of the letters that wait from each network address. Never 0.
    by_origin: HashMap<Origin, u64>,
    /// Rooms that were begun from each network address. Never 0.
    rooms_by_origin: HashMap<Origin, usize>,
    /// Rooms that are remembered.
    rooms: usize,
    /// Rooms of which only the name is known and that there was something, by when they were last in use.
    tombstones: BTreeSet<(u64, LogName)>,
    /// Whole histories as text, for those who come to the same rooms: with the first and the last number in it.
    shared: HashMap<LogName, ((u64, u64), Arc<str>)>,
    shared_bytes: usize,
}

/// What one log holds.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    history_bytes: u64,
    history_count: u64,
    letters_bytes: u64,
    /// Milliseconds since 1970, of the last message or of the beginning.
    time: u64,
    /// Where its first visitor came from, as long as the process remembers.
    origin: Option<Origin>,
}

/// A letter that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    pub(crate) bytes: u64,
    pub(crate) from: Address,
    /// Not kept on disk, so that nobody finds it there.
    pub(crate) origin: Option<Origin>,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
}

/// A room that may have to make room for another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Those in which nobody has spoken go first.
    has_history: bool,
    time: u64,
    log: LogName,
}

impl Ledger {
    // ---- What happens --------------------------------------------------------------------------------------

    pub(crate) fn begin_log(&mut self, log: &LogName, time: u64, origin: Option<Origin>) {
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

    /// The log is no more; what it held was removed before.
    pub(crate) fn end_log(&mut self, log: &LogName) {
        let Some(account) = self.logs.remove(log) else {
            return;
        };
        if log.is_room() {
            self.rooms -= 1;
            if let Some(origin) = account.origin {
                take_away(&mut self.rooms_by_origin, origin, 1);
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

    pub(crate) fn add_letter(&mut self, log: &LogName, seq: u64, letter: Letter) {
        self.letters_bytes += letter.bytes;
        *self.by_sender.entry(letter.from).or_default() += letter.bytes;
        if let Some(origin) = letter.origin {
            *self.by_origin.entry(origin).or_default() += letter.bytes;
        }
        if let Some(account) = self.logs.get_mut(log) {
            account.letters_bytes += letter.bytes;
        }
        self.letters.insert((log.clone(), seq), letter);
    }

    /// It was heard, or is too old. What it takes is returned.
    pub(crate) fn remove_letter(&mut self, log: &LogName, seq: u64) -> Option<u64> {
        let letter = self.letters.remove(&(log.clone(), seq))?;
        self.letters_bytes -= letter.bytes;
        take_away(&mut self.by_sender, letter.from, letter.bytes);
        if let Some(origin) = letter.origin {
            take_away(&mut self.by_origin, origin, letter.bytes);
        }
        if let Some(account) = self.logs.get_mut(log) {
            account.letters_bytes -= letter.bytes;
        }
        Some(letter.bytes)
    }

    /// Keeps a text for the next who comes.
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

    // ---- Looks ---------------------------------------------------------------------------------------------

    /// The text of a history that has these numbers.
    pub(crate) fn shared(&self, log: &LogName, numbers: (u64, u64)) -> Option<Arc<str>> {
        let (known, text) = self.shared.get(log)?;
        (*known == numbers).then(|| Arc::clone(text))
    }

    /// Whether one more letter may wait. Nobody gets more than a share: of one receiver's box, or of all boxes.
    pub(crate) fn admits(&self, log: &LogName, letter: &Letter, limits: &Limits) -> bool {
        let box_max = limits.letters_receiver_bytes_max;
        let (mut from_sender, mut from_origin) = (letter.bytes, letter.bytes);
        for (_, other) in self.letters_of(log) {
            if other.from == letter.from {
                from_sender += other.bytes;
            }
            if letter.origin.is_some() && other.origin == letter.origin {
                from_origin += other.bytes;
            }
        }
        let account = self.logs.get(log).copied().unwrap_or_default();
        let sent = self.by_sender.get(&letter.from).unwrap_or(&0);
        let origin = letter.origin.and_then(|origin| self.by_origin.get(&origin));
        from_sender <= box_max / 4
            && from_origin <= box_max / 2
            && account.letters_bytes + letter.bytes <= box_max
            && sent + letter.bytes <= limits.letters_bytes_max / 32
            && origin.unwrap_or(&0) + letter.bytes <= limits.letters_bytes_max / 8
            && self.letters_bytes + letter.bytes <= limits.letters_bytes_max
    }

    /// The letters that wait in a log, in their order.
    pub(crate) fn letters_of(&self, log: &LogName) -> impl Iterator<Item = (u64, &Letter)> {
        let range = (log.clone(), 0)..=(log.clone(), u64::MAX);
        let letters = self.letters.range(range);
        letters.map(|((_, seq), letter)| (*seq, letter))
    }

    pub(crate) fn is_letter(&self, log: &LogName, seq: u64) -> bool {
        self.letters.contains_key(&(log.clone(), seq))
    }

    pub(crate) fn has_letters(&self, log: &LogName) -> bool {
        self.logs
            .get(log)
            .is_some_and(|account| account.letters_bytes > 0)
    }

    /// The letters that have waited since before `time`.
    pub(crate) fn letters_before(&self, time: u64) -> Vec<(LogName, u64)> {
        let letters = self.letters.iter();
        letters
            .filter(|(_, letter)| letter.time < time)
            .map(|(place, _)| place.clone())
            .collect()
    }

    /// How far a log's history exceeds what one may hold.
    pub(crate) fn is_log_full(&self, log: &LogName, limits: &Limits) -> bool {
        let Some(account) = self.logs.get(log) else {
            return false;
        };
        let count_max = match log.is_room() {
            true => limits.history_max,
            false => limits.letters_max,
        };
        account.history_count > count_max as u64
            || account.history_bytes > limits.history_log_bytes_max
    }

    /// The log that has to give something up, since there is too much in all: the one that holds most, so that who
    /// writes much never displaces who writes little.
    pub(crate) fn largest(&self, limits: &Limits) -> Option<LogName> {
        (self.history_bytes > limits.history_bytes_max)
            .then(|| self.by_history.last().map(|(_, log)| log.clone()))
            .flatten()
    }

    /// Whether one more room may be begun from there, and which one goes for it. `Err`: all that could go are in use.
    pub(crate) fn room_to_forget(
        &self,
        origin: Option<Origin>,
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

    /// The tombstone that goes, since there are too many.
    pub(crate) fn tombstone_to_drop(&self, limits: &Limits) -> Option<(u64, LogName)> {
        (self.tombstones.len() > limits.tombstones_max)
            .then(|| self.tombstones.first().cloned())
            .flatten()
    }

    /// All that is counted, for a comparison. Where something came from isn't kept.
    #[cfg(test)]
    pub(crate) fn sums(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let logs = self.logs.iter().map(|(log, account)| {
            let Account {
                history_bytes,
                history_count,
                letters_bytes,
                time,
                ..
            } = *account;
            (
                log.clone(),
                [history_bytes, history_count, letters_bytes, time],
            )
        });
        let logs: BTreeMap<_, _> = logs.collect();
        let letters: Vec<_> = self.letters.keys().cloned().collect();
        let senders: BTreeMap<_, _> = self.by_sender.clone().into_iter().collect();
        let totals = [self.history_bytes, self.letters_bytes, self.rooms as u64];
        let (sizes, tombstones) = (self.by_history.clone(), self.tombstones.clone());
        ((logs, letters, senders), (totals, sizes, tombstones))
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

/// Bytes of texts that are kept for the next who comes.
const SHARED_BYTES_MAX: usize = 2 << 20;

/// Takes from a count that stands in the map as long as it isn't 0.
fn take_away<K, N>(counts: &mut HashMap<K, N>, key: K, amount: N)
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
