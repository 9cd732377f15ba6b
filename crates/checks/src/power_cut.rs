//! A power cut, for a process that is killed: what it has not synced is lost in part.
//!
//! A library that is loaded before the process (`peers/power_cut.c`) writes down what the process does to the files of one
//! directory. [`PowerCut::cut`] reads that, and makes of the directory what a disk might have kept: of each file what was
//! synced, and of what was written since any pieces of 512 bytes; of the names those that were synced, and some first ones of
//! what was changed since.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirEntryExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::need::{missing, root};

/// The directory, and what the process does to it.
#[derive(Debug)]
pub struct PowerCut {
    library: PathBuf,
    directory: PathBuf,
    journal: PathBuf,
    boot_id: PathBuf,
    cuts: u64,
    disk: Disk,
}

/// What a disk has for certain, and what it was given since.
#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<u64, File>,
    /// Numbers of files by their names.
    names: BTreeMap<String, u64>,
    synced_names: BTreeMap<String, u64>,
    /// The names after each change since the last sync.
    unsynced_names: Vec<BTreeMap<String, u64>>,
}

#[derive(Debug, Default)]
struct File {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl PowerCut {
    /// Compiles the library, and prepares for a process that has its files in `directory`. What else is needed goes into
    /// `work`. `None`: there is no C compiler.
    pub fn prepare(work: &Path, directory: &Path) -> Option<Self> {
        let library = work.join("power_cut.so");
        let source = root().join("crates/checks/peers/power_cut.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl");
        match compiler.status() {
            Ok(status) => assert!(status.success(), "{compiler:?}: {status}"),
            Err(_) => return missing("a C compiler", "install gcc"),
        }
        let mut power_cut = Self {
            library,
            directory: directory.to_owned(),
            journal: work.join("journal"),
            boot_id: work.join("boot_id"),
            cuts: 0,
            disk: Disk::default(),
        };
        power_cut.begin();
        Some(power_cut)
    }

    /// Makes a process tell what it does.
    pub fn watch(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("POWER_CUT_DIRECTORY", &self.directory)
            .env("POWER_CUT_JOURNAL", &self.journal)
            .env("POWER_CUT_BOOT_ID", &self.boot_id);
    }

    /// Takes away what the process, which has ended, had not synced: one of many ways, chosen by `seed`. Returns how many
    /// changes were not synced.
    pub fn cut(&mut self, seed: u64) -> usize {
        let journal = fs::read(&self.journal).unwrap();
        self.disk.read(&journal);
        let mut random = Random(seed);
        let unsynced = self.disk.unsynced();
        let kept = self.disk.cut(&mut random);
        for entry in fs::read_dir(&self.directory).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, bytes) in kept {
            let mut options = fs::OpenOptions::new();
            let path = self.directory.join(name);
            let file = options.write(true).create_new(true).mode(0o600).open(&path);
            std::io::Write::write_all(&mut file.unwrap(), &bytes).unwrap();
        }
        self.begin();
        unsynced
    }

    /// Begins with what is there.
    fn begin(&mut self) {
        self.cuts += 1;
        fs::write(
            &self.boot_id,
            format!("00000000-0000-4000-8000-{:012x}\n", self.cuts),
        )
        .unwrap();
        fs::write(&self.journal, "").unwrap();
        self.disk = Disk::default();
        for entry in fs::read_dir(&self.directory).into_iter().flatten() {
            let entry = entry.unwrap();
            let file = File {
                synced: fs::read(entry.path()).unwrap(),
                unsynced: vec![],
            };
            let name = entry.file_name().into_string().unwrap();
            self.disk.names.insert(name, entry.ino());
            self.disk.files.insert(entry.ino(), file);
        }
        self.disk.synced_names = self.disk.names.clone();
    }
}

