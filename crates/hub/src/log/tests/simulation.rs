//! The log on a disk that fails, beside a model of what was accepted and seen.
//!
//! Each seed is a story of publications, questions, faults, deaths of the process and power cuts. What holds in each:
//! - One offset of one epoch of a channel is one publication, whoever sees it, before and after any end of the process.
//! - What was accepted is there again, in order, after the death of the process in every mode, and after a power cut in mode
//!   `each`. In the other modes no channel has an epoch from before the power cut.
//! - What was refused because the disk is full has not happened.
//! - A flipped bit is noticed: the log doesn't open, or says what it cut off, or the reader gets an error.

use std::{
    collections::{HashMap, HashSet},
    env,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::fault_disk::{FaultDisk, Faults, Random};
use crate::{
    Epoch, Publication, StreamPosition,
    broker::{
        BrokerError, History, HistoryQuery, Limit, PublishOptions, Published, Suppression,
        epochs::Epochs,
    },
    log::{BootId, Log, LogLimits, LogSync, Order, Outcome, Presence, Reader},
};

#[test]
fn whatever_fails_nothing_accepted_is_lost_and_no_offset_is_given_twice() {
    (0..SEEDS).for_each(Story::run);
}

/// `make simulate SEEDS=100000`, or `SEED=7` for one alone.
#[test]
#[ignore = "as many seeds as SEEDS says"]
fn many_seeds() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("SEED") {
        return Story::run_told(seed, Telling::Aloud);
    }
    let seeds = number("SEEDS").unwrap_or(10_000);
    for seed in 0..seeds {
        Story::run(seed);
        if (seed + 1) % 1000 == 0 {
            println!("{} of {seeds} seeds", seed + 1);
        }
    }
}

/// One seed.
struct Story {
    seed: u64,
    random: Random,
    disk: FaultDisk,
    limits: LogLimits,
    /// `None` between two processes.
    log: Option<Log>,
    boot: u8,
    opened: u64,
    now: u64,
    channels: Vec<Channel>,
    published: u64,
    /// Keys of other lives are not used again: whether they are remembered is not known.
    life: u64,
    /// The process dies in the midst of an operation.
    is_dying: bool,
    /// The log may have become as large as it may: histories may have lost their beginning.
    is_tight: bool,
    telling: Telling,
}

/// Whether a story is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    Silent,
    Aloud,
}

/// What the model knows of a channel.
struct Channel {
    name: Arc<str>,
    size: usize,
    /// 0: no limit.
    bytes_max: usize,
    ttl: u64,
    meta_ttl: u64,
    stream: Option<Stream>,
    /// What was given to anybody, or could have been: data by epoch and offset.
    seen: HashMap<(Epoch, u64), String>,
    epochs: HashSet<Epoch>,
    keys: Vec<(String, u64, StreamPosition)>,
    /// Publications that were neither accepted nor surely refused, with the time of the attempt.
    perhaps: Vec<(String, u64)>,
    /// All data that were ever tried.
    tried: HashSet<String>,
    /// Removed, perhaps.
    may_be_removed: bool,
}

#[derive(Clone)]
struct Stream {
    epoch: Epoch,
    top: u64,
    kept: Vec<(u64, String)>,
    expires: u64,
    forgotten: u64,
    /// When it expires isn't known: what is there may be less than what is kept.
    is_uncertain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Clean,
    Death,
    PowerCut,
}

impl Story {
    fn run(seed: u64) {
        Self::run_told(seed, Telling::Silent);
    }

