//! The broker beside a model that is too simple to be wrong, under random operations.

use std::collections::{HashMap, HashSet};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sockeye_hub::{
    Epoch, StreamPosition,
    broker::{HistoryQuery, Limit, PublishOptions, Published, Suppression},
};

use crate::{
    fixture::Fixture,
    world::{Delivered, SECOND, World, at, content_bytes, delivery, text},
};

pub(crate) fn any_history_is_that_of_a_simple_model<F: Fixture>(_: &World<F>) {
    let operations = proptest::collection::vec(operation(), 1..80);
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&operations, |operations| {
        let world = World::<F>::new();
        let mut channels = [Channel::default(), Channel::default()];
        channels[1].bytes_max = 3 * content_bytes("12345");
        let mut now = 0;
        for operation in operations {
            match operation {
                Operation::Pass(seconds) => {
                    now += seconds;
                    world.pass(SECOND * seconds as u32);
                }
                Operation::Sweep => world.broker.sweep(),
                Operation::In(number, operation) => {
                    let name = ["a", "b"][number];
                    channels[number].check(&world, name, now, &operation);
                }
            }
        }
        Ok(())
    });
    result.unwrap();
}

#[derive(Clone, Debug)]
enum Operation {
    /// Seconds.
    Pass(u64),
    Sweep,
    In(usize, InChannel),
}

#[derive(Clone, Debug)]
enum InChannel {
    Subscribe,
    Unsubscribe,
    Remove,
    Publish(Publish),
    Ask(Ask),
}

#[derive(Clone, Debug)]
struct Publish {
    size: usize,
    padding: usize,
    /// Seconds.
    ttl: u64,
    meta_ttl: u64,
    key: Option<u8>,
    key_ttl: u64,
    version: u64,
    version_epoch: &'static str,
}

#[derive(Clone, Debug)]
struct Ask {
    limit: Limit,
    since: Option<(u64, SinceEpoch)>,
    reverse: bool,
    meta_ttl: u64,
}

#[derive(Clone, Copy, Debug)]
enum SinceEpoch {
    /// That of the last answer, which may be forgotten.
    Last,
    Empty,
    Foreign,
}

/// What the model knows of a channel.
#[derive(Default)]
struct Channel {
    is_subscribed: bool,
    stream: Option<Stream>,
    last_epoch: Epoch,
    past_epochs: HashSet<Epoch>,
    /// Until when, and the position.
    keys: HashMap<u8, (u64, Option<StreamPosition>)>,
    published: u64,
    /// 0: no limit.
    bytes_max: usize,
}

struct Stream {
    epoch: Epoch,
    top: u64,
    /// Offset and data.
    kept: Vec<(u64, String)>,
    expires: u64,
    forgotten: u64,
    meta_ttl: u64,
    version: u64,
    version_epoch: &'static str,
}

impl Channel {
    fn check<F: Fixture>(&mut self, world: &World<F>, name: &str, now: u64, operation: &InChannel) {
        self.stream.take_if(|stream| stream.forgotten <= now);
        let has_more = self.is_subscribed || !self.keys.is_empty();
        if !(F::REMEMBERS_UNPUBLISHED && has_more) {
            self.stream.take_if(|stream| stream.top == 0);
        }
        if let Some(stream) = &mut self.stream
            && stream.expires <= now
        {
            stream.kept.clear();
        }
        self.keys.retain(|_, (until, _)| *until > now);
        match operation {
            InChannel::Subscribe => {
                world.subscribe(name);
                self.is_subscribed = true;
            }
            InChannel::Unsubscribe => {
                world.unsubscribe(name);
                self.is_subscribed = false;
            }
            InChannel::Remove => {
                world.remove_history(name);
                if let Some(stream) = &mut self.stream {
                    stream.kept.clear();
                }
            }
            InChannel::Publish(publish) => self.publish(world, name, now, publish),
            InChannel::Ask(ask) => self.ask(world, name, now, ask),
        }
    }

