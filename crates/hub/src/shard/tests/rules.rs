//! One rule each.

use super::*;
use crate::{
    History,
    filter::{Filter, HeldFilter},
    memory::{Charge, MemoryMeter, Unmetered},
    namespace::RecoveryMode,
    shard::{
        Recovery, RecoveryRequest, Room,
        held::{HELD_BYTES_MAX, HELD_PUBLICATIONS_MAX},
    },
    wire::FilterNode,
};

fn held(filter: &FilterNode) -> Arc<HeldFilter> {
    let meter: Arc<dyn MemoryMeter> = Arc::new(Unmetered);
    let filter = Filter::new(filter).unwrap();
    Arc::new(HeldFilter::new(filter, Charge::new(&meter, 0)))
}

fn publish(world: &mut World, offset: u64) {
    publish_in(world, offset, "e");
}

fn publish_in(world: &mut World, offset: u64, epoch: &str) {
    world.publish(&publication(offset), Some(&position(offset, epoch)));
}

fn subscribed(world: &mut World, client: u64, offset: u64) -> Generation {
    let generation = world.begin(client, variant());
    world.release(client, generation, Some(position(offset, "e")));
    generation
}

#[test]
fn what_comes_while_history_is_read_is_delivered_once_and_in_order() {
    // HUB 4, scenario 2: history overlaps what is live, and what is live arrives first.
    let mut world = World::default();
    let generation = world.begin(1, variant());
    for offset in 1..=5 {
        publish(&mut world, offset);
    }
    assert_eq!(world.offsets(1), [] as [u64; 0]);
    // The history was read after the third.
    world.release(1, generation, Some(position(3, "e")));
    publish(&mut world, 6);
    assert_eq!(world.offsets(1), [4, 5, 6]);
    assert!(world.insufficient.is_empty());
}

#[test]
fn a_subscriber_without_a_position_gets_what_came_meanwhile() {
    let mut world = World::default();
    let mut variant = variant();
    variant.is_positioned = false;
    let generation = world.begin(1, variant);
    world.publish(&publication(0), None);
    world.release(1, generation, None);
    world.publish(&publication(0), None);
    assert_eq!(world.offsets(1), [0, 0]);
}

#[test]
fn subscribers_with_the_same_bytes_are_one_list() {
    let mut world = World::default();
    for client in 1..=100 {
        subscribed(&mut world, client, 0);
    }
    publish(&mut world, 1);
    assert_eq!((world.lists.len(), world.list_sends), (1, 1));
    assert!((1..=100).all(|client| world.offsets(client) == [1]));
}

#[test]
fn a_gap_is_told_and_never_delivered_as_a_hole() {
    let mut world = World::default();
    let generation = subscribed(&mut world, 1, 0);
    publish(&mut world, 1);
    publish(&mut world, 3);
    publish(&mut world, 4);
    assert_eq!(world.offsets(1), [1]);
    assert_eq!(world.insufficient, [(ClientKey(1), generation)]);
}

#[test]
fn a_publication_that_comes_twice_is_delivered_once() {
    let mut world = World::default();
    subscribed(&mut world, 1, 0);
    for offset in [1, 2, 2, 1, 3] {
        publish(&mut world, offset);
    }
    assert_eq!(world.offsets(1), [1, 2, 3]);
}

#[test]
fn the_first_publication_hands_over_an_epoch_that_nobody_knew() {
    // HUB 4, scenario 4.
    let mut world = World::default();
    let generation = world.begin(1, variant());
    world.release(1, generation, Some(position(0, "")));
    publish(&mut world, 1);
    publish(&mut world, 2);
    assert_eq!(world.offsets(1), [1, 2]);
    let epochs = world.received[&1].iter().map(|item| match item {
        Item::Publication { epoch, .. } => epoch.as_str(),
        _ => "none",
    });
    assert_eq!(epochs.collect::<Vec<_>>(), ["e", ""]);
    // A new history is not silence.
    publish_in(&mut world, 1, "other");
    assert_eq!(world.offsets(1), [1, 2]);
    assert_eq!(world.insufficient, [(ClientKey(1), generation)]);
}

