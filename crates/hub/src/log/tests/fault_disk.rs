//! A disk in memory that fails as disks do.

use std::{
    collections::BTreeMap,
    io, mem,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::log::disk::{Disk, DiskFile};

/// A directory in memory. A clone is another handle; [`FaultDisk::copy`] makes another directory.
#[derive(Clone, Default)]
pub(super) struct FaultDisk(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct State {
    files: Vec<Contents>,
    /// What a program sees.
    names: BTreeMap<String, usize>,
    /// What a power cut leaves.
    durable_names: BTreeMap<String, usize>,
    /// What makes `names` of `durable_names`.
    name_changes: Vec<NameChange>,
    faults: Faults,
    /// The last write of a process that dies has happened.
    is_dead: bool,
    random: Random,
}

/// What fails from now on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// Bytes. So many more can be written until the disk is full.
    pub(super) room: Option<u64>,
    /// A write takes a part of what it is given.
    pub(super) has_short_writes: bool,
    /// Syncs of files fail, and what they should have written is lost.
    pub(super) fails_sync: bool,
    /// The process dies in the midst of the operation that comes after so many others.
    pub(super) dies_after: Option<u32>,
}

/// A file: what a program sees, and what a power cut leaves.
#[derive(Clone, Default)]
struct Contents {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What was written since the last sync.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Clone)]
enum NameChange {
    Add(String, usize),
    Rename(String, String),
    Remove(String),
}

/// Numbers that follow from a seed.
#[derive(Clone, Default)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Returns true once in `count` times.
    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

impl FaultDisk {
    pub(super) fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.lock().random = Random(seed);
        disk
    }

    /// Returns a directory of its own with the same contents.
    pub(super) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.lock().clone())))
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        let mut state = self.lock();
        state.faults = faults;
        state.is_dead = false;
    }

    /// Cuts the power: of what was not synced, any 512 bytes may be there or not, and of the changes of names the first
    /// ones.
    pub(super) fn cut_power(&self) {
        let mut state = self.lock();
        let State {
            files,
            names,
            durable_names,
            name_changes,
            random,
            ..
        } = &mut *state;
        for file in files {
            file.cut_power(random);
        }
        let count = random.below(name_changes.len() as u64 + 1) as usize;
        for change in mem::take(name_changes).drain(..count) {
            change.apply(durable_names);
        }
        names.clone_from(durable_names);
    }

    /// Flips one bit of a file that is chosen at random. Returns where, or `None` if there is no file with contents.
    pub(super) fn flip(&self, random: &mut Random) -> Option<(String, u64)> {
        let mut state = self.lock();
        let places = state.names.iter().map(|(name, at)| (name.clone(), *at));
        let places: Vec<_> = places
            .filter(|(_, at)| !state.files[*at].seen.is_empty())
            .collect();
        let (name, at) = places.get(random.below(places.len() as u64) as usize)?;
        let file = &mut state.files[*at];
        let position = random.below(file.seen.len() as u64);
        let bit = 1 << random.below(8);
        file.seen[position as usize] ^= bit;
        file.durable.clone_from(&file.seen);
        Some((name.clone(), position))
    }

    /// Changes the contents of a file.
    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let at = state.names[name];
        let file = &mut state.files[at];
        edit(&mut file.seen);
        file.durable.clone_from(&file.seen);
        file.pending.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn change_names(&self, change: NameChange) -> io::Result<()> {
        let mut state = self.lock();
        state.live()?;
        change.apply(&mut state.names);
        state.name_changes.push(change);
        Ok(())
    }
}

impl Disk for FaultDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let at = {
            let mut state = self.lock();
            state.files.push(Contents::default());
            state.files.len() - 1
        };
        self.change_names(NameChange::Add(name.to_owned(), at))?;
        let disk = self.clone();
        Ok(Arc::new(FaultFile { disk, at }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let at = self.lock().names.get(name).copied();
        let at = at.ok_or(io::ErrorKind::NotFound)?;
        let disk = self.clone();
        Ok(Arc::new(FaultFile { disk, at }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if !self.lock().names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_names(NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if !self.lock().names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_names(NameChange::Remove(name.to_owned()))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.live()?;
        let state = &mut *state;
        state.durable_names.clone_from(&state.names);
        state.name_changes.clear();
        Ok(())
    }
}

struct FaultFile {
    disk: FaultDisk,
    at: usize,
}

impl DiskFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        let seen = &state.files[self.at].seen;
        let rest = seen.get(position as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        let dies = state.live().is_err();
        if dies && mem::replace(&mut state.is_dead, true) {
            return Err(died());
        }
        let mut count = bytes.len();
        if dies {
            // The last operation, and only a part of it happens.
            count = state.random.below(count as u64) as usize;
        } else if state.faults.has_short_writes {
            count = 1 + state.random.below(count as u64) as usize;
        }
        if let Some(room) = &mut state.faults.room {
            count = count.min(*room as usize);
            *room -= count as u64;
            if count == 0 && !dies {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let written = Change::Write(position, bytes[..count].to_vec());
        let file = &mut state.files[self.at];
        written.apply(&mut file.seen);
        file.pending.push(written);
        match dies {
            true => Err(died()),
            false => Ok(count),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.at].seen.len() as u64)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.live()?;
        let file = &mut state.files[self.at];
        let change = Change::Truncate(length);
        change.apply(&mut file.seen);
        file.pending.push(change);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.live()?;
        let fails = state.faults.fails_sync;
        let file = &mut state.files[self.at];
        let pending = mem::take(&mut file.pending);
        if fails {
            // The kernel shows what it could not write until it needs the memory.
            return Err(io::Error::other("input/output error"));
        }
        for change in pending {
            change.apply(&mut file.durable);
        }
        Ok(())
    }
}

impl Contents {
    fn cut_power(&mut self, random: &mut Random) {
        let luck = random.below(4);
        let mut survives = || match luck {
            0 => false,
            1 => true,
            _ => random.one_in(2),
        };
        for change in mem::take(&mut self.pending) {
            match change {
                Change::Truncate(_) => {
                    if survives() {
                        change.apply(&mut self.durable);
                    }
                }
                Change::Write(position, bytes) => {
                    let mut begin = 0;
                    while begin < bytes.len() {
                        let at = position as usize + begin;
                        let end = bytes.len().min(begin + SECTOR_BYTES - at % SECTOR_BYTES);
                        if survives() {
                            let sector = Change::Write(at as u64, bytes[begin..end].to_vec());
                            sector.apply(&mut self.durable);
                        }
                        begin = end;
                    }
                }
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => contents.truncate(*length as usize),
            Self::Write(position, bytes) => {
                let end = *position as usize + bytes.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                contents[*position as usize..end].copy_from_slice(bytes);
            }
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, at) => {
                names.insert(name.clone(), *at);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(at) = names.remove(from) {
                    names.insert(to.clone(), at);
                }
            }
        }
    }
}

impl State {
    /// Counts an operation. An error: the process has died.
    fn live(&mut self) -> io::Result<()> {
        match &mut self.faults.dies_after {
            Some(0) => Err(died()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn died() -> io::Error {
    io::Error::other("the process has died")
}

/// Bytes. What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;
