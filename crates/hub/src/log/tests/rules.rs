//! What the log promises, one rule at a time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::fault_disk::{FaultDisk, Faults, Random};
use crate::{
    Epoch, Publication, StreamPosition,
    broker::{
        BrokerError, History, HistoryQuery, Limit, PublishOptions, Suppression, epochs::Epochs,
    },
    log::{
        BootId, Directory, Log, LogError, LogLimits, LogReport, LogSync, Order, Outcome, Presence,
        Reader, check_log,
        disk::Disk as _,
        dump_log,
        repair::repair_segments,
        repair_log,
        segment::{SEGMENT_HEADER_BYTES, segment_id},
    },
};

#[test]
fn what_was_accepted_is_there_again_with_its_position() {
    for sync in MODES {
        let mut world = World::new(sync);
        let first = world.keep("a", "one");
        let second = world.keep("a", "two");
        world.keep("b", "other");
        world.die();
        assert_eq!(world.data("a"), ["one", "two"]);
        assert_eq!(world.position("a"), second);
        assert_eq!(world.keep("a", "three"), after(&second));
        world.close();
        assert_eq!(world.data("a"), ["one", "two", "three"]);
        assert_eq!(world.position("a").epoch, first.epoch);
    }
}

#[test]
fn a_page_has_so_many_bytes_and_at_least_one_publication_in_either_direction() {
    let mut world = World::new(LogSync::None);
    let long = "x".repeat(1000);
    let all: Vec<String> = (0..20)
        .map(|number| match number {
            // Larger than a page.
            7 => format!("{number} {}", "y".repeat(5000)),
            _ => format!("{number} {long}"),
        })
        .collect();
    for data in &all {
        world.keep("a", data);
    }
    for reverse in [false, true] {
        let mut query = HistoryQuery {
            limit: Limit::All,
            reverse,
            ..HistoryQuery::default()
        };
        let (mut seen, mut sizes) = (vec![], vec![]);
        loop {
            let page = world.page("a", &query, 4000);
            let Some(last) = page.publications.last() else {
                break;
            };
            query.since = Some(StreamPosition {
                offset: last.offset,
                epoch: page.position.epoch.clone(),
            });
            sizes.push(page.publications.len());
            let text = |it: &Arc<Publication>| String::from_utf8(it.data.to_vec()).unwrap();
            seen.extend(page.publications.iter().map(text));
        }
        if reverse {
            seen.reverse();
            assert_eq!(sizes, [3, 3, 3, 3, 1, 3, 3, 1]);
        } else {
            assert_eq!(sizes, [3, 3, 1, 1, 3, 3, 3, 3]);
        }
        assert_eq!(seen, all);
    }
}

#[test]
fn a_removed_history_does_not_come_back() {
    let mut world = World::new(LogSync::Interval);
    let top = world.keep("a", "one");
    world.commit(Order::Remove {
        channel: "a".into(),
    });
    world.die();
    assert_eq!(world.data("a"), [""; 0]);
    assert_eq!(world.position("a"), top);
}

/// Scenario 30.
#[test]
fn a_key_is_remembered_over_the_death_of_the_process() {
    for history_size in [0, 10] {
        let mut world = World::new(LogSync::None);
        let options = PublishOptions {
            history_size,
            idempotency_key: Some("k".into()),
            ..kept()
        };
        let first = world.publish("a", "one", options.clone()).unwrap();
        for _ in 0..2 {
            world.die();
            let again = world.publish("a", "two", options.clone()).unwrap();
            assert_eq!(again.suppressed, Some(Suppression::Idempotency));
            assert_eq!(again.position, first.position);
            world.close();
        }
    }
}

#[test]
fn a_torn_tail_is_cut_off_and_reported() {
    let mut world = World::new(LogSync::Interval);
    world.keep("a", "one");
    let end = world.length("00000001.seg");
    world.keep("a", "two");
    world.log = None;
    world.disk.edit("00000001.seg", |bytes| {
        bytes.pop();
    });
    let report = world.open().unwrap();
    let length = world.length("00000001.seg");
    assert_eq!(length, end);
    let (file, position, bytes) = report.cut.unwrap();
    assert_eq!((&*file, position), ("00000001.seg", end));
    assert!(bytes > 0);
    assert_eq!(world.data("a"), ["one"]);
    assert_eq!(world.keep("a", "three").offset, 2);
    world.die();
    assert_eq!(world.data("a"), ["one", "three"]);
}

