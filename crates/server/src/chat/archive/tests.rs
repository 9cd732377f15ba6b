use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::StorageBackend;

use super::*;
use crate::{
    chat::{
        Limits,
        protocol::{Past, Since},
        receipt::Receipt,
    },
    identity::Person,
};

/// An archive and a person who sends messages.
struct Scene {
    archive: Archive,
    limits: Limits,
    from: PersonInfo,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        Self::with(
            Archive::in_memory(&MemoryBudget::default()).unwrap(),
            limits,
        )
    }

    fn with(archive: Archive, limits: Limits) -> Self {
        let from = PersonInfo {
            address: Person::new().address(),
            name: "Ann".into(),
        };
        Self {
            archive,
            limits,
            from,
        }
    }

    fn turn<T>(&mut self, turn: impl FnOnce(&mut Pages<'_>) -> Result<T, redb::Error>) -> T {
        let (transaction, mut counts) = self.archive.begin().unwrap();
        let mut pages = Pages::open(&transaction, &self.limits, &mut counts).unwrap();
        let turned = turn(&mut pages).unwrap();
        drop(pages);
        transaction.commit().unwrap();
        self.archive.keep(counts);
        turned
    }

    fn say(&mut self, log: &LogName, text: &str, stored_as: StoredAs) -> u64 {
        let from = self.from.clone();
        let mut heard = ChatMessage::unnumbered(from, text.into(), 1, Some(text.into()));
        self.turn(|pages| pages.append(log, &mut heard, stored_as));
        heard.seq
    }

    /// Stores a queued message if there is room. Returns whether there was.
    fn write(&mut self, log: &LogName, text: &str, origin: Option<ClientNetwork>) -> bool {
        let from = self.from.clone();
        let mut heard = ChatMessage::unnumbered(from, text.into(), 1, None);
        self.turn(|pages| {
            let is_admitted = pages.admits(log, &heard, origin);
            if is_admitted {
                pages.append(log, &mut heard, StoredAs::Queued(origin))?;
            }
            Ok(is_admitted)
        })
    }

    fn everything(&mut self, log: &LogName) -> (Vec<String>, bool) {
        let past = self.turn(|pages| pages.past(log, None));
        (said(&past), past.complete)
    }

    fn past(&mut self, log: &LogName, seq: u64, epoch: Option<&str>) -> (Vec<String>, bool) {
        let epoch = epoch.map(str::to_owned);
        let past = self.turn(|pages| pages.past(log, Some(&Since { seq, epoch })));
        (said(&past), past.complete)
    }

    fn fetch(&mut self, log: &LogName) -> Delivery {
        self.turn(|pages| pages.hand_out(log))
    }

    /// Confirms the messages in `handed`.
    fn confirm(&mut self, log: &LogName, handed: &Delivery) {
        let receipt = Receipt {
            epoch: handed.epoch.clone(),
            seq: handed.seq,
        };
        self.turn(|pages| pages.confirm(log, &receipt));
    }
}

fn said(past: &Past) -> Vec<String> {
    texts(serde_json::from_str(&past.messages).unwrap())
}

/// A queued message from an unknown network.
const QUEUED_BY_UNKNOWN: StoredAs = StoredAs::Queued(None);

fn origin(last: u8) -> Option<ClientNetwork> {
    Some(std::net::IpAddr::from([192, 0, 2, last]).into())
}

fn texts(messages: Vec<ChatMessage>) -> Vec<String> {
    messages.into_iter().map(|heard| heard.text).collect()
}

fn mailbox() -> LogName {
    LogName::person(Person::new().address())
}

#[test]
fn a_page_that_reconnects_gets_later_messages_and_learns_what_is_missing() {
    let mut scene = Scene::new(Limits {
        history_max: 3,
        ..Limits::default()
    });
    let room = LogName::room("tea");
    for text in ["1", "2", "3", "4"] {
        scene.say(&room, text, StoredAs::History);
    }
    assert_eq!(scene.past(&room, 3, None), (vec!["4".into()], true));
    assert_eq!(scene.past(&room, 4, None), (vec![], true));
    let all: Vec<String> = ["2", "3", "4"].map(Into::into).into();
    assert_eq!(scene.past(&room, 1, None), (all.clone(), true));
    assert_eq!(scene.past(&room, 0, None), (all.clone(), false));
    // Messages of another history don't count as read.
    assert_eq!(scene.past(&room, 3, Some("other")), (all.clone(), false));
    assert_eq!(scene.past(&room, 9, None), (all, false));
}