    fn publish<F: Fixture>(&mut self, world: &World<F>, name: &str, now: u64, publish: &Publish) {
        self.published += 1;
        let data = format!("{}{}", self.published, " ".repeat(publish.padding));
        let options = PublishOptions {
            history_size: publish.size,
            history_bytes_max: self.bytes_max,
            history_ttl: SECOND * publish.ttl as u32,
            history_meta_ttl: SECOND * publish.meta_ttl as u32,
            idempotency_key: publish.key.map(|key| key.to_string().into()),
            idempotency_ttl: SECOND * publish.key_ttl as u32,
            version: publish.version,
            version_epoch: Epoch::new(publish.version_epoch),
        };
        let published = world.publish(name, &data, options);
        let delivered = world.delivered();
        if let Some(suppressed) = self.suppressed(publish) {
            assert_eq!(published, suppressed);
            assert_eq!(delivered, []);
            return;
        }
        assert_eq!(published.suppressed, None);
        let position = published.position.clone();
        if publish.size == 0 {
            assert_eq!(position, None);
        } else {
            let position = position.as_ref().unwrap();
            self.open(&position.epoch, now, publish.meta_ttl);
            let stream = self.stream.as_mut().unwrap();
            if stream.top == 0 {
                let is_new = self.past_epochs.insert(position.epoch.clone());
                assert!(is_new, "{} came again", position.epoch);
            }
            stream.top += 1;
            assert_eq!(*position, at(stream.top, &stream.epoch));
            stream.kept.push((stream.top, data.clone()));
            let surplus = stream.kept.len().saturating_sub(publish.size);
            stream.kept.drain(..surplus);
            let bytes = |kept: &[(u64, String)]| -> usize {
                kept.iter().map(|(_, data)| content_bytes(data)).sum()
            };
            while self.bytes_max > 0
                && stream.kept.len() > 1
                && bytes(&stream.kept) > self.bytes_max
            {
                stream.kept.remove(0);
            }
            stream.expires = now + publish.ttl;
            if publish.version > 0 {
                stream.version = publish.version;
                stream.version_epoch = publish.version_epoch;
            }
        }
        let offset = position.as_ref().map_or(0, |position| position.offset);
        if let Some(key) = publish.key {
            self.keys.insert(key, (now + publish.key_ttl, position));
        }
        let expected: &[Delivered] = match self.is_subscribed {
            true => &[delivery(name, &data, offset)],
            false => &[],
        };
        assert_eq!(delivered, expected);
    }

    fn suppressed(&self, publish: &Publish) -> Option<Published> {
        if let Some((_, position)) = publish.key.and_then(|key| self.keys.get(&key)) {
            return Some(Published {
                position: position.clone(),
                suppressed: Some(Suppression::Idempotency),
            });
        }
        let stream = self.stream.as_ref().filter(|_| publish.size > 0)?;
        let is_same = ["", stream.version_epoch].contains(&publish.version_epoch);
        let is_late = is_same && (1..=stream.version).contains(&publish.version);
        is_late.then(|| Published {
            position: Some(at(stream.top, &stream.epoch)),
            suppressed: Some(Suppression::Version),
        })
    }

    fn ask<F: Fixture>(&mut self, world: &World<F>, name: &str, now: u64, ask: &Ask) {
        let since = ask.since.map(|(offset, epoch)| match epoch {
            SinceEpoch::Last => at(offset, &self.last_epoch),
            SinceEpoch::Empty => at(offset, &Epoch::default()),
            SinceEpoch::Foreign => at(offset, &Epoch::new("foreign")),
        });
        let query = HistoryQuery {
            limit: ask.limit,
            since: since.clone(),
            reverse: ask.reverse,
            bytes_max: None,
            meta_ttl: SECOND * ask.meta_ttl as u32,
        };
        let history = world.history(name, query);
        self.open(&history.position.epoch, now, ask.meta_ttl);
        let stream = self.stream.as_ref().unwrap();
        assert_eq!(history.position, at(stream.top, &stream.epoch));
        let expected = stream.answer(ask, since.as_ref());
        let publications = history.publications.iter();
        let found: Vec<_> = publications.map(|it| (it.offset, text(it))).collect();
        assert_eq!(found, expected);
    }

