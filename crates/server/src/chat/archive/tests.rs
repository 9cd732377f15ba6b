use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::StorageBackend;

use super::*;
use crate::chat::Person;

/// An archive and somebody who talks.
struct Scene {
    archive: Archive,
    limits: Limits,
    from: Known,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        Self::with(Archive::in_memory().unwrap(), limits)
    }

    fn with(archive: Archive, limits: Limits) -> Self {
        let from = Known {
            address: Person::new().address(),
            name: "Ann".into(),
        };
        Self {
            archive,
            limits,
            from,
        }
    }

    fn turn<T>(&self, turn: impl FnOnce(&mut Pages<'_>) -> Result<T, redb::Error>) -> T {
        let transaction = self.archive.begin().unwrap();
        let turned = turn(&mut Pages::open(&transaction, &self.limits).unwrap()).unwrap();
        transaction.commit().unwrap();
        turned
    }

    fn say(&self, log: &LogName, text: &str, waits: Waits) -> u64 {
        let from = self.from.clone();
        let mut heard = Heard::unfiled(from, text.into(), 1, Some(text.into()));
        self.turn(|pages| pages.append(log, &mut heard, waits));
        heard.seq
    }

    fn past(&self, log: &LogName, seq: u64, epoch: Option<&str>) -> (Vec<String>, bool) {
        let epoch = epoch.map(str::to_owned);
        let past = self.turn(|pages| pages.past(log, Some(&Since { seq, epoch })));
        (texts(past.messages), past.complete)
    }

    fn fetch(&self, log: &LogName, receipt: Option<&Receipt>, is_leased: bool) -> Handed {
        self.turn(|pages| pages.hand_out(log, receipt, is_leased))
    }
}

fn texts(messages: Vec<Heard>) -> Vec<String> {
    messages.into_iter().map(|heard| heard.text).collect()
}

fn letterbox() -> LogName {
    LogName::person(Person::new().address())
}

#[test]
fn who_returns_gets_what_came_since_and_is_told_what_is_gone() {
    let scene = Scene::new(Limits {
        history_max: 3,
        ..Limits::default()
    });
    let room = LogName::room("tea");
    for text in ["1", "2", "3", "4"] {
        scene.say(&room, text, Waits::No);
    }
    assert_eq!(scene.past(&room, 3, None), (vec!["4".into()], true));
    assert_eq!(scene.past(&room, 4, None), (vec![], true));
    let all: Vec<String> = ["2", "3", "4"].map(Into::into).into();
    assert_eq!(scene.past(&room, 1, None), (all.clone(), true));
    assert_eq!(scene.past(&room, 0, None), (all.clone(), false));
    // Of another history nothing that the page has counts.
    assert_eq!(scene.past(&room, 3, Some("other")), (all.clone(), false));
    assert_eq!(scene.past(&room, 9, None), (all, false));
}

#[test]
fn a_letter_is_handed_out_once() {
    let scene = Scene::new(Limits::default());
    let log = letterbox();
    scene.say(&log, "hello", Waits::Yes);
    assert_eq!(scene.turn(|pages| pages.waiting(&log)).count, 1);
    assert_eq!(texts(scene.fetch(&log, None, false).messages), ["hello"]);
    assert_eq!(scene.fetch(&log, None, false).messages, []);
    assert_eq!(scene.turn(|pages| pages.waiting(&log)).count, 0);
}

#[test]
fn a_letter_whose_answer_got_lost_is_handed_out_again_to_the_same_browser_only() {
    let scene = Scene::new(Limits::default());
    let log = letterbox();
    scene.say(&log, "hello", Waits::Yes);
    let (mut laptop, phone) = (Receipt::blank(1), Receipt::blank(2));
    let first = scene.fetch(&log, Some(&laptop), false);
    assert_eq!(texts(first.messages), ["hello"]);
    // Its answer may be on its way, to another tab.
    assert_eq!(scene.fetch(&log, Some(&laptop), true).messages, []);
    assert_eq!(scene.fetch(&log, Some(&phone), false).messages, []);
    assert_eq!(scene.fetch(&log, None, false).messages, []);
    // The browser doesn't show the receipt: the answer never came.
    let again = scene.fetch(&log, Some(&laptop), false);
    assert_eq!(texts(again.messages), ["hello"]);
    (laptop.epoch, laptop.seq) = (again.epoch, 1);
    assert_eq!(scene.fetch(&log, Some(&laptop), false).messages, []);
    // And with that it is struck out for good.
    assert_eq!(
        scene.fetch(&log, Some(&Receipt::blank(1)), false).messages,
        []
    );
}