#[test]
fn a_queued_message_waits_until_it_is_confirmed() {
    let mut scene = Scene::new(Limits::default());
    let log = mailbox();
    scene.say(&log, "one", QUEUED_BY_UNKNOWN);
    scene.say(&log, "two", QUEUED_BY_UNKNOWN);
    for _ in 0..3 {
        assert_eq!(texts(scene.fetch(&log).messages), ["one", "two"]);
        assert_eq!(scene.turn(|pages| pages.waiting(&log)).count, 2);
    }
    let handed = scene.fetch(&log);
    // A receipt doesn't confirm later queued messages, nor those of another history.
    scene.say(&log, "three", QUEUED_BY_UNKNOWN);
    let other = Delivery {
        epoch: "other".into(),
        ..handed.clone()
    };
    scene.confirm(&log, &other);
    assert_eq!(scene.turn(|pages| pages.waiting(&log)).count, 3);
    scene.confirm(&log, &handed);
    assert_eq!(texts(scene.fetch(&log).messages), ["three"]);
    // It is history now, like other delivered messages.
    let all: Vec<String> = ["one", "two", "three"].map(Into::into).into();
    assert_eq!(scene.past(&log, 0, None), (all, true));
}

#[test]
fn queued_messages_beyond_the_limit_of_an_answer_are_in_the_next() {
    let mut scene = Scene::new(Limits {
        handed_bytes_max: 1000,
        ..Limits::default()
    });
    let log = mailbox();
    for text in ["1", "2", "3", "4", "5"] {
        scene.say(&log, text, QUEUED_BY_UNKNOWN);
    }
    let mut heard = Vec::new();
    loop {
        let handed = scene.fetch(&log);
        assert!(!handed.messages.is_empty() && handed.messages.len() < 4);
        scene.confirm(&log, &handed);
        heard.extend(texts(handed.messages));
        if !handed.has_more {
            break;
        }
    }
    assert_eq!(heard, ["1", "2", "3", "4", "5"]);
}

#[test]
fn queued_messages_are_never_displaced_and_further_ones_are_refused() {
    let mut scene = Scene::new(Limits {
        queued_receiver_bytes_max: 8000,
        queued_max: 2,
        history_bytes_max: 2000,
        ..Limits::default()
    });
    let log = mailbox();
    assert!(scene.write(&log, "important", origin(1)));
    // Three senders in one network: each can use a quarter, together they can use half.
    let mut admitted = 0;
    for _ in 0..3 {
        scene.from.address = Person::new().address();
        admitted += (0..40)
            .filter(|_| scene.write(&log, "x", origin(2)))
            .count();
    }
    assert!((4..12).contains(&admitted), "{admitted}");
    // A sender in another network still has room, and no queued message is lost.
    scene.from.address = Person::new().address();
    assert!(scene.write(&log, "and this", origin(3)));
    scene.say(&log, "said while they were here", StoredAs::History);
    let handed = scene.fetch(&log);
    assert_eq!((handed.messages.len(), handed.lost), (admitted + 2, 0));
    assert_eq!(handed.messages[0].text, "important");
    // Confirmed queued messages make room.
    scene.from.address = Person::new().address();
    while scene.write(&log, "y", origin(4)) {}
    let handed = scene.fetch(&log);
    scene.confirm(&log, &handed);
    assert!(scene.write(&log, "z", origin(4)));
}

#[test]
fn no_network_and_no_sender_can_use_all_room_of_the_queues() {
    let mut scene = Scene::new(Limits {
        queued_bytes_max: 64_000,
        ..Limits::default()
    });
    let written = |scene: &mut Scene, last: u8| {
        (0..200)
            .filter(|_| {
                scene.from.address = Person::new().address();
                scene.write(&mailbox(), "x", origin(last))
            })
            .count()
    };
    let first = written(&mut scene, 1);
    assert!((8..25).contains(&first), "{first}");
    assert_eq!(written(&mut scene, 1), 0);
    assert_eq!(written(&mut scene, 2), first);
    // One sender can use less.
    let log = mailbox();
    let one = (0..200)
        .filter(|_| scene.write(&log, "x", origin(3)))
        .count();
    assert!((2..8).contains(&one), "{one}");
}