/// HUB 4, scenarios 3 and 4.
#[test]
fn a_filter_does_not_keep_the_epoch_from_a_subscriber_that_knows_none() {
    let mut world = World::default();
    let node = FilterNode {
        key: "kind".to_owned(),
        cmp: "eq".to_owned(),
        val: "goal".to_owned(),
        ..FilterNode::default()
    };
    let mut filtered = variant();
    filtered.filter = Some(held(&node));
    let generation = world.begin(1, filtered);
    world.release(1, generation, Some(position(0, "")));
    for (offset, kind) in [(1, "foul"), (2, "goal"), (3, "goal")] {
        let publication = Publication {
            offset,
            tags: [("kind", kind)].into_iter().collect(),
            ..Publication::default()
        };
        world.publish(&Arc::new(publication), Some(&position(offset, "e")));
    }
    assert_eq!(world.offsets(1), [2, 3]);
    let epochs = world.received[&1].iter().map(|item| match item {
        Item::Publication { epoch, .. } => epoch.as_str(),
        _ => "none",
    });
    assert_eq!(epochs.collect::<Vec<_>>(), ["e", ""]);
}

#[test]
fn too_much_while_history_is_read_is_told() {
    let mut world = World::default();
    let generation = world.begin(1, variant());
    for offset in 1..=HELD_PUBLICATIONS_MAX as u64 + 1 {
        publish(&mut world, offset);
    }
    world.release(1, generation, Some(position(0, "e")));
    assert_eq!(world.offsets(1), [] as [u64; 0]);
    assert_eq!(world.insufficient, [(ClientKey(1), generation)]);
}

#[test]
fn what_is_kept_is_kept_once_for_all_who_wait_and_bounded_in_bytes() {
    let mut world = World::default();
    let generations: Vec<_> = (1..=10)
        .map(|client| world.begin(client, variant()))
        .collect();
    let large = |offset| {
        Arc::new(Publication {
            data: vec![b'1'; HELD_BYTES_MAX / 4].into(),
            offset,
            ..Publication::default()
        })
    };
    for offset in 1..=5 {
        world.publish(&large(offset), Some(&position(offset, "e")));
        assert!(world.shard.kept_bytes() <= HELD_BYTES_MAX);
    }
    // This one began when there was less to keep.
    let late = world.begin(11, variant());
    publish(&mut world, 6);
    for (client, generation) in (1..).zip(generations) {
        world.release(client, generation, Some(position(0, "e")));
        assert_eq!(
            world.insufficient.pop(),
            Some((ClientKey(client), generation))
        );
    }
    world.release(11, late, Some(position(5, "e")));
    assert_eq!(world.offsets(11), [6]);
    assert_eq!(world.shard.kept_bytes(), 0);
}

#[test]
fn without_memory_nothing_is_kept_and_those_who_wait_are_told() {
    let mut world = World::default();
    let generation = world.begin(1, variant());
    publish(&mut world, 1);
    world.room = Room::None;
    publish(&mut world, 2);
    assert_eq!(world.shard.kept_bytes(), 0);
    world.release(1, generation, Some(position(0, "e")));
    assert_eq!(world.insufficient, [(ClientKey(1), generation)]);
    // When there is memory again, the next one who waits misses nothing.
    world.room = Room::Enough;
    let generation = world.begin(2, variant());
    publish(&mut world, 3);
    assert!(world.shard.kept_bytes() > 0);
    world.release(2, generation, Some(position(2, "e")));
    assert_eq!(world.offsets(2), [3]);
    assert_eq!(world.shard.kept_bytes(), 0);
}

