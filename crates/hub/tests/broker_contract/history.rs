//! History: what is kept, for how long, and what a question gets.

use sockeye_hub::{
    Epoch, StreamPosition,
    broker::{HistoryQuery, Limit, PublishOptions},
};

use crate::{
    fixture::Fixture,
    world::{MINUTE, SECOND, World, all, at, content_bytes, kept, text},
};

pub(crate) fn history_is_kept_by_size(world: &World<impl Fixture>) {
    let options = PublishOptions {
        history_size: 3,
        ..kept()
    };
    for data in ["one", "two", "three", "four", "five"] {
        world.publish("a", data, options.clone());
    }
    let history = world.history("a", all(None));
    let kept: Vec<String> = history.publications.iter().map(|it| text(it)).collect();
    assert_eq!(kept, ["three", "four", "five"]);
    assert_eq!(history.position.offset, 5);
}

pub(crate) fn history_is_kept_by_bytes(world: &World<impl Fixture>) {
    let options = PublishOptions {
        history_bytes_max: 3 * content_bytes("1234"),
        ..kept()
    };
    let publish = |data: &str| {
        world.publish("a", data, options.clone());
        world.offsets("a", all(None))
    };
    assert_eq!(publish("1234"), [1]);
    assert_eq!(publish("1234"), [1, 2]);
    assert_eq!(publish("1234"), [1, 2, 3]);
    assert_eq!(publish("1"), [2, 3, 4]);
    // Three bytes of those are not used: one more needs the room of one.
    assert_eq!(publish("123456"), [3, 4, 5]);
    // It is kept, however large it is, and it alone.
    assert_eq!(publish(&"x".repeat(10_000)), [6]);
    assert_eq!(publish("1234"), [7]);
    world.remove_history("a");
    assert_eq!(publish("1234"), [8]);
    world.pass(MINUTE);
    assert_eq!(publish("1234"), [9]);
    assert_eq!(publish("1234"), [9, 10]);
}

/// A broker needn't know how large those are that it was given before.
pub(crate) fn a_limit_of_bytes_counts_from_when_it_is_set(world: &World<impl Fixture>) {
    for _ in 0..3 {
        world.keep("a", "1234");
    }
    let limited = PublishOptions {
        history_bytes_max: 2 * content_bytes("1234"),
        ..kept()
    };
    for _ in 0..3 {
        world.publish("a", "1234", limited.clone());
    }
    assert_eq!(world.offsets("a", all(None)), [5, 6]);
    // Without a limit nothing is dropped.
    world.keep("a", "1234");
    world.keep("a", "1234");
    assert_eq!(world.offsets("a", all(None)), [5, 6, 7, 8]);
    for _ in 0..3 {
        world.publish("a", "1234", limited.clone());
    }
    assert_eq!(world.offsets("a", all(None)), [10, 11]);
}

pub(crate) fn history_expires_after_its_last_publication(world: &World<impl Fixture>) {
    world.keep("a", "one");
    world.pass(MINUTE - SECOND);
    world.keep("a", "two");
    world.pass(MINUTE - SECOND);
    assert_eq!(world.offsets("a", all(None)), [1, 2]);
    world.pass(SECOND);
    assert!(world.offsets("a", all(None)).is_empty());
}

/// Scenario 8.
///
/// HUB 4, scenario 8.
pub(crate) fn history_remove_and_expiry_keep_offset_and_epoch(world: &World<impl Fixture>) {
    let first = world.keep("a", "one");
    world.remove_history("a");
    let history = world.history("a", all(None));
    assert!(history.publications.is_empty());
    assert_eq!(history.position, first);

    let second = world.keep("a", "two");
    assert_eq!(second, at(2, &first.epoch));
    world.pass(MINUTE);
    let history = world.history("a", all(None));
    assert!(history.publications.is_empty());
    assert_eq!(history.position, second);
    assert_eq!(world.keep("a", "three"), at(3, &first.epoch));
    assert_eq!(world.offsets("a", all(None)), [3]);
}

/// Scenario 8.
///
/// HUB 4, scenario 8.
pub(crate) fn only_the_loss_of_the_position_changes_the_epoch(world: &World<impl Fixture>) {
    let first = world.keep("a", "one");
    world.pass(60 * MINUTE - SECOND);
    let second = world.keep("a", "two");
    assert_eq!(second, at(2, &first.epoch));

    world.pass(60 * MINUTE);
    let third = world.keep("a", "three");
    assert_eq!(third.offset, 1);
    assert_ne!(third.epoch, first.epoch);
    assert_eq!(world.offsets("a", all(None)), [1]);

    // A position that is forgotten before the history expires takes the history with it.
    let options = PublishOptions {
        history_meta_ttl: SECOND,
        ..kept()
    };
    let forgotten = world.publish("b", "one", options).position.unwrap();
    world.pass(SECOND);
    let history = world.history("b", all(None));
    assert!(history.publications.is_empty());
    assert_eq!(history.position.offset, 0);
    assert_ne!(history.position.epoch, forgotten.epoch);
}

