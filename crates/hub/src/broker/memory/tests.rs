//! The limits of the memory broker. What it shares with other brokers is in the contract test.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;

use super::{Memory, MemoryLimits, MemoryUsage};
use crate::{
    ClientInfo, Clock, Epoch, ManualClock, Publication, StreamPosition, Tags, UnixMillis,
    broker::{
        Broker, BrokerError, BrokerEvents, History, HistoryQuery, Limit, PublishOptions, Published,
        Suppression,
    },
};

#[test]
fn one_channel_more_than_the_limit_is_refused() {
    let world = World::new(|limits| limits.channels_max = 2);
    let refusal = Err(BrokerError::TooManyChannels { channels_max: 2 });
    world.subscribe("a").unwrap();
    world.keep("b", 1);
    assert_eq!(world.subscribe("c"), refusal);
    assert_eq!(world.try_keep("c", 1).map(drop), refusal);
    assert_eq!(world.publish_with_key("c", "k").map(drop), refusal);
    // What keeps nothing needs no place.
    world.publish("c", 1, PublishOptions::default()).unwrap();
    assert_eq!(world.history("c"), Ok(Vec::new()));
    // Those that have a place go on.
    world.keep("a", 1);
    world.keep("b", 1);
    assert_eq!(world.broker.usage().channels, 2);
}

#[test]
fn a_channel_that_is_left_or_forgotten_makes_room() {
    let world = World::new(|limits| limits.channels_max = 1);
    world.subscribe("a").unwrap();
    assert!(world.subscribe("b").is_err());
    world.unsubscribe("a");
    world.subscribe("b").unwrap();
    world.unsubscribe("b");
    world.keep("c", 1);
    assert!(world.subscribe("d").is_err());
    // The position is forgotten, and no sweep came.
    world.clock.advance(HOUR);
    world.subscribe("d").unwrap();
    assert_eq!(world.broker.usage().channels, 1);
}

/// Otherwise one client could use up the places of all, by subscribing to one name after the other.
#[test]
fn a_channel_without_publications_holds_no_place_and_keeps_its_epoch() {
    let world = World::new(|limits| limits.channels_max = 1);
    let epochs: Vec<Epoch> = (0..100)
        .map(|number| {
            let channel = format!("channel {number}");
            world.subscribe(&channel).unwrap();
            let asked = world.position(&channel).epoch;
            world.unsubscribe(&channel);
            asked
        })
        .collect();
    assert_eq!(world.broker.usage(), MemoryUsage::default());
    for (number, epoch) in epochs.iter().enumerate() {
        let again = world.position(&format!("channel {number}"));
        assert_eq!(again.epoch, *epoch);
    }
    let published = world.keep("channel 7", 1);
    assert_eq!(published.position.unwrap().epoch, epochs[7]);
}

#[test]
fn a_history_that_is_forgotten_is_followed_by_one_with_another_epoch() {
    let world = World::new(|_| {});
    let mut epochs = HashSet::new();
    for _ in 0..20 {
        let published = world.keep("a", 1).position.unwrap();
        assert_eq!(published.offset, 1);
        assert!(epochs.insert(published.epoch));
        world.clock.advance(HOUR);
        world.broker.sweep();
    }
}

/// Scenario 40.
#[test]
fn all_usage_returns_to_zero() {
    let world = World::new(|_| {});
    for number in 0..10_000 {
        let channel = format!("channel {}", number % 1000);
        world.subscribe(&channel).unwrap();
        world.keep(&channel, number % 300);
        let key = format!("key {number}");
        world.publish_with_key(&channel, &key).unwrap();
        if number % 7 == 0 {
            world.clock.advance(SECOND);
        }
    }
    let usage = world.broker.usage();
    assert_eq!(usage.channels, 1000);
    assert!(usage.history_bytes > 0 && usage.idempotency_bytes > 0);
    (0..1000).for_each(|number| world.unsubscribe(&format!("channel {number}")));
    world.clock.advance(HOUR);
    world.sweep_until_idle();
    assert_eq!(world.broker.usage(), MemoryUsage::default());
    assert_eq!(world.broker.scheduled(), 0);
}

#[test]
fn history_is_freed_when_it_expires_and_channels_when_their_position_is_forgotten() {
    let world = World::new(|_| {});
    world.keep("a", 1000);
    let before = world.broker.usage();
    assert!((1000..1400).contains(&before.history_bytes));
    world.clock.advance(MINUTE - MILLISECOND);
    world.broker.sweep();
    assert_eq!(world.broker.usage(), before);
    world.clock.advance(MILLISECOND);
    world.broker.sweep();
    let expired = world.broker.usage();
    assert_eq!((expired.history_bytes, expired.channels), (0, 1));
    world.clock.advance(HOUR);
    world.broker.sweep();
    assert_eq!(world.broker.usage(), MemoryUsage::default());
}