    fn run_told(seed: u64, telling: Telling) {
        let mut random = Random(seed);
        let sync = [LogSync::None, LogSync::Interval, LogSync::Each][random.below(3) as usize];
        let is_tight = random.one_in(4);
        let limits = LogLimits {
            sync,
            // Segments of 4 KiB.
            bytes_max: if is_tight { 64 << 10 } else { 16 << 20 },
            channels_max: 100,
            idempotency_bytes_max: 1 << 20,
            idempotency_keys_max: 100,
            history_meta_ttl: Duration::from_secs(1000),
            checkpoint_bytes: 2 << 10 << random.below(6),
        };
        let limits = match is_tight {
            true => limits,
            // A sixteenth is one segment.
            false => LogLimits {
                bytes_max: [64 << 10, 1 << 20][random.below(2) as usize] * 16,
                ..limits
            },
        };
        let channels = (0..1 + random.below(5)).map(|number| Channel {
            name: format!("channel {number}").into(),
            size: 1 + random.below(8) as usize,
            bytes_max: [0, 200, 2000][random.below(3) as usize],
            ttl: [5_000, LONG_TTL][random.below(2) as usize],
            meta_ttl: [20_000, 10_000_000][random.below(2) as usize],
            stream: None,
            seen: HashMap::new(),
            epochs: HashSet::new(),
            keys: vec![],
            perhaps: vec![],
            tried: HashSet::new(),
            may_be_removed: false,
        });
        let mut story = Self {
            seed,
            disk: FaultDisk::new(seed),
            limits,
            log: None,
            boot: 1,
            opened: 0,
            now: 1_800_000_000_000,
            channels: channels.collect(),
            published: 0,
            life: 0,
            is_dying: false,
            is_tight,
            telling,
            random,
        };
        story.open();
        for _ in 0..STEPS {
            story.step();
        }
        story.end(End::Clean);
        story.check_all();
    }

    fn tell(&self, text: impl FnOnce() -> String) {
        if self.telling == Telling::Aloud {
            println!("{} {}", self.now, text());
        }
    }