#[test]
fn the_last_publication_is_kept_for_differences_while_there_is_memory() {
    let mut world = World::default();
    let mut with_delta = variant();
    with_delta.has_delta = true;
    let generation = world.begin(1, with_delta);
    world.release(1, generation, Some(position(0, "e")));
    publish(&mut world, 1);
    publish(&mut world, 2);
    let kept = world.shard.kept_bytes();
    assert!(kept > 0);
    assert_eq!(world.differences, 1);
    world.room = Room::None;
    // From the second, which is still there, and then there is none to differ from.
    publish(&mut world, 3);
    assert_eq!((world.differences, world.shard.kept_bytes()), (2, 0));
    publish(&mut world, 4);
    assert_eq!((world.differences, world.shard.kept_bytes()), (2, 0));
    world.room = Room::Enough;
    publish(&mut world, 5);
    publish(&mut world, 6);
    assert_eq!((world.differences, world.shard.kept_bytes()), (3, kept));
    assert_eq!(world.offsets(1), [1, 2, 3, 4, 5, 6]);
    world.remove(1, generation);
    assert_eq!(world.shard.kept_bytes(), 0);
}

/// HUB 4, scenario 10.
#[test]
fn a_check_finds_what_a_subscriber_that_is_on_no_list_has_lost() {
    let mut world = World::default();
    // The lists wait for 1 and 2, which are late; this subscriber has read them.
    let listed = subscribed(&mut world, 1, 0);
    let alone = subscribed(&mut world, 2, 2);
    assert!(world.shard.positioned().next().is_some());
    assert!(world.remove(1, listed));
    let other = subscribed(&mut world, 3, 1);
    // Both are up to date with a replica that lags.
    world.check(&position(1, "e"));
    world.check(&position(1, "e"));
    assert!(world.insufficient.is_empty());
    // 3 is lost on its way to both.
    world.check(&position(3, "e"));
    assert!(world.insufficient.is_empty());
    world.check(&position(3, "e"));
    world.insufficient.sort_unstable();
    assert_eq!(
        world.insufficient,
        [(ClientKey(2), alone), (ClientKey(3), other)]
    );
}

/// HUB 4, scenario 10.
#[test]
fn a_history_without_an_epoch_is_not_behind_the_one_that_begins() {
    let mut world = World::default();
    let generation = world.begin(1, variant());
    world.release(1, generation, Some(position(0, "")));
    for _ in 0..3 {
        world.check(&position(0, "e"));
    }
    assert!(world.insufficient.is_empty());
    publish(&mut world, 1);
    assert_eq!(world.offsets(1), [1]);
}

#[test]
fn a_subscriber_that_is_ahead_of_the_lists_is_served_alone_until_they_meet() {
    let mut world = World::default();
    subscribed(&mut world, 1, 0);
    publish(&mut world, 1);
    // The broker has 3 already, and delivers 2 and 3 later.
    subscribed(&mut world, 2, 3);
    publish(&mut world, 2);
    publish(&mut world, 3);
    publish(&mut world, 4);
    assert_eq!(world.offsets(1), [1, 2, 3, 4]);
    assert_eq!(world.offsets(2), [4]);
    assert_eq!(world.lists.len(), 1);
    assert_eq!(world.lists.values().next().unwrap().len(), 2);
}

#[test]
fn a_late_order_does_not_touch_a_successor() {
    // HUB 4, scenario 15.
    let mut world = World::default();
    let old = subscribed(&mut world, 1, 0);
    assert!(world.remove(1, old));
    let new = subscribed(&mut world, 1, 0);
    assert!(!world.remove(1, old));
    world.release(1, old, Some(position(7, "e")));
    publish(&mut world, 1);
    assert_eq!(world.offsets(1), [1]);
    assert!(world.remove(1, new));
}

#[test]
fn a_publication_that_was_lost_without_a_successor_is_found_by_the_second_check() {
    // HUB 4, scenario 10: a broker that lags is tolerated once.
    let mut world = World::default();
    let generation = subscribed(&mut world, 1, 0);
    publish(&mut world, 1);
    world.check(&position(2, "e"));
    assert!(world.insufficient.is_empty());
    publish(&mut world, 2);
    world.check(&position(3, "e"));
    assert!(world.insufficient.is_empty());
    world.check(&position(3, "e"));
    assert_eq!(world.insufficient, [(ClientKey(1), generation)]);
}