#[test]
fn an_expired_message_is_reported_as_lost_until_that_is_confirmed() {
    let mut scene = Scene::new(Limits::default());
    let log = mailbox();
    scene.say(&log, "old", QUEUED_BY_UNKNOWN);
    let before = scene.fetch(&log);
    scene.turn(|pages| pages.expire_queued(1));
    assert_eq!(scene.fetch(&log).lost, 0, "not yet");
    scene.turn(|pages| pages.expire_queued(2));
    let handed = scene.fetch(&log);
    assert_eq!((handed.messages.len(), handed.lost), (0, 1));
    scene.confirm(&log, &before);
    assert_eq!(
        scene.turn(|pages| pages.waiting(&log)).lost,
        1,
        "it can't know"
    );
    scene.confirm(&log, &handed);
    assert_eq!(scene.turn(|pages| pages.waiting(&log)).lost, 0);
}

#[test]
fn the_largest_history_is_cut_and_reports_it() {
    let mut scene = Scene::new(Limits {
        history_bytes_max: 4000,
        ..Limits::default()
    });
    let (tea, noise) = (LogName::room("tea"), LogName::room("noise"));
    scene.say(&tea, "hello", StoredAs::History);
    for number in 0..50 {
        scene.say(&noise, &number.to_string(), StoredAs::History);
    }
    assert_eq!(scene.everything(&tea), (vec!["hello".into()], true));
    let (left, complete) = scene.everything(&noise);
    assert!((2..10).contains(&left.len()) && !complete, "{left:?}");
    assert_eq!(left.last().unwrap(), "49");
}

#[test]
fn a_room_stores_no_more_bytes_than_its_limit() {
    let mut scene = Scene::new(Limits {
        history_log_bytes_max: 10_000,
        ..Limits::default()
    });
    let room = LogName::room("tea");
    let long = "x".repeat(1300);
    for number in 0..9 {
        scene.say(&room, &format!("{number}{long}"), StoredAs::History);
    }
    // Cut by its own limit, which is complete for a page that joins anew.
    let (left, complete) = scene.everything(&room);
    assert_eq!((left.len(), complete), (3, true));
    assert!(!scene.past(&room, 0, None).1);
}

#[test]
fn counts_are_the_same_after_reopening() {
    let disk = Disk::default();
    let mut scene = Scene::with(
        disk.archive(),
        Limits {
            history_bytes_max: 3000,
            ..Limits::default()
        },
    );
    let (tea, box_) = (LogName::room("tea"), mailbox());
    for text in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        scene.say(&tea, text, StoredAs::History);
        scene.say(&box_, text, QUEUED_BY_UNKNOWN);
    }
    let handed = scene.fetch(&box_);
    let receipt = Receipt {
        epoch: handed.epoch,
        seq: 4,
    };
    scene.turn(|pages| pages.confirm(&box_, &receipt));
    scene.turn(|pages| pages.forget_room(&tea));
    let before = scene.archive.counts().sums();
    scene.archive.reopen().unwrap();
    assert_eq!(scene.archive.counts().sums(), before);
}

#[test]
fn a_message_is_known_by_its_id_as_long_as_it_is_kept() {
    let mut scene = Scene::new(Limits {
        history_max: 1,
        ..Limits::default()
    });
    let room = LogName::room("tea");
    let from = scene.from.address;
    let known = |scene: &mut Scene, id: &str| scene.turn(|pages| pages.sent(from, id));
    assert_eq!(known(&mut scene, "a"), None);
    scene.say(&room, "a", StoredAs::History);
    assert_eq!(known(&mut scene, "a"), Some((1, 1)));
    scene.say(&room, "b", StoredAs::History);
    assert_eq!(known(&mut scene, "a"), None);
    assert_eq!(known(&mut scene, "b"), Some((2, 1)));
}