    /// The model learns a new stream's epoch from the answer. It must be one in which nothing was published.
    fn open(&mut self, epoch: &Epoch, now: u64, meta_ttl: u64) {
        if self.stream.is_none() {
            assert!(!epoch.is_empty());
            assert!(!self.past_epochs.contains(epoch), "{epoch} came again");
            self.stream = Some(Stream {
                epoch: epoch.clone(),
                top: 0,
                kept: vec![],
                expires: 0,
                forgotten: 0,
                meta_ttl: DEFAULT_META_TTL,
                version: 0,
                version_epoch: "",
            });
        }
        self.last_epoch = epoch.clone();
        let stream = self.stream.as_mut().unwrap();
        if meta_ttl > 0 {
            stream.meta_ttl = meta_ttl;
        }
        stream.forgotten = now + stream.meta_ttl;
    }
}

impl Stream {
    fn answer(&self, ask: &Ask, since: Option<&StreamPosition>) -> Vec<(u64, String)> {
        let mut found = self.kept.clone();
        if let Some(since) = since {
            if !since.epoch.is_empty() && since.epoch != self.epoch {
                return vec![];
            }
            let begins_in_history = self
                .kept
                .iter()
                .any(|(offset, _)| offset + 1 == since.offset);
            match ask.reverse {
                false => found.retain(|(offset, _)| *offset > since.offset),
                true if !begins_in_history => return vec![],
                true => found.retain(|(offset, _)| *offset < since.offset),
            }
        }
        if ask.reverse {
            found.reverse();
        }
        match ask.limit {
            Limit::PositionOnly => found.clear(),
            Limit::AtMost(count) => found.truncate(count),
            Limit::All => {}
        }
        found
    }
}

/// Seconds. The broker's default is longer than any run.
const DEFAULT_META_TTL: u64 = 1_000_000;

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => (1..15_u64).prop_map(Operation::Pass),
        1 => Just(Operation::Sweep),
        8 => (0..2_usize, in_channel()).prop_map(|(number, it)| Operation::In(number, it)),
    ]
}

fn in_channel() -> impl Strategy<Value = InChannel> {
    prop_oneof![
        1 => Just(InChannel::Subscribe),
        1 => Just(InChannel::Unsubscribe),
        1 => Just(InChannel::Remove),
        6 => publish().prop_map(InChannel::Publish),
        6 => ask().prop_map(InChannel::Ask),
    ]
}

fn publish() -> impl Strategy<Value = Publish> {
    let key = proptest::option::weighted(0.3, 0..3_u8);
    let version = prop_oneof![2 => Just(0), 1 => 1..4_u64];
    let version_epoch = prop_oneof![Just(""), Just("one"), Just("other")];
    let times = (1..20_u64, 0..40_u64, 1..30_u64);
    let content = (0..6_usize, 0..12_usize);
    (content, times, key, version, version_epoch).prop_map(
        |((size, padding), (ttl, meta_ttl, key_ttl), key, version, version_epoch)| Publish {
            size,
            padding,
            ttl,
            meta_ttl,
            key,
            key_ttl,
            version,
            version_epoch,
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let limit = prop_oneof![
        Just(Limit::PositionOnly),
        (0..5_usize).prop_map(Limit::AtMost),
        Just(Limit::All),
    ];
    let epoch = prop_oneof![
        6 => Just(SinceEpoch::Last),
        2 => Just(SinceEpoch::Empty),
        1 => Just(SinceEpoch::Foreign),
    ];
    let since = proptest::option::of((0..12_u64, epoch));
    (limit, since, any::<bool>(), 0..40_u64).prop_map(|(limit, since, reverse, meta_ttl)| Ask {
        limit,
        since,
        reverse,
        meta_ttl,
    })
}