impl Disk {
    fn read(&mut self, mut journal: &[u8]) {
        while let Some(end) = journal.iter().position(|byte| *byte == b'\n') {
            let line = str::from_utf8(&journal[..end]).unwrap();
            journal = &journal[end + 1..];
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            match words[0] {
                "N" => {
                    // A file that is opened again is known.
                    if self.names.get(words[2]) != Some(&number(1)) {
                        self.files.insert(number(1), File::default());
                        self.names.insert(words[2].to_owned(), number(1));
                        self.unsynced_names.push(self.names.clone());
                    }
                }
                "W" => {
                    let count = number(3) as usize;
                    // The process was killed while it told of it.
                    let Some(bytes) = journal.get(..count) else {
                        return;
                    };
                    journal = &journal[count..];
                    let change = Change::Write(number(2) as usize, bytes.to_vec());
                    self.file(number(1)).unsynced.push(change);
                }
                "T" => {
                    let change = Change::Truncate(number(2) as usize);
                    self.file(number(1)).unsynced.push(change);
                }
                "S" => self.file(number(1)).sync(),
                "R" => {
                    if let Some(file) = self.names.remove(words[1]) {
                        self.names.insert(words[2].to_owned(), file);
                        self.unsynced_names.push(self.names.clone());
                    }
                }
                "U" => {
                    self.names.remove(words[1]);
                    self.unsynced_names.push(self.names.clone());
                }
                "D" => {
                    self.synced_names = self.names.clone();
                    self.unsynced_names.clear();
                }
                other => panic!("an entry {other}"),
            }
        }
    }

    fn file(&mut self, number: u64) -> &mut File {
        self.files.entry(number).or_default()
    }

    fn unsynced(&self) -> usize {
        let changes: usize = self.files.values().map(|file| file.unsynced.len()).sum();
        changes + self.unsynced_names.len()
    }

    /// Returns the files after a power cut.
    fn cut(&self, random: &mut Random) -> Vec<(String, Vec<u8>)> {
        let kept = random.below(self.unsynced_names.len() + 1);
        let names = match kept.checked_sub(1) {
            None => &self.synced_names,
            Some(last) => &self.unsynced_names[last],
        };
        let mut files = vec![];
        for (name, number) in names {
            if let Some(file) = self.files.get(number) {
                files.push((name.clone(), file.cut(random)));
            }
        }
        files
    }
}

impl File {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.synced, |_| true);
        }
    }

    /// Returns the contents with a random part of the changes.
    fn cut(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.unsynced {
            change.apply(&mut bytes, |_| random.below(2) == 0);
        }
        bytes
    }
}

impl Change {
    /// Applies the pieces that `is_kept` wants, of 512 bytes by their place in the file.
    fn apply(&self, bytes: &mut Vec<u8>, mut is_kept: impl FnMut(usize) -> bool) {
        match self {
            Self::Write(offset, written) => {
                let mut begin = 0;
                while begin < written.len() {
                    let at = offset + begin;
                    let end = (begin + SECTOR_BYTES - at % SECTOR_BYTES).min(written.len());
                    if is_kept(at) {
                        if bytes.len() < offset + end {
                            bytes.resize(offset + end, 0);
                        }
                        bytes[at..offset + end].copy_from_slice(&written[begin..end]);
                    }
                    begin = end;
                }
            }
            Self::Truncate(length) => {
                if is_kept(*length) {
                    bytes.resize(*length, 0);
                }
            }
        }
    }
}

/// SplitMix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

/// Bytes. A disk writes no fewer at once.
const SECTOR_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        let mut disk = Disk::default();
        disk.read(b"N 7 a\nW 7 0 3\nabcS 7\nD\nW 7 3 2\ndeR a b\n");
        disk
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go() {
        let disk = disk();
        assert_eq!(disk.unsynced(), 2);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            seen.extend(disk.cut(&mut Random(seed)));
        }
        let file = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
        let all = [
            file("a", b"abc"),
            file("a", b"abcde"),
            file("b", b"abc"),
            file("b", b"abcde"),
        ];
        assert_eq!(seen, all.into());
    }

    #[test]
    fn a_write_is_cut_in_pieces_of_a_sector() {
        let change = Change::Write(500, vec![1; 600]);
        let mut places = vec![];
        let mut bytes = vec![];
        change.apply(&mut bytes, |at| {
            places.push(at);
            at != 500
        });
        assert_eq!(places, [500, 512, 1024]);
        assert_eq!((bytes[511], bytes[512], bytes.len()), (0, 1, 1100));
    }

    #[test]
    fn an_entry_that_is_not_whole_counts_for_nothing() {
        let mut disk = disk();
        disk.read(b"W 7 0 100\nxy");
        assert_eq!(disk.unsynced(), 2);
    }
}