#[test]
fn a_forgotten_room_reports_missing_messages() {
    let mut scene = Scene::new(Limits {
        rooms_max: 2,
        tombstones_max: 1,
        ..Limits::default()
    });
    let [tea, milk, new] = ["tea", "milk", "new"].map(LogName::room);
    let goes = |scene: &mut Scene| {
        scene.turn(|pages| {
            let limits = Limits {
                rooms_max: 1,
                ..Limits::default()
            };
            Ok(pages.counts().room_to_forget(None, &limits, |_| true))
        })
    };
    scene.turn(|pages| pages.begin(&milk, 0, None));
    scene.say(&tea, "1", StoredAs::History);
    // The room without messages goes first, whatever the ages.
    assert_eq!(goes(&mut scene), Ok(Some(milk.clone())));
    scene.turn(|pages| pages.forget_room(&milk));
    assert_eq!(goes(&mut scene), Ok(Some(tea.clone())));
    scene.turn(|pages| pages.forget_room(&tea));
    for name in [&tea, &milk] {
        assert!(!scene.turn(|pages| pages.has(name)));
        scene.turn(|pages| pages.begin(name, 5, None));
    }
    assert_eq!(scene.everything(&milk), (vec![], true), "there was nothing");
    assert_eq!(scene.everything(&tea), (vec![], false));
    assert_eq!(scene.past(&tea, 1, None), (vec![], true));
    scene.say(&tea, "2", StoredAs::History);
    assert_eq!(scene.past(&tea, 0, None), (vec!["2".into()], false));
    // After a tombstone was dropped, no new room claims to be complete.
    scene.say(&milk, "1", StoredAs::History);
    scene.turn(|pages| pages.forget_room(&milk));
    scene.turn(|pages| pages.forget_room(&tea));
    scene.turn(|pages| pages.begin(&new, 6, None));
    assert_eq!(scene.everything(&new), (vec![], false));
}

#[test]
fn rooms_created_from_one_network_displace_only_each_other() {
    let mut scene = Scene::new(Limits::default());
    let limits = Limits {
        rooms_per_origin_max: 2,
        ..Limits::default()
    };
    let mut begin = |name: &str, last: u8, is_free: &dyn Fn(&str) -> bool| {
        scene.turn(|pages| {
            let goes = pages
                .counts()
                .room_to_forget(origin(last), &limits, is_free);
            if let Ok(Some(room)) = &goes {
                pages.forget_room(room)?;
            }
            if goes.is_ok() {
                pages.begin(&LogName::room(name), 1, origin(last))?;
            }
            Ok(goes)
        })
    };
    assert_eq!(begin("theirs", 1, &|_| true), Ok(None));
    assert_eq!(begin("a", 2, &|_| true), Ok(None));
    assert_eq!(begin("b", 2, &|_| true), Ok(None));
    assert_eq!(begin("c", 2, &|_| true), Ok(Some(LogName::room("a"))));
    assert_eq!(begin("d", 2, &|room| room == "theirs"), Err(()));
}

#[test]
fn committed_messages_are_in_the_file_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.redb");
    let mut scene = Scene::with(
        Archive::open(&file, &MemoryBudget::default()).unwrap(),
        Limits::default(),
    );
    let room = LogName::room("tea");
    scene.say(&room, "kept", StoredAs::History);
    let record = PersonRecord {
        name: "Ann".into(),
        seen: 7,
        has_spoken: false,
    };
    let address = scene.from.address;
    scene.turn(|pages| pages.put_person(address, &record));
    drop(scene);
    let mut again = Scene::with(
        Archive::open(&file, &MemoryBudget::default()).unwrap(),
        Limits::default(),
    );
    assert_eq!(again.past(&room, 0, None), (vec!["kept".into()], true));
    assert_eq!(again.archive.people().unwrap(), [(address, record)]);
}