#[test]
fn a_bad_record_with_others_behind_it_ends_the_start_and_changes_nothing() {
    for sync in MODES {
        let mut world = World::new(sync);
        world.keep("a", "one");
        let bad = world.length("00000001.seg");
        world.keep("a", "two");
        world.keep("a", "three");
        world.log = None;
        let good = world.disk.copy();
        world
            .disk
            .edit("00000001.seg", |bytes| bytes[bad as usize + 9] ^= 1);
        let error = world.open().unwrap_err();
        let LogError::Damaged { file, position, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((&*file, position), ("00000001.seg", bad));
        world.disk = good;
        world.open().unwrap();
        assert_eq!(world.data("a"), ["one", "two", "three"]);
    }
}

#[test]
fn a_damaged_or_missing_checkpoint_costs_a_full_scan_and_nothing_else() {
    for damage in [Damage::Flipped, Damage::Missing] {
        let mut world = World::new(LogSync::Interval);
        world.keep("a", "one");
        world.close();
        let top = world.keep("a", "two");
        world.close();
        world.log = None;
        match damage {
            Damage::Flipped => world.disk.edit("checkpoint", |bytes| bytes[20] ^= 1),
            Damage::Missing => world.disk.remove("checkpoint").unwrap(),
        }
        let report = world.open().unwrap();
        assert!(report.full_scan.is_some());
        assert_eq!(world.data("a"), ["one", "two"]);
        assert_eq!(world.position("a"), top);
    }
}

enum Damage {
    Flipped,
    Missing,
}

#[test]
fn a_missing_segment_ends_the_start() {
    let mut world = World::new(LogSync::Interval);
    world.keep("a", "one");
    world.close();
    world.log = None;
    world.disk.remove("00000001.seg").unwrap();
    let error = world.open().unwrap_err();
    assert!(matches!(error, LogError::Missing { file } if file == "00000001.seg"));
}

/// The start would make room for billions of segments that are missing before it.
#[test]
fn a_file_with_a_far_number_ends_the_start_and_the_repair() {
    let mut world = World::new(LogSync::Interval);
    world.keep("a", "one");
    world.close();
    world.log = None;
    world.disk.create("ffffffff.seg").unwrap();
    let opened = world.open().map(drop);
    let repaired = repair_segments(&world.disk).map(drop);
    for ended in [opened, repaired] {
        let Err(LogError::Damaged { file, .. }) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!(file, "ffffffff.seg");
    }
}

#[test]
fn after_a_power_cut_channels_have_new_epochs_unless_each_publication_was_synced() {
    for sync in MODES {
        let mut world = World::new(sync);
        let before = world.keep("a", "one");
        world.log().sync().unwrap();
        world.keep("a", "two");
        let report = world.cut_power();
        let after = world.position("a");
        match sync {
            LogSync::Each => {
                assert_eq!(report.new_epochs, 0);
                assert_eq!(after.epoch, before.epoch);
                assert_eq!(world.data("a"), ["one", "two"]);
            }
            LogSync::None | LogSync::Interval => {
                assert_eq!(report.new_epochs, 1);
                assert_ne!(after.epoch, before.epoch);
                assert_eq!(world.data("a")[0], "one", "it was synced");
            }
        }
        // The next power cut, after an orderly end, changes nothing.
        let now = world.now;
        world.log().close(now).unwrap();
        let report = world.cut_power();
        assert_eq!(report.new_epochs, 0);
        assert_eq!(world.position("a"), after);
        // One that comes at once after the start does: what it took isn't known.
        let report = world.cut_power();
        assert_eq!(report.new_epochs, usize::from(sync != LogSync::Each));
    }
}

/// Scenario 32.
#[test]
fn a_full_disk_refuses_uses_up_no_offset_and_is_over_by_itself() {
    for sync in MODES {
        let mut world = World::new(sync);
        let top = world.keep("a", "one");
        world.disk.set_faults(Faults {
            room: Some(20),
            ..Faults::default()
        });
        for _ in 0..3 {
            let refused = world.publish("a", "refused", kept());
            assert_eq!(refused, Err(BrokerError::DiskFull));
            assert_eq!(world.data("a"), ["one"], "readers go on");
        }
        world.disk.set_faults(Faults::default());
        assert_eq!(world.keep("a", "two"), after(&top));
        world.die();
        assert_eq!(world.data("a"), ["one", "two"]);
    }
}

#[test]
fn a_failure_is_told_until_what_was_refused_would_fit_again() {
    for sync in MODES {
        let mut world = World::new(sync);
        let top = world.keep("a", "one");
        assert_eq!(world.log().health().failure(), None);
        let full = |room| Faults {
            room: Some(room),
            ..Faults::default()
        };
        world.disk.set_faults(full(20));
        world.publish("a", "refused", kept()).unwrap_err();
        let now = world.now;
        for _ in 0..3 {
            world.log().retry(now);
            let health = world.log().health();
            assert_eq!(health.failure(), Some(BrokerError::DiskFull));
            assert_eq!(health.failures(), 1, "nobody was refused by an attempt");
        }
        world.disk.set_faults(full(1 << 20));
        world.log().retry(now);
        assert_eq!(world.log().health().failure(), None);
        // Nothing has changed by the attempts.
        let report = world.cut_power();
        if sync == LogSync::Each {
            assert_eq!((report.cut, report.lost), (None, 0));
            assert_eq!(world.data("a"), ["one"]);
            assert_eq!(world.keep("a", "two"), after(&top));
        }
    }
}

#[test]
fn a_disk_that_cannot_sync_is_told_until_it_can() {
    for sync in [LogSync::Interval, LogSync::Each] {
        let mut world = World::new(sync);
        world.keep("a", "one");
        let faults = Faults {
            fails_sync: true,
            ..Faults::default()
        };
        world.disk.set_faults(faults);
        match sync {
            LogSync::Each => drop(world.publish("a", "refused", kept()).unwrap_err()),
            _ => drop(world.log().sync().unwrap_err()),
        }
        let now = world.now;
        world.log().retry(now);
        let failure = world.log().health().failure();
        assert!(matches!(failure, Some(BrokerError::Unavailable { .. })));
        world.disk.set_faults(Faults::default());
        world.log().retry(now);
        assert_eq!(world.log().health().failure(), None);
        // What was accepted was written again into the next segment.
        world.cut_power();
        assert_eq!(world.data("a"), ["one"]);
    }
}

/// Scenario 32.
#[test]
fn a_publication_whose_sync_fails_is_not_accepted_and_its_segment_gets_no_more() {
    let mut world = World::new(LogSync::Each);
    let top = world.keep("a", "one");
    world.disk.set_faults(Faults {
        fails_sync: true,
        ..Faults::default()
    });
    for _ in 0..2 {
        let refused = world.publish("a", "refused", kept());
        assert!(matches!(refused, Err(BrokerError::Unavailable { .. })));
        assert_eq!(world.data("a"), ["one"]);
    }
    world.disk.set_faults(Faults::default());
    let end = world.length("00000001.seg");
    assert_eq!(world.keep("a", "two"), after(&top));
    assert_eq!(world.length("00000001.seg"), end);
    assert!(world.length("00000002.seg") > SEGMENT_HEADER_BYTES as u64);
    world.cut_power();
    assert_eq!(world.data("a"), ["one", "two"]);
}

#[test]
fn what_was_accepted_before_a_failed_sync_is_written_again() {
    let mut world = World::new(LogSync::Interval);
    world.keep("a", "one");
    world.keep("b", "other");
    world.disk.set_faults(Faults {
        fails_sync: true,
        ..Faults::default()
    });
    world.log().sync().unwrap_err();
    assert_eq!(world.data("a"), ["one"], "readers go on");
    world.disk.set_faults(Faults::default());
    let top = world.keep("a", "two");
    world.log().sync().unwrap();
    // What the disk has is whole again.
    let report = world.cut_power();
    assert_eq!(report.cut, None);
    assert_eq!(world.data("a"), ["one", "two"]);
    assert_eq!(world.data("b"), ["other"]);
    assert_eq!(world.position("a").offset, top.offset);
}

#[test]
fn a_quiet_channel_is_copied_forward_and_holds_no_old_segment() {
    let mut world = World::with(|limits| limits.bytes_max = 64 << 20);
    let quiet = world.keep("quiet", "kept");
    let brief = PublishOptions {
        history_size: 1,
        ..kept()
    };
    let text = "x".repeat(60_000);
    for _ in 0..1000 {
        world.publish("busy", &text, brief.clone()).unwrap();
        world.now += 100;
        world.upkeep();
    }
    assert!(!world.segments().contains(&1));
    assert!(world.log().bytes() < 30 << 20, "{}", world.log().bytes());
    world.die();
    assert_eq!(world.data("quiet"), ["kept"]);
    assert_eq!(world.position("quiet"), quiet);
    // Also without a checkpoint.
    world.log = None;
    world.disk.remove("checkpoint").unwrap();
    world.open().unwrap();
    assert_eq!(world.data("quiet"), ["kept"]);
    assert_eq!(world.position("quiet"), quiet);
}

#[test]
fn at_its_limit_the_log_drops_what_was_written_first_and_keeps_positions() {
    let mut world = World::with(|limits| limits.bytes_max = 1 << 20);
    let long = PublishOptions {
        history_size: 1_000_000,
        ..kept()
    };
    let first = world.publish("first", "gone", long.clone()).unwrap();
    let text = "x".repeat(1000);
    for number in 1..=3000 {
        let published = world.publish("long", &text, long.clone()).unwrap();
        assert_eq!(published.position.unwrap().offset, number);
        assert!(world.log().bytes() <= 1 << 20);
        if number % 7 == 0 {
            world.upkeep();
        }
    }
    let count = world.data("long").len();
    assert!((500..1000).contains(&count), "{count}");
    assert_eq!(world.data("first"), [""; 0]);
    assert_eq!(Some(world.position("first")), first.position);
    world.die();
    assert_eq!(world.data("long").len(), count);
    assert_eq!(Some(world.position("first")), first.position);
}

#[test]
fn a_position_is_forgotten_and_its_channel_takes_no_memory() {
    let mut world = World::new(LogSync::None);
    let before = world.keep("a", "one");
    world.now += 3_600_000;
    for _ in 0..3 {
        let now = world.now;
        world.log().sweep(now);
    }
    assert_eq!(world.log().index().lock().len(), 0);
    let after = world.keep("a", "two");
    assert_eq!(after.offset, 1);
    assert_ne!(after.epoch, before.epoch);
    world.die();
    assert_eq!(world.position("a"), after);
}

#[test]
fn a_question_writes_nothing_and_what_it_was_told_outlives_the_process() {
    for sync in MODES {
        let mut world = World::new(sync);
        let bytes = world.length("00000001.seg");
        let told = world.new_epoch("a");
        assert_eq!(world.log().index().lock().len(), 0);
        assert_eq!(world.length("00000001.seg"), bytes);
        world.die();
        assert_eq!(world.new_epoch("a"), told);
        world.close();
        assert_eq!(world.new_epoch("a"), told);
        let first = world.keep("a", "one");
        assert_eq!((first.offset, &first.epoch), (1, &told));
        world.die();
        world.now += 3_600_000;
        let next = world.new_epoch("a");
        assert_ne!(next, told);
        let now = world.now;
        world.log().sweep(now);
        assert_eq!(world.log().index().lock().len(), 0);
        assert_eq!(world.new_epoch("a"), next);
        // Another process doesn't know which were used, so it uses none of them.
        world.close();
        let other = world.new_epoch("a");
        assert!(![&told, &next].contains(&&other));
        world.cut_power();
        assert_eq!(world.new_epoch("a") == other, sync == LogSync::Each);
    }
}

#[test]
fn more_channels_than_may_be_are_refused() {
    let mut world = World::with(|limits| limits.channels_max = 1);
    world.keep("a", "one");
    let refused = world.publish("b", "one", kept());
    assert_eq!(
        refused,
        Err(BrokerError::TooManyChannels { channels_max: 1 })
    );
    world.keep("a", "two");
}

#[test]
fn a_repair_lets_the_start_skip_what_is_bad_and_gives_new_epochs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let open = |seed| {
        let mut world = World::new(LogSync::Interval);
        world.log = None;
        let disk = Arc::new(Directory::open(path).unwrap());
        let boot = BootId::current();
        let (log, report) =
            Log::open(disk, world.limits, boot, Epochs::new(seed), world.now).unwrap();
        world.log = Some(log);
        (world, report)
    };
    let (mut world, _) = open(1);
    let before = world.keep("a", "one");
    let bad = std::fs::metadata(path.join("00000001.seg")).unwrap().len();
    world.keep("a", "two");
    world.keep("b", "other");
    drop(world);
    let file = path.join("00000001.seg");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[bad as usize + 9] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    let error = check_log(path).unwrap_err();
    assert!(matches!(error, LogError::Damaged { position, .. } if position == bad));
    let changes = repair_log(path).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].starts_with(&format!("00000001.seg: bytes {bad} to ")));
    assert_eq!(check_log(path).unwrap().channels, 2);
    assert!(repair_log(path).unwrap().is_empty());

    let mut lines = vec![];
    let shown = dump_log(path, &mut |line| {
        lines.push(line.to_owned());
        Ok(())
    });
    shown.unwrap().unwrap();
    assert!(lines.contains(&format!("00000001.seg {bad} skipped by a repair")));

    let (mut world, report) = open(2);
    assert_eq!(report.new_epochs, 2);
    assert_eq!(world.data("a"), ["one"]);
    assert_eq!(world.data("b"), ["other"]);
    assert_ne!(world.position("a").epoch, before.epoch);
}