    fn step(&mut self) {
        match self.random.below(24) {
            0..=9 => self.commit(),
            10..=12 => {
                let at = self.random.below(self.channels.len() as u64) as usize;
                self.check(at);
            }
            13..=15 => {
                for _ in 0..self.random.below(20) {
                    let now = self.now;
                    self.log().upkeep(now);
                }
            }
            16 => {
                self.now += self.random.below(4000);
                let now = self.now;
                self.log().sweep(now);
            }
            17 => {
                _ = self.log().sync();
            }
            18 => self.set_faults(),
            19 => self.disk.set_faults(Faults::default()),
            20 => self.flip(),
            21 => self.end(End::Death),
            22 => self.end(End::PowerCut),
            _ => {
                let end = [End::Clean, End::Death, End::PowerCut][self.random.below(3) as usize];
                self.end(end);
            }
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn set_faults(&mut self) {
        let mut faults = Faults::default();
        match self.random.below(4) {
            0 => faults.room = Some(self.random.below(1000)),
            1 => faults.has_short_writes = true,
            2 => faults.fails_sync = true,
            _ => {
                faults.dies_after = Some(self.random.below(12) as u32);
                self.is_dying = true;
            }
        }
        self.disk.set_faults(faults);
        self.tell(|| format!("{faults:?}"));
        if self.is_dying {
            // Something happens until the process dies, then it ends.
            self.commit();
            let now = self.now;
            for _ in 0..self.random.below(10) {
                self.log().upkeep(now);
            }
            self.commit();
            let end = [End::Death, End::PowerCut][self.random.below(2) as usize];
            self.end(end);
        }
    }

    /// Hands the log a batch.
    fn commit(&mut self) {
        self.now += self.random.below(200);
        let mut orders = vec![];
        let mut targets = vec![];
        for _ in 0..1 + self.random.below(6) {
            let at = self.random.below(self.channels.len() as u64) as usize;
            let channel = &mut self.channels[at];
            let name = channel.name.clone();
            targets.push(at);
            orders.push(match self.random.below(12) {
                0 => Order::Remove { channel: name },
                kind => {
                    self.published += 1;
                    let data = format!(
                        "{} {}",
                        self.published,
                        "x".repeat(self.random.below(900) as usize)
                    );
                    channel.tried.insert(data.clone());
                    let key = match kind {
                        2 => Some(format!("{} {}", self.life, self.published)),
                        3 => channel.keys.first().map(|(key, ..)| key.clone()),
                        _ => None,
                    };
                    Order::Publish {
                        channel: name,
                        publication: Publication {
                            data: Bytes::from(data),
                            ..Publication::default()
                        },
                        options: PublishOptions {
                            history_size: channel.size,
                            history_bytes_max: channel.bytes_max,
                            history_ttl: Duration::from_millis(channel.ttl),
                            history_meta_ttl: Duration::from_millis(channel.meta_ttl),
                            idempotency_key: key.map(Into::into),
                            idempotency_ttl: Duration::from_millis(KEY_TTL),
                            ..PublishOptions::default()
                        },
                    }
                }
            });
        }
        let now = self.now;
        let outcomes = self.log().commit(&orders, now);
        assert_eq!(outcomes.len(), orders.len());
        for ((at, order), outcome) in targets.into_iter().zip(&orders).zip(outcomes) {
            self.tell(|| format!("{at} {}: {outcome:?}", name_of(order)));
            self.take(at, order, outcome);
        }
    }

    /// Compares an outcome with the model.
    fn take(&mut self, at: usize, order: &Order, outcome: Outcome) {
        let (seed, now) = (self.seed, self.now);
        let is_dying = self.is_dying;
        let channel = &mut self.channels[at];
        channel.pass(now);
        match (order, outcome) {
            (
                Order::Publish {
                    publication,
                    options,
                    ..
                },
                Outcome::Published(published),
            ) => {
                let data = String::from_utf8(publication.data.to_vec()).unwrap();
                channel.publish(seed, now, data, options, published);
            }
            (Order::Publish { publication, .. }, Outcome::Refused(error)) => {
                let data = String::from_utf8(publication.data.to_vec()).unwrap();
                let may_have_happened = is_dying || error != BrokerError::DiskFull;
                if may_have_happened {
                    channel.perhaps.push((data, now));
                }
            }
            (Order::Remove { .. }, Outcome::Done) => {
                if let Some(stream) = &mut channel.stream {
                    stream.kept.clear();
                }
            }
            (Order::Remove { .. }, Outcome::Refused(_)) => channel.may_be_removed = true,
            (_, outcome) => panic!("seed {seed}: {outcome:?}"),
        }
    }

    /// Ends the process, and begins another.
    fn end(&mut self, end: End) {
        let now = self.now;
        self.channels
            .iter_mut()
            .for_each(|channel| channel.pass(now));
        let is_closed = match end {
            End::Clean => {
                self.disk.set_faults(Faults::default());
                let now = self.now;
                self.log().close(now).is_ok()
            }
            End::Death | End::PowerCut => false,
        };
        self.log = None;
        self.disk.set_faults(Faults::default());
        self.is_dying = false;
        if end == End::PowerCut {
            self.disk.cut_power();
            self.boot += 1;
        }
        self.now += self.random.below(2000);
        let is_uncertain = end == End::PowerCut && self.limits.sync != LogSync::Each;
        if is_uncertain {
            self.life += 1;
        }
        if self.random.one_in(4) {
            self.die_at_the_start(end);
        }
        let new_epochs = self.open();
        self.tell(|| format!("{end:?}, {:?}, {new_epochs} new epochs", self.limits.sync));
        for at in 0..self.channels.len() {
            let now = self.now;
            let channel = &mut self.channels[at];
            // Positions may be remembered for longer than before, never for less.
            if let Some(stream) = &mut channel.stream
                && !is_closed
            {
                stream.forgotten = u64::MAX;
            }
            if is_uncertain {
                channel.keys.clear();
                self.adopt(at, new_epochs);
            } else {
                self.settle(at);
            }
            let channel = &mut self.channels[at];
            channel.may_be_removed = false;
            channel.perhaps.clear();
            if let Some(stream) = &mut channel.stream {
                stream.forgotten = now + channel.meta_ttl;
            }
        }
    }

    /// Begins a process that dies while it opens the log.
    fn die_at_the_start(&mut self, end: End) {
        self.disk.set_faults(Faults {
            dies_after: Some(self.random.below(12) as u32),
            ..Faults::default()
        });
        self.opened += 1;
        let epochs = Epochs::new(self.seed << 20 | self.opened);
        let boot = BootId([self.boot; 16]);
        drop(Log::open(
            Arc::new(self.disk.clone()),
            self.limits,
            boot,
            epochs,
            self.now,
        ));
        self.disk.set_faults(Faults::default());
        if end == End::PowerCut && self.random.one_in(2) {
            self.disk.cut_power();
            self.boot += 1;
        }
    }

    /// Returns how many channels have new epochs.
    fn open(&mut self) -> usize {
        self.opened += 1;
        let epochs = Epochs::new(self.seed << 20 | self.opened);
        let boot = BootId([self.boot; 16]);
        let opened = Log::open(
            Arc::new(self.disk.clone()),
            self.limits,
            boot,
            epochs,
            self.now,
        );
        let (log, report) = opened.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        assert_eq!(report.lost, 0, "seed {}", self.seed);
        self.log = Some(log);
        report.new_epochs
    }

    /// Compares a channel with the model after everything that was accepted must be there; what was neither accepted nor
    /// refused may be.
    fn settle(&mut self, at: usize) {
        let Some(history) = self.read(at) else {
            return;
        };
        let (seed, now, is_tight) = (self.seed, self.now, self.is_tight);
        let channel = &mut self.channels[at];
        channel.note(seed, &history);
        let Some(stream) = &mut channel.stream else {
            channel.begin(&history, now);
            return;
        };
        if stream.forgotten <= now {
            channel.begin(&history, now);
            return;
        }
        let top = history.position.offset;
        assert_eq!(history.position.epoch, stream.epoch, "seed {seed}");
        let landed = top.checked_sub(stream.top);
        let landed = landed.unwrap_or_else(|| panic!("seed {seed}: {top} < {}", stream.top));
        assert!(landed <= channel.perhaps.len() as u64, "seed {seed}");
        // Which of them stand there is told by their data; they are in the order of the attempts.
        let mut perhaps = channel.perhaps.iter();
        let returned: HashMap<u64, String> = data_of(&history).into_iter().collect();
        for offset in stream.top + 1..=top {
            let time = match returned.get(&offset) {
                Some(data) => perhaps
                    .find(|(tried, _)| tried == data)
                    .map(|(_, time)| *time),
                None => channel.perhaps.last().map(|(_, time)| *time),
            };
            let time = time.unwrap_or_else(|| panic!("seed {seed}: {offset} was never tried"));
            if stream.expires <= time {
                stream.kept.clear();
            }
            let data = returned.get(&offset).cloned().unwrap_or_default();
            stream.kept.push((offset, data));
            let surplus = stream.kept.len().saturating_sub(channel.size);
            stream.kept.drain(..surplus);
            limit_bytes(&mut stream.kept, channel.bytes_max);
            stream.expires = time + channel.ttl;
        }
        stream.top = top;
        if stream.expires <= now {
            stream.kept.clear();
        }
        if landed > 0 {
            // Those before were kept for longer by them than the model knew.
            let found = data_of(&history);
            let earlier = found.len().saturating_sub(stream.kept.len());
            assert!(found.len() <= channel.size, "seed {seed}");
            let mut limited = found.clone();
            limit_bytes(&mut limited, channel.bytes_max);
            assert_eq!(limited, found, "seed {seed}");
            stream.kept.splice(..0, found[..earlier].iter().cloned());
            if channel.bytes_max > 0 {
                // How large those were that aren't there any more isn't known.
                let gone = stream.kept.len().saturating_sub(found.len());
                stream.kept.drain(..gone);
            }
            if channel.ttl < LONG_TTL {
                // Nor is it known when those happened that aren't there any more.
                stream.expires = u64::MAX;
                stream.is_uncertain = true;
            }
        }
        let may_be_removed = channel.may_be_removed;
        compare(seed, &history, stream, is_tight || may_be_removed);
    }

    /// Takes what is there after a power cut that may have taken publications.
    fn adopt(&mut self, at: usize, new_epochs: usize) {
        self.channels[at].stream = None;
        let Some(history) = self.read(at) else {
            return;
        };
        self.tell(|| format!("{at} is at {:?}", history.position));
        let (seed, now) = (self.seed, self.now);
        let channel = &mut self.channels[at];
        let epoch = &history.position.epoch;
        if new_epochs > 0 {
            assert!(!channel.epochs.contains(epoch), "seed {seed}: an old epoch");
        }
        for (offset, data) in data_of(&history) {
            assert!(channel.tried.contains(&data), "seed {seed}: {offset}");
        }
        channel.note(seed, &history);
        channel.begin(&history, now);
    }

    fn check_all(&mut self) {
        for at in 0..self.channels.len() {
            self.check(at);
        }
    }

    /// Compares a channel with the model while the process lives.
    fn check(&mut self, at: usize) {
        let Some(history) = self.read(at) else {
            return;
        };
        let (seed, now, is_tight) = (self.seed, self.now, self.is_tight);
        let channel = &mut self.channels[at];
        channel.pass(now);
        channel.note(seed, &history);
        match &mut channel.stream {
            None => channel.begin(&history, now),
            Some(stream) => {
                assert_eq!(history.position.epoch, stream.epoch, "seed {seed}");
                assert_eq!(history.position.offset, stream.top, "seed {seed}");
                compare(seed, &history, stream, is_tight);
                stream.forgotten = now + channel.meta_ttl;
            }
        }
    }

    /// Asks the log for a whole history. `None`: it has none.
    fn read(&mut self, at: usize) -> Option<History> {
        let (seed, now) = (self.seed, self.now);
        let name = self.channels[at].name.clone();
        let meta_ttl = Duration::from_millis(self.channels[at].meta_ttl);
        let query = HistoryQuery {
            limit: Limit::All,
            meta_ttl,
            ..HistoryQuery::default()
        };
        let presence = self.log().index().lock().history(&name, &query, now, 1000);
        match presence {
            Presence::Known(found) => {
                let read = Reader::new(found).read(usize::MAX);
                Some(read.unwrap_or_else(|error| panic!("seed {seed}: {error}")))
            }
            Presence::Unknown(epoch) => {
                let channel = &mut self.channels[at];
                channel.pass(now);
                // What was neither accepted nor refused may have begun one, and then been forgotten.
                assert!(channel.stream.is_none(), "seed {seed}: a history is gone");
                let is_taken = channel.seen.keys().any(|(seen, _)| *seen == epoch);
                assert!(!is_taken, "seed {seed}: {epoch} came again");
                channel.epochs.insert(epoch);
                None
            }
        }
    }

    /// Flips a bit in a copy of the disk, and opens that.
    fn flip(&mut self) {
        let seed = self.seed;
        let disk = self.disk.copy();
        disk.set_faults(Faults::default());
        let Some(place) = disk.flip(&mut self.random) else {
            return;
        };
        let boot = BootId([self.boot; 16]);
        let epochs = Epochs::new(!seed);
        let opened = Log::open(Arc::new(disk), self.limits, boot, epochs, self.now);
        let Ok((log, report)) = opened else {
            return;
        };
        for channel in &mut self.channels {
            let query = HistoryQuery {
                limit: Limit::All,
                ..HistoryQuery::default()
            };
            let now = self.now;
            let found = log.index().lock().history(&channel.name, &query, now, 1000);
            let Presence::Known(found) = found else {
                continue;
            };
            let Ok(history) = Reader::new(found).read(usize::MAX) else {
                continue;
            };
            channel.pass(now);
            for (offset, data) in data_of(&history) {
                assert!(
                    channel.tried.contains(&data),
                    "seed {seed} {place:?}: {offset}"
                );
            }
            if let Some(stream) = &channel.stream
                && report.cut.is_none()
                && channel.perhaps.is_empty()
                && !channel.may_be_removed
                && !self.is_tight
                && !stream.is_uncertain
            {
                let found = data_of(&history);
                let offsets =
                    |list: &[(u64, String)]| list.iter().map(|(it, _)| *it).collect::<Vec<u64>>();
                assert_eq!(history.position.offset, stream.top, "seed {seed} {place:?}");
                let (found, kept) = (offsets(&found), offsets(&stream.kept));
                assert_eq!(found, kept, "seed {seed} {place:?}");
            }
        }
    }
}

impl Channel {
    /// Lets time pass.
    fn pass(&mut self, now: u64) {
        self.stream.take_if(|stream| stream.forgotten <= now);
        if let Some(stream) = &mut self.stream
            && stream.expires <= now
        {
            stream.kept.clear();
        }
        self.keys.retain(|(_, until, _)| *until > now);
    }

    fn publish(
        &mut self,
        seed: u64,
        now: u64,
        data: String,
        options: &PublishOptions,
        published: Published,
    ) {
        let key = options.idempotency_key.as_deref();
        let known = self.keys.iter().find(|(known, ..)| Some(&**known) == key);
        if let Some((_, _, position)) = known {
            let expected = Published {
                position: Some(position.clone()),
                suppressed: Some(Suppression::Idempotency),
            };
            assert_eq!(published, expected, "seed {seed}");
            return;
        }
        if published.suppressed.is_some() {
            // Its first publication was neither accepted nor refused, and happened.
            assert!(key.is_some(), "seed {seed}");
            return;
        }
        let position = published.position.unwrap();
        match &mut self.stream {
            Some(stream) => {
                assert_eq!(position.epoch, stream.epoch, "seed {seed}");
                assert_eq!(position.offset, stream.top + 1, "seed {seed}");
            }
            None => {
                // A question may have begun it.
                self.epochs.insert(position.epoch.clone());
                assert_eq!(position.offset, 1, "seed {seed}");
            }
        }
        let stream = self.stream.get_or_insert_with(|| Stream {
            epoch: position.epoch.clone(),
            top: 0,
            kept: vec![],
            expires: 0,
            forgotten: 0,
            is_uncertain: false,
        });
        stream.top = position.offset;
        stream.kept.push((position.offset, data.clone()));
        let surplus = stream.kept.len().saturating_sub(self.size);
        stream.kept.drain(..surplus);
        limit_bytes(&mut stream.kept, self.bytes_max);
        stream.expires = now + self.ttl;
        stream.forgotten = now + self.meta_ttl;
        if let Some(key) = key {
            let key = key.to_owned();
            self.keys.push((key, now + KEY_TTL, position.clone()));
        }
        let place = (position.epoch, position.offset);
        let before = self.seen.insert(place, data);
        assert_eq!(before, None, "seed {seed}: an offset is given twice");
    }

    /// Begins a history as it is found.
    fn begin(&mut self, history: &History, now: u64) {
        self.stream = Some(Stream {
            epoch: history.position.epoch.clone(),
            top: history.position.offset,
            kept: data_of(history),
            // A publication says it. Until then the model takes what is there.
            expires: u64::MAX,
            forgotten: now + self.meta_ttl,
            is_uncertain: true,
        });
    }

    /// Notes what a reader has seen.
    fn note(&mut self, seed: u64, history: &History) {
        let epoch = &history.position.epoch;
        self.epochs.insert(epoch.clone());
        for (offset, data) in data_of(history) {
            let seen = self.seen.entry((epoch.clone(), offset));
            let seen = seen.or_insert_with(|| data.clone());
            assert_eq!(*seen, data, "seed {seed}: {offset} is another publication");
        }
    }
}

/// Drops the oldest beyond a limit of bytes, but never the newest.
fn limit_bytes(kept: &mut Vec<(u64, String)>, bytes_max: usize) {
    let bytes = |kept: &[(u64, String)]| kept.iter().map(|(_, data)| data.len()).sum::<usize>();
    while bytes_max > 0 && kept.len() > 1 && bytes(kept) > bytes_max {
        kept.remove(0);
    }
}

/// Compares what is there with what the model keeps. If the beginning may be gone, the model learns how much.
fn compare(seed: u64, history: &History, stream: &mut Stream, may_be_shorter: bool) {
    let found = data_of(history);
    let kept = &mut stream.kept;
    if may_be_shorter || stream.is_uncertain {
        let gone = kept.len().saturating_sub(found.len());
        kept.drain(..gone);
        stream.is_uncertain = stream.expires == u64::MAX;
    }
    let offsets = |list: &[(u64, String)]| list.iter().map(|(it, _)| *it).collect::<Vec<u64>>();
    assert_eq!(offsets(&found), offsets(kept), "seed {seed}");
    for ((_, found), (offset, kept)) in found.iter().zip(kept.iter_mut()) {
        if kept.is_empty() {
            kept.clone_from(found);
        }
        assert_eq!(found, kept, "seed {seed}: {offset}");
    }
}

fn name_of(order: &Order) -> String {
    match order {
        Order::Publish { publication, .. } => {
            let begin = publication.data.len().min(6);
            String::from_utf8_lossy(&publication.data[..begin]).into_owned()
        }
        Order::Remove { .. } => "remove".to_owned(),
    }
}

fn data_of(history: &History) -> Vec<(u64, String)> {
    let publications = history.publications.iter();
    let data = publications.map(|it| (it.offset, String::from_utf8(it.data.to_vec()).unwrap()));
    data.collect()
}

/// Stories in the unit tests: some seconds.
const SEEDS: u64 = 400;

/// Steps of one story.
const STEPS: usize = 120;

/// Milliseconds. Longer than any story.
const LONG_TTL: u64 = 1_000_000;

/// Milliseconds.
const KEY_TTL: u64 = 50_000;