#[test]
fn a_sweep_is_bounded_and_the_next_goes_on() {
    let world = World::new(|_| {});
    for number in 0..5000 {
        world.keep(&format!("channel {number}"), 1);
    }
    let publication_bytes = world.broker.usage().history_bytes / 5000;
    world.clock.advance(MINUTE);
    world.broker.sweep();
    let left = world.broker.usage().history_bytes / publication_bytes;
    assert_eq!(left, 5000 - 4096);
    world.broker.sweep();
    assert_eq!(world.broker.usage().history_bytes, 0);
}

#[test]
fn channels_in_use_free_what_has_expired_without_a_sweep() {
    let world = World::new(|_| {});
    for number in 0..10_000 {
        world.keep(&format!("channel {number}"), 1);
        world.clock.advance(HOUR / 10);
    }
    // Ten are younger than an hour.
    assert!(world.broker.usage().channels <= 12);
}

#[test]
fn a_channel_has_one_entry_in_the_schedule() {
    let world = World::new(|_| {});
    for number in 0..100 {
        world.keep("a", 1);
        world.publish_with_key("a", &number.to_string()).unwrap();
        let options = PublishOptions {
            history_ttl: SECOND * (1 + number % 5),
            ..kept()
        };
        world.publish("a", 1, options).unwrap();
        world.clock.advance(SECOND * (number % 4));
        world.broker.sweep();
        assert_eq!(world.broker.scheduled(), 1);
    }
}

#[test]
fn a_channel_drops_its_own_oldest_history_at_the_limit() {
    let world = World::new(|limits| limits.history_bytes_max = 10_000);
    world.keep("quiet", 1000);
    for _ in 0..100 {
        world.keep("busy", 1000);
        assert!(world.broker.usage().history_bytes <= 10_000);
    }
    assert_eq!(world.offsets("quiet"), [1]);
    let kept = world.offsets("busy");
    assert!((6..=8).contains(&kept.len()), "{kept:?}");
    assert_eq!(kept.last(), Some(&100));
    assert!(kept.is_sorted_by(|one, next| one + 1 == *next));
    let dropped = world.broker.usage().history_dropped;
    assert_eq!(dropped, 100 - kept.len() as u64);
}

#[test]
fn a_publication_that_finds_no_room_is_delivered_and_not_kept() {
    let world = World::new(|limits| limits.history_bytes_max = 2000);
    world.subscribe("late").unwrap();
    world.keep("early", 1500);
    let position = world.keep("late", 1500).position.unwrap();
    assert_eq!(position.offset, 1);
    assert_eq!(world.delivered(), [1]);
    let history = world.history("late").unwrap();
    assert_eq!(history, vec![], "who missed it can't recover it");
    assert_eq!(world.offsets("early"), [1]);
    // The room comes back.
    world
        .broker
        .remove_history(&"early".into())
        .try_now()
        .unwrap()
        .unwrap();
    world.keep("late", 1500);
    assert_eq!(world.offsets("late"), [2]);
}

#[test]
fn expired_history_of_others_makes_room_at_once() {
    let world = World::new(|limits| limits.history_bytes_max = 2000);
    world.keep("early", 1500);
    world.clock.advance(MINUTE);
    world.keep("late", 1500);
    assert_eq!(world.offsets("late"), [1]);
    assert_eq!(world.broker.usage().history_dropped, 0);
}

#[test]
fn what_is_kept_does_not_hold_the_buffer_that_it_came_in() {
    let world = World::new(|_| {});
    let buffer = Bytes::from(vec![b'x'; 1 << 20]);
    let publication = Publication {
        data: buffer.slice(10..20),
        ..Publication::default()
    };
    let published = world.broker.publish(&"a".into(), publication, kept());
    published.try_now().unwrap().unwrap();
    assert!(buffer.is_unique());
    assert_eq!(world.history("a").unwrap()[0].data, "xxxxxxxxxx");
}