#[test]
fn a_second_process_does_not_get_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Directory::open(directory.path()).unwrap();
    for refused in [
        check_log(directory.path()).map(drop),
        repair_log(directory.path()).map(drop),
        dump_log(directory.path(), &mut |_| Ok(())).map(drop),
    ] {
        assert!(matches!(refused, Err(LogError::InUse { .. })));
    }
}

#[test]
fn random_damage_never_panics() {
    let mut random = Random(7);
    let mut world = World::new(LogSync::Each);
    for number in 0..50 {
        world.keep(["a", "b", "c"][number % 3], "some data");
    }
    world.close();
    for _ in 0..10 {
        world.keep("a", "more data");
    }
    world.log = None;
    for _ in 0..500 {
        let disk = world.disk.copy();
        for _ in 0..1 + random.below(4) {
            disk.flip(&mut random);
        }
        let boot = BootId([random.below(2) as u8 + 1; 16]);
        drop(Log::open(
            Arc::new(disk),
            world.limits,
            boot,
            Epochs::new(1),
            world.now,
        ));
    }
}

/// A log on a disk in memory.
struct World {
    disk: FaultDisk,
    limits: LogLimits,
    log: Option<Log>,
    boot: u8,
    opened: u64,
    now: u64,
}

impl World {
    fn new(sync: LogSync) -> Self {
        Self::with(|limits| limits.sync = sync)
    }

