//! Several threads at once.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use sockeye_hub::{
    ClientInfo, Epoch, Publication, StreamPosition,
    broker::{BrokerEvents, PublishOptions, Published, Suppression},
};

use crate::{
    fixture::Fixture,
    world::{SECOND, World, all, at, kept, text},
};

/// Scenario 12.
///
/// HUB 4, scenario 12.
pub(crate) fn publishers_at_once_are_delivered_in_the_order_of_offsets<F: Fixture>(_: &World<F>) {
    let order = Arc::new(Order::default());
    let world = World::<F>::with_events(order.clone());
    let channels = ["a", "b"];
    channels.iter().for_each(|channel| world.subscribe(channel));
    let mut seen: HashMap<&str, Vec<u64>> = HashMap::new();
    thread::scope(|scope| {
        let publish = |channel: &'static str| {
            let world = &world;
            scope.spawn(move || {
                let offsets = (0..EACH).map(|_| world.keep(channel, "x").offset);
                (channel, offsets.collect::<Vec<u64>>())
            })
        };
        let publishers: Vec<_> = (0..2).flat_map(|_| channels.map(publish)).collect();
        // A reader sees the position together with its publications.
        for _ in 0..EACH {
            let history = world.history("a", all(None));
            let last = history.publications.last();
            assert_eq!(history.position.offset, last.map_or(0, |it| it.offset));
            let offsets = history.publications.iter().map(|it| it.offset);
            assert!(
                offsets
                    .clone()
                    .zip(offsets.skip(1))
                    .all(|(one, next)| one + 1 == next)
            );
        }
        for publisher in publishers {
            let (channel, offsets) = publisher.join().unwrap();
            assert!(offsets.is_sorted(), "each publisher's order is kept");
            seen.entry(channel).or_default().extend(offsets);
        }
    });
    for channel in channels {
        let mut answered = seen.remove(channel).unwrap();
        answered.sort_unstable();
        let expected: Vec<u64> = (1..=2 * EACH).collect();
        assert_eq!(answered, expected, "each offset is given once");
        assert_eq!(order.delivered(channel), expected);
    }
}

/// Scenario 30.
///
/// HUB 4, scenario 30.
pub(crate) fn of_two_with_one_key_at_once_one_is_stored(world: &World<impl Fixture>) {
    world.subscribe("a");
    let publish = |number: u64| -> Published {
        let options = PublishOptions {
            idempotency_key: Some(number.to_string().into()),
            ..kept()
        };
        world.publish("a", &number.to_string(), options)
    };
    let publish_all = || (0..EACH).map(publish).collect::<Vec<Published>>();
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(publish_all);
        let other = scope.spawn(publish_all);
        (one.join().unwrap(), other.join().unwrap())
    });
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.position, other.position);
        let mut suppressed = [one.suppressed, other.suppressed];
        suppressed.sort_by_key(Option::is_some);
        assert_eq!(suppressed, [None, Some(Suppression::Idempotency)]);
    }
    assert_eq!(world.position("a").offset, EACH);
    assert_eq!(world.delivered().len() as u64, EACH);
}

/// A channel that is forgotten and begins anew, while others use it: no offset of an epoch is given twice or left out.
pub(crate) fn subscribing_and_expiring_meanwhile_loses_no_offset<F: Fixture>(_: &World<F>) {
    let order = Arc::new(Order::default());
    let world = World::<F>::with_events(order.clone());
    let is_over = AtomicBool::new(false);
    let publish = || {
        let options = PublishOptions {
            history_meta_ttl: SECOND,
            ..kept()
        };
        let positions = (0..EACH).map(|_| {
            let published = world.publish("a", "x", options.clone());
            let position = published.position.unwrap();
            (position.epoch, position.offset)
        });
        positions.collect::<Vec<(Epoch, u64)>>()
    };
    let mut positions = thread::scope(|scope| {
        let one = scope.spawn(publish);
        let other = scope.spawn(publish);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                world.subscribe("a");
                world.unsubscribe("a");
                world.pass(SECOND / 4);
                world.broker.sweep();
            }
        });
        let mut positions = one.join().unwrap();
        positions.extend(other.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        positions
    });
    let count = positions.len();
    let mut top: HashMap<Epoch, u64> = HashMap::new();
    for (epoch, offset) in &positions {
        let top = top.entry(epoch.clone()).or_default();
        *top = (*top).max(*offset);
    }
    assert_eq!(top.values().sum::<u64>(), count as u64, "none is left out");
    let distinct: HashSet<_> = positions.drain(..).collect();
    assert_eq!(distinct.len(), count, "none is given twice");
    assert!(order.is_ascending("a"));
    let epoch = world.position("a").epoch;
    assert!(world.offsets("a", all(Some(at(0, &epoch)))).len() <= 100);
}

/// Checks that deliveries to one channel come one at a time, and keeps their positions.
#[derive(Default)]
struct Order {
    /// Channels that are in delivery.
    busy: Mutex<HashSet<Arc<str>>>,
    positions: Mutex<HashMap<Arc<str>, Vec<StreamPosition>>>,
}

impl Order {
    fn delivered(&self, channel: &str) -> Vec<u64> {
        let positions = self.positions.lock().unwrap();
        positions[channel].iter().map(|it| it.offset).collect()
    }

    /// Returns whether the offsets of each epoch rise, and no epoch comes again.
    fn is_ascending(&self, channel: &str) -> bool {
        let positions = self.positions.lock().unwrap();
        let positions = positions.get(channel).map_or(&[][..], |it| it);
        let mut epochs = HashSet::new();
        positions
            .chunk_by(|one, next| one.epoch == next.epoch)
            .all(|run| {
                let is_rising = run.is_sorted_by(|one, next| one.offset < next.offset);
                is_rising && epochs.insert(run[0].epoch.clone())
            })
    }
}

impl BrokerEvents for Order {
    fn publication(
        &self,
        channel: &Arc<str>,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
    ) {
        assert!(self.busy.lock().unwrap().insert(channel.clone()));
        assert_eq!(text(publication), "x");
        // Another thread that may deliver, would.
        thread::yield_now();
        let mut positions = self.positions.lock().unwrap();
        let positions = positions.entry(channel.clone()).or_default();
        positions.push(position.unwrap().clone());
        assert!(self.busy.lock().unwrap().remove(channel));
    }

    fn join(&self, _: &Arc<str>, _: &Arc<ClientInfo>) {}

    fn leave(&self, _: &Arc<str>, _: &Arc<ClientInfo>) {}
}

/// Publications of each publisher.
const EACH: u64 = 300;