#[test]
fn data_tags_and_client_count_as_bytes() {
    let cost = |publication: Publication| {
        let world = World::new(|_| {});
        let published = world.broker.publish(&"a".into(), publication, kept());
        published.try_now().unwrap().unwrap();
        world.broker.usage().history_bytes
    };
    let empty = cost(Publication::default());
    let data = cost(Publication {
        data: Bytes::from(vec![0; 500]),
        ..Publication::default()
    });
    assert_eq!(data - empty, 500);
    let tags = cost(Publication {
        tags: [("x".repeat(100), "y".repeat(200))]
            .into_iter()
            .collect::<Tags>(),
        ..Publication::default()
    });
    assert!((300..400).contains(&(tags - empty)));
    let info = cost(Publication {
        info: Some(Arc::new(ClientInfo {
            user: "u".repeat(100).into(),
            client: "c".repeat(36).into(),
            conn_info: Bytes::from(vec![0; 200]).into(),
            chan_info: Bytes::from(vec![0; 300]).into(),
        })),
        ..Publication::default()
    });
    assert!((636..900).contains(&(info - empty)));
}

#[test]
fn a_channel_forgets_the_key_that_expires_first_at_its_limit() {
    let world = World::new(|limits| limits.idempotency_keys_max = 3);
    for key in ["1", "2", "3", "4"] {
        assert!(!world.is_suppressed("a", key));
    }
    assert!(world.is_suppressed("a", "2"));
    assert!(world.is_suppressed("a", "4"));
    assert_eq!(world.broker.usage().idempotency_dropped, 1);
    // Too many, rather than twice too late.
    assert!(!world.is_suppressed("a", "1"));
    // Another channel has its own.
    assert!(!world.is_suppressed("b", "1"));
    assert!(world.is_suppressed("a", "3"));
}

#[test]
fn keys_have_a_limit_in_bytes() {
    let world = World::new(|limits| limits.idempotency_bytes_max = 10_000);
    for number in 0..1000 {
        assert!(!world.is_suppressed("a", &number.to_string()));
        assert!(world.broker.usage().idempotency_bytes <= 10_000);
    }
    assert!(world.is_suppressed("a", "999"));
    assert!(!world.is_suppressed("a", "0"));
}

/// What is refused has not happened in part.
#[test]
fn a_key_that_finds_no_room_refuses_the_publication() {
    let world = World::new(|limits| limits.idempotency_bytes_max = 3000);
    let long = "k".repeat(1500);
    world.publish_with_key("early", &long).unwrap();
    world.subscribe("late").unwrap();
    let refusal = Err(BrokerError::TooManyIdempotencyKeys {
        idempotency_bytes_max: 3000,
    });
    assert_eq!(world.publish_with_key("late", &long), refusal);
    assert!(world.delivered().is_empty());
    assert_eq!(world.broker.usage().channels, 2);
    assert_eq!(world.keep("late", 1).position.unwrap().offset, 1);
    // Without a subscription nothing stays of the attempt.
    assert_eq!(world.publish_with_key("other", &long), refusal);
    assert_eq!(world.broker.usage().channels, 2);
    // When the other's key has expired there is room, without a sweep.
    world.clock.advance(PublishOptions::IDEMPOTENCY_TTL);
    world.publish_with_key("late", &long).unwrap();
}

#[test]
fn an_answer_has_a_limit() {
    let world = World::new(|limits| limits.answer_publications_max = 3);
    (0..5).for_each(|_| drop(world.keep("a", 1)));
    let ask = |limit, reverse| {
        let query = HistoryQuery {
            limit,
            reverse,
            ..HistoryQuery::default()
        };
        let history = world.broker.history(&"a".into(), query);
        let publications = history.try_now().unwrap().unwrap().publications;
        publications
            .iter()
            .map(|it| it.offset)
            .collect::<Vec<u64>>()
    };
    assert_eq!(ask(Limit::All, false), [1, 2, 3]);
    assert_eq!(ask(Limit::AtMost(4), false), [1, 2, 3]);
    assert_eq!(ask(Limit::All, true), [5, 4, 3]);
    assert_eq!(ask(Limit::AtMost(2), true), [5, 4]);
}

#[test]
fn a_jump_of_the_time_of_day_expires_nothing() {
    let clock = Arc::new(JumpingClock::default());
    let broker = Memory::new(clock.clone(), MemoryLimits::default());
    let publish = || {
        let publication = Publication::default();
        let published = broker.publish(&"a".into(), publication, kept());
        published.try_now().unwrap().unwrap().position.unwrap()
    };
    let first = publish();
    for time_of_day in [UnixMillis(u64::MAX), UnixMillis(0)] {
        *clock.0.lock().unwrap() = time_of_day;
        broker.sweep();
    }
    let second = publish();
    assert_eq!((second.offset, second.epoch), (2, first.epoch));
}