pub(crate) fn a_position_is_remembered_by_asking_for_it(world: &World<impl Fixture>) {
    let position = world.position("a");
    assert_eq!(position.offset, 0);
    assert!(!position.epoch.is_empty());
    assert_eq!(world.keep("a", "one"), at(1, &position.epoch));

    let brief = HistoryQuery {
        meta_ttl: MINUTE,
        ..HistoryQuery::default()
    };
    let asked = world.history("b", brief.clone()).position;
    world.pass(MINUTE - SECOND);
    assert_eq!(world.history("b", brief.clone()).position, asked);
    world.pass(MINUTE - SECOND);
    // Longer does no harm: no publication has had an offset of that epoch.
    assert_eq!(world.history("b", brief).position, asked);
}

/// A question that only checks the position, as a node does from time to time, doesn't change how long it is remembered.
pub(crate) fn a_question_without_a_time_keeps_the_last_one(world: &World<impl Fixture>) {
    let options = PublishOptions {
        history_meta_ttl: MINUTE,
        ..kept()
    };
    let published = world.publish("a", "one", options).position.unwrap();
    world.pass(MINUTE - SECOND);
    assert_eq!(world.position("a"), published);
    world.pass(MINUTE - SECOND);
    assert_eq!(world.position("a"), published);
    world.pass(MINUTE);
    assert_ne!(world.position("a").epoch, published.epoch);
}

/// Scenario 8. What the caller recovers by: the top equals the client's position, or the first publication follows it.
pub(crate) fn a_client_at_the_top_recovers_after_expiry_and_one_below_sees_that_it_missed(
    world: &World<impl Fixture>,
) {
    let below = world.keep("a", "one");
    let top = world.keep("a", "two");
    for end in [Expiry::Removed, Expiry::Passed] {
        match end {
            Expiry::Removed => world.remove_history("a"),
            Expiry::Passed => world.pass(MINUTE),
        }
        for client in [&top, &below] {
            let history = world.history("a", all(Some(client.clone())));
            assert!(history.publications.is_empty());
            assert_eq!(history.position, top);
        }
    }
}

enum Expiry {
    Removed,
    Passed,
}

/// Scenario 9.
///
/// HUB 4, scenario 9.
pub(crate) fn limits_of_zero_one_and_all(world: &World<impl Fixture>) {
    let epoch = fill(world, 5);
    let offsets = |limit, since: Option<u64>| {
        let since = since.map(|offset| at(offset, &epoch));
        let query = HistoryQuery {
            limit,
            ..all(since)
        };
        let history = world.history("a", query);
        assert_eq!(history.position, at(5, &epoch));
        let offsets = history.publications.iter().map(|it| it.offset);
        offsets.collect::<Vec<u64>>()
    };
    assert!(offsets(Limit::PositionOnly, None).is_empty());
    assert!(offsets(Limit::PositionOnly, Some(2)).is_empty());
    assert!(offsets(Limit::AtMost(0), None).is_empty());
    assert_eq!(offsets(Limit::AtMost(1), None), [1]);
    assert_eq!(offsets(Limit::AtMost(1), Some(2)), [3]);
    assert_eq!(offsets(Limit::AtMost(5), None), [1, 2, 3, 4, 5]);
    assert_eq!(offsets(Limit::AtMost(usize::MAX), Some(3)), [4, 5]);
    assert_eq!(offsets(Limit::All, None), [1, 2, 3, 4, 5]);
    assert_eq!(offsets(Limit::All, Some(2)), [3, 4, 5]);
}

/// Scenario 9.
///
/// HUB 4, scenario 9.
pub(crate) fn since_zero_and_since_the_top_and_beyond(world: &World<impl Fixture>) {
    let epoch = fill(world, 3);
    let since = |offset| world.offsets("a", all(Some(at(offset, &epoch))));
    assert_eq!(since(0), [1, 2, 3]);
    assert_eq!(since(2), [3]);
    assert!(since(3).is_empty());
    assert!(since(4).is_empty());
    assert!(since(u64::MAX).is_empty());
}