/// Files of an earlier version: queued messages named the browser that had received them, and there were tables for lost messages and
/// for the order of all messages.
#[test]
fn a_file_of_an_earlier_version_is_migrated() {
    let disk = Disk::default();
    let (ann, bob) = (Person::new().address(), Person::new().address());
    let mailbox = LogName::person(bob);
    let database = Database::builder().create_with_backend(disk.clone());
    let database = database.unwrap();
    let transaction = database.begin_write().unwrap();
    let key = mailbox.as_str();
    {
        let mut logs = transaction.open_table(LOGS).unwrap();
        let log = br#"{"epoch":"e1","first":3,"last":5,"time":7}"#;
        logs.insert(key, &log[..]).unwrap();
        let mut messages = transaction.open_table(MESSAGES).unwrap();
        let mut queued = transaction.open_table(QUEUED).unwrap();
        let mut order = transaction.open_table(ORDER).unwrap();
        let mut sent = transaction.open_table(SENT).unwrap();
        for (seq, holder) in [(3, 0x5c62_fb01), (4, 0), (5, 0)] {
            let kept = format!(
                r#"{{"heard":{{"seq":{seq},"from":{{"address":"{ann}","name":"ann"}},"to":{{"address":"{bob}","name":"bob"}},"text":"letter {seq}","time":7,"id":"i{seq}"}},"order":{seq},"is_indexed":true}}"#
            );
            messages.insert((key, seq), kept.as_bytes()).unwrap();
            queued.insert((key, seq), holder).unwrap();
            order.insert(seq, (key, seq)).unwrap();
            let (from, id) = (ann.to_string(), format!("i{seq}"));
            sent.insert((&*from, &*id), (key, seq, 7)).unwrap();
        }
        let mut lost = transaction.open_table(LOST).unwrap();
        lost.insert(key, 2).unwrap();
        let mut people = transaction.open_table(PEOPLE).unwrap();
        let record = br#"{"name":"bob","seen":7}"#;
        people.insert(&*bob.to_string(), &record[..]).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        // The second opening migrates nothing.
        let mut scene = Scene::with(disk.archive(), Limits::default());
        let handed = scene.fetch(&mailbox);
        assert_eq!(texts(handed.messages), ["letter 4", "letter 5"]);
        assert_eq!((&*handed.epoch, handed.lost), ("e1", 2));
        let (past, _) = scene.everything(&mailbox);
        assert_eq!(past, ["letter 3", "letter 4", "letter 5"]);
        let record = PersonRecord {
            name: "bob".into(),
            seen: 7,
            has_spoken: true,
        };
        assert_eq!(scene.archive.people().unwrap(), [(bob, record)]);
    }
}

/// A disk that can be full.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    is_full: Arc<AtomicBool>,
    is_broken: Arc<AtomicBool>,
}

impl Disk {
    pub(crate) fn archive(&self) -> Archive {
        let disk = self.clone();
        let cache = (MemoryBudget::default().account(), 0);
        Archive::with(
            cache,
            Box::new(move || Ok(Database::builder().create_with_backend(disk.clone())?)),
        )
        .unwrap()
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Makes the database panic.
    pub(crate) fn set_broken(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        assert!(!self.is_broken.load(Ordering::Relaxed), "a damaged page");
        match self.is_full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.bytes.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let start = offset as usize;
        self.bytes.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[test]
fn a_full_disk_refuses_messages_until_there_is_room() {
    let disk = Disk::default();
    let mut scene = Scene::with(disk.archive(), Limits::default());
    let room = LogName::room("tea");
    scene.say(&room, "before", StoredAs::History);
    disk.set_full(true);
    let from = scene.from.clone();
    let mut heard = ChatMessage::unnumbered(from, "during".into(), 1, None);
    let failed = scene.archive.begin().and_then(|(transaction, mut counts)| {
        let mut pages = Pages::open(&transaction, &scene.limits, &mut counts)?;
        pages.append(&room, &mut heard, StoredAs::History)?;
        drop(pages);
        Ok(transaction.commit()?)
    });
    assert!(failed.is_err());
    assert!(scene.archive.reopen().is_err(), "it is still full");
    disk.set_full(false);
    scene.archive.reopen().unwrap();
    scene.say(&room, "after", StoredAs::History);
    let said: Vec<String> = ["before", "after"].map(Into::into).into();
    assert_eq!(scene.past(&room, 0, None), (said, true));
}