#[test]
fn epochs_follow_from_the_seed() {
    let epoch = |seed| {
        let clock = Arc::new(ManualClock::default());
        let broker = Memory::with_epoch_seed(clock, MemoryLimits::default(), seed);
        let history = broker.history(&"a".into(), HistoryQuery::default());
        history.try_now().unwrap().unwrap().position.epoch
    };
    assert_eq!(epoch(1), epoch(1));
    assert_ne!(epoch(1), epoch(2));
}

/// A broker, its clock, and the offsets that it delivered.
struct World {
    broker: Memory,
    clock: Arc<ManualClock>,
    delivered: Arc<Delivered>,
}

#[derive(Default)]
struct Delivered(Mutex<Vec<u64>>);

/// A clock whose time of day is set, and whose time stands still.
#[derive(Default)]
struct JumpingClock(Mutex<UnixMillis>);

impl World {
    fn new(limit: impl FnOnce(&mut MemoryLimits)) -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
        let mut limits = MemoryLimits::default();
        limit(&mut limits);
        let broker = Memory::new(clock.clone(), limits);
        let delivered = Arc::new(Delivered::default());
        broker.start(delivered.clone());
        Self {
            broker,
            clock,
            delivered,
        }
    }

    fn subscribe(&self, channel: &str) -> Result<(), BrokerError> {
        self.broker.subscribe(&channel.into()).try_now().unwrap()
    }

    fn unsubscribe(&self, channel: &str) {
        let answer = self.broker.unsubscribe(&channel.into());
        answer.try_now().unwrap().unwrap();
    }

    /// Publishes so many bytes.
    fn publish(
        &self,
        channel: &str,
        bytes: usize,
        options: PublishOptions,
    ) -> Result<Published, BrokerError> {
        let publication = Publication {
            data: Bytes::from(vec![b'x'; bytes]),
            ..Publication::default()
        };
        let answer = self.broker.publish(&channel.into(), publication, options);
        answer.try_now().unwrap()
    }

    fn try_keep(&self, channel: &str, bytes: usize) -> Result<Published, BrokerError> {
        self.publish(channel, bytes, kept())
    }

    fn keep(&self, channel: &str, bytes: usize) -> Published {
        self.try_keep(channel, bytes).unwrap()
    }

    fn publish_with_key(&self, channel: &str, key: &str) -> Result<Published, BrokerError> {
        let options = PublishOptions {
            idempotency_key: Some(key.into()),
            ..PublishOptions::default()
        };
        self.publish(channel, 1, options)
    }

    fn is_suppressed(&self, channel: &str, key: &str) -> bool {
        let published = self.publish_with_key(channel, key).unwrap();
        published.suppressed == Some(Suppression::Idempotency)
    }

    fn history(&self, channel: &str) -> Result<Vec<Arc<Publication>>, BrokerError> {
        Ok(self.ask(channel)?.publications)
    }

    fn position(&self, channel: &str) -> StreamPosition {
        self.ask(channel).unwrap().position
    }

    fn ask(&self, channel: &str) -> Result<History, BrokerError> {
        let query = HistoryQuery {
            limit: Limit::All,
            meta_ttl: HOUR,
            ..HistoryQuery::default()
        };
        let history = self.broker.history(&channel.into(), query);
        history.try_now().unwrap()
    }

    fn offsets(&self, channel: &str) -> Vec<u64> {
        let history = self.history(channel).unwrap();
        history.iter().map(|it| it.offset).collect()
    }

    fn delivered(&self) -> Vec<u64> {
        self.delivered.0.lock().unwrap().clone()
    }

    fn sweep_until_idle(&self) {
        for _ in 0..10 {
            self.broker.sweep();
        }
    }
}

impl BrokerEvents for Delivered {
    fn publication(
        &self,
        _: &Arc<str>,
        publication: &Arc<Publication>,
        _: Option<&StreamPosition>,
    ) {
        self.0.lock().unwrap().push(publication.offset);
    }

    fn join(&self, _: &Arc<str>, _: &Arc<ClientInfo>) {}

    fn leave(&self, _: &Arc<str>, _: &Arc<ClientInfo>) {}
}

impl Clock for JumpingClock {
    fn now(&self) -> UnixMillis {
        *self.0.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// A history of 100 for a minute, its position for an hour.
fn kept() -> PublishOptions {
    PublishOptions {
        history_size: 100,
        history_ttl: MINUTE,
        history_meta_ttl: HOUR,
        ..PublishOptions::default()
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