#[test]
fn a_filter_is_applied_and_still_moves_the_position() {
    // HUB 4, scenario 3.
    let mut world = World::default();
    let node = FilterNode {
        key: "kind".to_owned(),
        cmp: "eq".to_owned(),
        val: "goal".to_owned(),
        ..FilterNode::default()
    };
    let mut filtered = variant();
    filtered.filter = Some(held(&node));
    let generation = world.begin(1, filtered);
    world.release(1, generation, Some(position(0, "e")));
    for (offset, kind) in [(1, "goal"), (2, "foul"), (3, "goal")] {
        let publication = Publication {
            offset,
            tags: [("kind", kind)].into_iter().collect(),
            ..Publication::default()
        };
        world.publish(&Arc::new(publication), Some(&position(offset, "e")));
    }
    assert_eq!(world.offsets(1), [1, 3]);
    assert!(world.insufficient.is_empty());
}

#[test]
fn joins_and_leaves_go_to_those_who_asked() {
    let mut world = World::default();
    let mut curious = variant();
    curious.has_join_leave = true;
    let generation = world.begin(1, curious);
    world.release(1, generation, Some(position(0, "e")));
    subscribed(&mut world, 2, 0);
    world.announce(&Item::Join(info(2)));
    world.announce(&Item::Leave(info(2)));
    assert_eq!(
        world.received[&1],
        [Item::Join(info(2)), Item::Leave(info(2))]
    );
    assert!(!world.received.contains_key(&2));
}

#[test]
fn presence_has_those_who_have_been_told_that_they_are_subscribed() {
    let mut world = World::default();
    let pending = world.begin(1, variant());
    subscribed(&mut world, 2, 0);
    let present = |world: &World| -> Vec<String> {
        let clients = world.shard.presence(CHANNEL);
        clients.map(|info| info.client.to_string()).collect()
    };
    assert_eq!(present(&world), ["2"]);
    world.release(1, pending, None);
    assert_eq!(present(&world).len(), 2);
}

fn recovery(since: StreamPosition, mode: RecoveryMode, kept: &[u64], top: u64) -> Recovery {
    let history = History {
        publications: kept.iter().map(|offset| publication(*offset)).collect(),
        position: position(top, "e"),
    };
    RecoveryRequest { since, mode }.answer(history, 3)
}

fn recovered(since: StreamPosition, kept: &[u64], top: u64) -> Option<Vec<u64>> {
    let recovery = recovery(since, RecoveryMode::Stream, kept, top);
    let publications = recovery.publications.iter();
    let offsets = publications.map(|publication| publication.offset).collect();
    recovery.is_recovered.then_some(offsets)
}

#[test]
fn a_stream_is_recovered_as_a_whole_or_not_at_all() {
    assert_eq!(recovered(position(2, "e"), &[3, 4], 4), Some(vec![3, 4]));
    // At the top nothing is missing, also when all is expired (HUB 4, scenarios 8 and 11).
    assert_eq!(recovered(position(4, "e"), &[], 4), Some(vec![]));
    // One below the top with nothing kept.
    assert_eq!(recovered(position(3, "e"), &[], 4), None);
    assert_eq!(recovered(position(1, "e"), &[3, 4], 4), None);
    assert_eq!(recovered(position(0, "e"), &[1, 3], 3), None);
    assert_eq!(recovered(position(5, "e"), &[], 4), None);
    assert_eq!(recovered(position(2, "other"), &[3, 4], 4), None);
    // The sentinel epoch (HUB 4, scenario 6).
    assert_eq!(recovered(position(0, "_"), &[], 0), None);
    // A client that has seen nothing.
    assert_eq!(recovered(position(0, ""), &[1, 2], 2), Some(vec![1, 2]));
    // The highest number that a client can say.
    assert_eq!(recovered(position(u64::MAX, "e"), &[], 4), None);
    // More than a recovery may bring.
    assert_eq!(recovered(position(0, "e"), &[1, 2, 3, 4], 4), None);
}