    fn with(change: impl FnOnce(&mut LogLimits)) -> Self {
        let mut limits = LogLimits {
            sync: LogSync::Interval,
            bytes_max: 1 << 30,
            channels_max: 1000,
            idempotency_bytes_max: 1 << 20,
            idempotency_keys_max: 1000,
            history_meta_ttl: Duration::from_secs(3600),
            checkpoint_bytes: 64 << 10,
        };
        change(&mut limits);
        let mut world = Self {
            disk: FaultDisk::new(1),
            limits,
            log: None,
            boot: 1,
            opened: 0,
            now: 1_800_000_000_000,
        };
        world.open().unwrap();
        world
    }

    fn open(&mut self) -> Result<LogReport, LogError> {
        self.opened += 1;
        let disk = Arc::new(self.disk.clone());
        let boot = BootId([self.boot; 16]);
        let epochs = Epochs::new(self.opened);
        let (log, report) = Log::open(disk, self.limits, boot, epochs, self.now)?;
        self.log = Some(log);
        Ok(report)
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    /// Ends the process at once, and begins another.
    fn die(&mut self) {
        self.log = None;
        let report = self.open().unwrap();
        assert_eq!((report.cut, report.new_epochs, report.lost), (None, 0, 0));
    }

    /// Ends the process in order, and begins another.
    fn close(&mut self) {
        let now = self.now;
        self.log().close(now).unwrap();
        self.die();
    }

    fn cut_power(&mut self) -> LogReport {
        self.log = None;
        self.disk.cut_power();
        self.boot += 1;
        self.open().unwrap()
    }

    fn commit(&mut self, order: Order) -> Outcome {
        let now = self.now;
        self.log().commit(&[order], now).remove(0)
    }

    fn publish(
        &mut self,
        channel: &str,
        data: &str,
        options: PublishOptions,
    ) -> Result<crate::broker::Published, BrokerError> {
        let publication = Publication {
            data: Bytes::copy_from_slice(data.as_bytes()),
            ..Publication::default()
        };
        let outcome = self.commit(Order::Publish {
            channel: channel.into(),
            publication,
            options,
        });
        match outcome {
            Outcome::Published(published) => Ok(published),
            Outcome::Refused(error) => Err(error),
            Outcome::Done => panic!("it was a publication"),
        }
    }

    fn keep(&mut self, channel: &str, data: &str) -> StreamPosition {
        let published = self.publish(channel, data, kept()).unwrap();
        published.position.unwrap()
    }

    fn upkeep(&mut self) {
        let now = self.now;
        while self.log().upkeep(now) {}
    }

    fn history(&mut self, channel: &str) -> History {
        let query = HistoryQuery {
            limit: Limit::All,
            ..HistoryQuery::default()
        };
        self.page(channel, &query, usize::MAX)
    }

    fn page(&mut self, channel: &str, query: &HistoryQuery, bytes_max: usize) -> History {
        let now = self.now;
        let index = self.log().index().clone();
        let Presence::Known(found) = index.lock().history(channel, query, now, 100_000) else {
            panic!("there is no history")
        };
        Reader::new(found).read(bytes_max).unwrap()
    }

    /// Returns the epoch of a channel without a history.
    fn new_epoch(&mut self, channel: &str) -> Epoch {
        let now = self.now;
        let index = self.log().index().clone();
        let query = HistoryQuery::default();
        let Presence::Unknown(epoch) = index.lock().history(channel, &query, now, 1) else {
            panic!("there is a history")
        };
        epoch
    }

    fn data(&mut self, channel: &str) -> Vec<String> {
        let history = self.history(channel);
        let data = history.publications.iter();
        data.map(|it| String::from_utf8(it.data.to_vec()).unwrap())
            .collect()
    }

    fn position(&mut self, channel: &str) -> StreamPosition {
        self.history(channel).position
    }

    fn length(&self, name: &str) -> u64 {
        self.disk.open(name).unwrap().len().unwrap()
    }

    fn segments(&self) -> Vec<u32> {
        let names = self.disk.list().unwrap();
        names.iter().filter_map(|name| segment_id(name)).collect()
    }
}

fn after(position: &StreamPosition) -> StreamPosition {
    StreamPosition {
        offset: position.offset + 1,
        epoch: position.epoch.clone(),
    }
}

/// A history of 100 for ten minutes, its position for an hour.
fn kept() -> PublishOptions {
    PublishOptions {
        history_size: 100,
        history_ttl: Duration::from_secs(600),
        history_meta_ttl: Duration::from_secs(3600),
        ..PublishOptions::default()
    }
}

const MODES: [LogSync; 3] = [LogSync::None, LogSync::Interval, LogSync::Each];