/// Scenario 9. The caller sees the gap, because the first offset doesn't follow its own.
pub(crate) fn since_an_offset_that_is_not_kept_begins_at_the_oldest(world: &World<impl Fixture>) {
    let options = PublishOptions {
        history_size: 2,
        ..kept()
    };
    for data in ["one", "two", "three", "four"] {
        world.publish("a", data, options.clone());
    }
    let epoch = world.position("a").epoch;
    let since = |offset| world.offsets("a", all(Some(at(offset, &epoch))));
    assert_eq!(since(0), [3, 4]);
    assert_eq!(since(1), [3, 4]);
    assert_eq!(since(2), [3, 4]);
    assert_eq!(since(3), [4]);
}

/// Scenario 9. An empty epoch is that of a client that knows none; it matches any.
pub(crate) fn since_another_epoch_is_empty(world: &World<impl Fixture>) {
    let epoch = fill(world, 3);
    for reverse in [false, true] {
        let query = |epoch: &str| HistoryQuery {
            reverse,
            ..all(Some(at(2, &Epoch::new(epoch))))
        };
        let history = world.history("a", query("another"));
        assert!(history.publications.is_empty());
        assert_eq!(history.position, at(3, &epoch));
        assert_eq!(world.offsets("a", query("")).len(), 1);
    }
}

/// Scenario 9.
pub(crate) fn reverse_goes_down_from_the_newest(world: &World<impl Fixture>) {
    let epoch = fill(world, 4);
    let offsets = |limit, since| {
        let query = HistoryQuery {
            limit,
            ..down(since)
        };
        world.offsets("a", query)
    };
    assert_eq!(offsets(Limit::All, None), [4, 3, 2, 1]);
    assert_eq!(offsets(Limit::AtMost(1), None), [4]);
    assert_eq!(offsets(Limit::AtMost(2), Some(at(4, &epoch))), [3, 2]);
    assert_eq!(offsets(Limit::All, Some(at(5, &epoch))), [4, 3, 2, 1]);
    assert!(offsets(Limit::PositionOnly, None).is_empty());
    assert!(offsets(Limit::AtMost(0), Some(at(4, &epoch))).is_empty());
}

/// Scenario 9.
pub(crate) fn reverse_paging_sees_each_publication_once(world: &World<impl Fixture>) {
    fill(world, 7);
    let mut seen = vec![];
    let mut since: Option<StreamPosition> = None;
    loop {
        let query = HistoryQuery {
            limit: Limit::AtMost(3),
            ..down(since.clone())
        };
        let history = world.history("a", query);
        let Some(last) = history.publications.last() else {
            break;
        };
        since = Some(at(last.offset, &history.position.epoch));
        seen.extend(history.publications.iter().map(|it| it.offset));
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

/// Scenario 9.
pub(crate) fn reverse_since_places_that_are_not_kept_is_empty(world: &World<impl Fixture>) {
    let options = PublishOptions {
        history_size: 2,
        ..kept()
    };
    for data in ["one", "two", "three", "four"] {
        world.publish("a", data, options.clone());
    }
    let epoch = world.position("a").epoch;
    let since = |offset| world.offsets("a", down(Some(at(offset, &epoch))));
    // Kept are 3 and 4.
    assert!(since(0).is_empty());
    assert!(since(1).is_empty());
    assert!(since(3).is_empty());
    assert_eq!(since(4), [3]);
    assert_eq!(since(5), [4, 3]);
    // The offset below was never assigned.
    assert!(since(6).is_empty());
    assert!(since(u64::MAX).is_empty());
}

pub(crate) fn channels_do_not_share_history(world: &World<impl Fixture>) {
    let one = world.keep("a", "one");
    let other = world.keep("b", "other");
    assert_eq!((one.offset, other.offset), (1, 1));
    assert_ne!(one.epoch, other.epoch);
    world.remove_history("a");
    assert_eq!(world.offsets("b", all(None)), [1]);
}

pub(crate) fn a_history_that_shrinks_keeps_its_newest(world: &World<impl Fixture>) {
    fill(world, 5);
    let options = PublishOptions {
        history_size: 2,
        ..kept()
    };
    world.publish("a", "six", options);
    assert_eq!(world.offsets("a", all(None)), [5, 6]);
}

pub(crate) fn removing_a_history_that_is_not_there_changes_nothing(world: &World<impl Fixture>) {
    world.remove_history("a");
    let position = world.position("a");
    world.remove_history("a");
    assert_eq!(world.position("a"), position);
}

/// Publishes `count` times, and returns the epoch.
fn fill(world: &World<impl Fixture>, count: u64) -> Epoch {
    for offset in 1..=count {
        assert_eq!(world.keep("a", "x").offset, offset);
    }
    world.position("a").epoch
}

fn down(since: Option<StreamPosition>) -> HistoryQuery {
    HistoryQuery {
        reverse: true,
        ..all(since)
    }
}