#[test]
fn a_cache_is_recovered_by_its_newest_publication() {
    let cached = |since, kept: &[u64]| {
        let recovery = recovery(since, RecoveryMode::Cache, kept, 4);
        let offsets = recovery.publications.iter();
        let offsets: Vec<u64> = offsets.map(|publication| publication.offset).collect();
        (recovery.is_recovered, offsets)
    };
    assert_eq!(cached(position(0, ""), &[4]), (true, vec![4]));
    assert_eq!(cached(position(1, "other"), &[4]), (true, vec![4]));
    assert_eq!(cached(position(4, "e"), &[4]), (true, vec![]));
    assert_eq!(cached(position(4, "e"), &[]), (true, vec![]));
    assert_eq!(cached(position(3, "e"), &[]), (false, vec![]));
    assert_eq!(cached(position(4, "other"), &[]), (false, vec![]));
    // Who doesn't know the epoch doesn't know whether it has the newest.
    assert_eq!(cached(position(4, ""), &[4]), (true, vec![4]));
    assert_eq!(cached(position(4, ""), &[]), (false, vec![]));
}

/// Returns the forms of what a client has received.
fn forms(world: &World, client: u64) -> Vec<Option<u64>> {
    let items = world.received.get(&client).into_iter().flatten();
    items
        .filter_map(|item| match item {
            Item::Publication {
                form: Form::Fossil(previous),
                ..
            } => Some(previous.as_ref().map(|previous| previous.offset)),
            _ => None,
        })
        .collect()
}

fn publish_at(world: &mut World, offset: u64) {
    world.publish(&publication(offset), Some(&position(offset, "e")));
}

#[test]
fn with_delta_compression_the_first_is_whole_and_each_other_a_difference() {
    // HUB scenario 1: also after a recovery with nothing recovered.
    let mut world = World::default();
    let early = world.begin(1, delta_variant());
    world.release(1, early, Some(position(4, "e")));
    let plain = world.begin(2, variant());
    world.release(2, plain, Some(position(4, "e")));
    for offset in 5..=7 {
        publish_at(&mut world, offset);
    }
    let late = world.begin(3, delta_variant());
    world.release(3, late, Some(position(7, "e")));
    for offset in 8..=9 {
        publish_at(&mut world, offset);
    }
    assert_eq!(forms(&world, 1), [None, Some(5), Some(6), Some(7), Some(8)]);
    assert_eq!(world.offsets(2), [5, 6, 7, 8, 9]);
    assert_eq!(forms(&world, 2), []);
    assert_eq!(forms(&world, 3), [None, Some(8)]);
}

#[test]
fn a_publication_without_a_place_is_one_to_differ_from() {
    let mut world = World::default();
    let generation = world.begin(1, delta_variant());
    world.release(1, generation, Some(position(0, "e")));
    publish_at(&mut world, 1);
    world.publish(&publication(0), None);
    publish_at(&mut world, 2);
    assert_eq!(forms(&world, 1), [None, Some(1), Some(0)]);
}

#[test]
fn who_catches_up_with_the_list_has_something_in_common_with_it() {
    let mut world = World::default();
    let ahead = world.begin(1, delta_variant());
    world.release(1, ahead, Some(position(0, "e")));
    for offset in 1..=3 {
        publish_at(&mut world, offset);
    }
    // The history that the second one read is older than what the list has been given.
    let behind = world.begin(2, delta_variant());
    world.release(2, behind, Some(position(2, "e")));
    world.publish(&publication(0), None);
    publish_at(&mut world, 3);
    publish_at(&mut world, 4);
    publish_at(&mut world, 5);
    // At 3 both are at the same place, but the first had the one without a place last.
    assert_eq!(
        forms(&world, 1),
        [None, Some(1), Some(2), Some(3), None, Some(4)]
    );
    assert_eq!(forms(&world, 2), [None, None, None, Some(4)]);
}

#[test]
fn a_new_history_begins_whole() {
    let mut world = World::default();
    let generation = world.begin(1, delta_variant());
    world.release(1, generation, Some(position(0, "")));
    publish_at(&mut world, 1);
    publish_at(&mut world, 2);
    world.publish(&publication(1), Some(&position(1, "f")));
    assert_eq!(forms(&world, 1), [None, Some(1)]);
    assert_eq!(world.insufficient.len(), 1);
}