#[test]
fn letters_beyond_the_limit_are_counted() {
    let scene = Scene::new(Limits {
        letters_max: 2,
        ..Limits::default()
    });
    let log = letterbox();
    for text in ["1", "2", "3", "4"] {
        scene.say(&log, text, Waits::Yes);
    }
    let waiting = scene.turn(|pages| pages.waiting(&log));
    assert_eq!((waiting.count, waiting.lost), (2, 2));
    let handed = scene.fetch(&log, None, false);
    assert_eq!(
        (texts(handed.messages), handed.lost),
        (vec!["3".into(), "4".into()], 2)
    );
    assert_eq!(scene.fetch(&log, None, false).lost, 0);
}

#[test]
fn of_all_messages_the_oldest_goes_first() {
    let scene = Scene::new(Limits {
        kept_max: 3,
        ..Limits::default()
    });
    let (tea, milk) = (LogName::room("tea"), LogName::room("milk"));
    scene.say(&tea, "1", Waits::No);
    scene.say(&milk, "2", Waits::No);
    scene.say(&tea, "3", Waits::No);
    scene.say(&milk, "4", Waits::No);
    assert_eq!(scene.past(&tea, 0, None), (vec!["3".into()], false));
    assert_eq!(scene.past(&tea, 1, None), (vec!["3".into()], true));
    assert_eq!(
        scene.past(&milk, 0, None),
        (vec!["2".into(), "4".into()], true)
    );
}

#[test]
fn a_message_is_known_by_its_id_as_long_as_it_is_kept() {
    let scene = Scene::new(Limits {
        history_max: 1,
        ..Limits::default()
    });
    let room = LogName::room("tea");
    let known = |id: &str| scene.turn(|pages| pages.sent(scene.from.address, id));
    assert_eq!(known("a"), None);
    scene.say(&room, "a", Waits::No);
    assert_eq!(known("a"), Some((1, 1)));
    scene.say(&room, "b", Waits::No);
    assert_eq!((known("a"), known("b")), (None, Some((2, 1))));
}

#[test]
fn a_room_that_is_forgotten_begins_anew() {
    let scene = Scene::new(Limits::default());
    let (tea, milk) = (LogName::room("tea"), LogName::room("milk"));
    scene.say(&tea, "1", Waits::No);
    scene.say(&milk, "2", Waits::No);
    let before = scene.turn(|pages| pages.past(&tea, None)).epoch;
    let (count, oldest) = scene.turn(|pages| pages.rooms(|room| room == "tea"));
    assert_eq!((count, oldest.as_deref()), (2, Some("tea")));
    scene.turn(|pages| pages.forget(&tea));
    assert!(!scene.turn(|pages| pages.has(&tea)));
    scene.say(&tea, "1", Waits::No);
    let after = scene.turn(|pages| pages.past(&tea, None));
    assert_eq!(after.seq, 1);
    assert_ne!(after.epoch, before);
}

#[test]
fn what_was_committed_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.redb");
    let scene = Scene::with(Archive::open(&file).unwrap(), Limits::default());
    let room = LogName::room("tea");
    scene.say(&room, "kept", Waits::No);
    let resident = Resident {
        name: "Ann".into(),
        seen: 7,
    };
    scene.turn(|pages| pages.put_person(scene.from.address, &resident));
    let address = scene.from.address;
    drop(scene);
    let again = Scene::with(Archive::open(&file).unwrap(), Limits::default());
    assert_eq!(again.past(&room, 0, None), (vec!["kept".into()], true));
    assert_eq!(again.archive.people().unwrap(), [(address, resident)]);
}

/// A disk that can be full.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Vec<u8>>>, Arc<AtomicBool>);

impl Disk {
    pub(crate) fn archive(&self) -> Archive {
        let disk = self.clone();
        Archive::with(Box::new(move || {
            Ok(Database::builder().create_with_backend(disk.clone())?)
        }))
        .unwrap()
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        self.1.store(is_full, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.0.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.0.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let start = offset as usize;
        self.0.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[test]
fn a_full_disk_takes_nothing_and_goes_on_when_there_is_room_again() {
    let disk = Disk::default();
    let mut scene = Scene::with(disk.archive(), Limits::default());
    let room = LogName::room("tea");
    scene.say(&room, "before", Waits::No);
    disk.set_full(true);
    let from = scene.from.clone();
    let mut heard = Heard::unfiled(from, "during".into(), 1, None);
    let failed = scene.archive.begin().and_then(|transaction| {
        Pages::open(&transaction, &scene.limits)?.append(&room, &mut heard, Waits::No)?;
        Ok(transaction.commit()?)
    });
    assert!(failed.is_err());
    assert!(scene.archive.reopen().is_err(), "it is still full");
    disk.set_full(false);
    scene.archive.reopen().unwrap();
    scene.say(&room, "after", Waits::No);
    let said: Vec<String> = ["before", "after"].map(Into::into).into();
    assert_eq!(scene.past(&room, 0, None), (said, true));
}
