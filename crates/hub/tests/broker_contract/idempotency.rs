//! Idempotency keys.

use std::time::Duration;

use sockeye_hub::broker::{PublishOptions, Published, Suppression};

use crate::{
    fixture::Fixture,
    world::{MINUTE, SECOND, World, all, delivery, kept},
};

/// Scenario 30.
///
/// HUB 4, scenario 30.
pub(crate) fn a_repeated_key_answers_with_the_first_position(world: &World<impl Fixture>) {
    world.subscribe("a");
    let first = world.publish("a", "one", with_key("k"));
    assert_eq!(first.suppressed, None);
    world.keep("a", "two");
    let second = world.publish("a", "one again", with_key("k"));
    assert_eq!(
        second,
        Published {
            position: first.position,
            suppressed: Some(Suppression::Idempotency),
        }
    );
    assert_eq!(world.offsets("a", all(None)), [1, 2]);
    assert_eq!(
        world.delivered(),
        [delivery("a", "one", 1), delivery("a", "two", 2)]
    );
}

/// Scenario 30.
pub(crate) fn a_key_without_history_is_delivered_once(world: &World<impl Fixture>) {
    world.subscribe("a");
    let options = PublishOptions {
        history_size: 0,
        ..with_key("k")
    };
    let first = world.publish("a", "one", options.clone());
    assert_eq!((first.position, first.suppressed), (None, None));
    let second = world.publish("a", "two", options);
    assert_eq!(
        (second.position, second.suppressed),
        (None, Some(Suppression::Idempotency))
    );
    assert_eq!(world.delivered(), [delivery("a", "one", 0)]);
}

/// Scenario 30. If key and channel were joined by a separator, these two would be one.
///
/// HUB 4, scenario 30.
pub(crate) fn a_key_belongs_to_its_channel(world: &World<impl Fixture>) {
    for separator in ["_", ":", ".", "/", ""] {
        let one = world.publish(&format!("a{separator}b"), "one", with_key("c"));
        let other = world.publish("a", "other", with_key(&format!("b{separator}c")));
        assert_eq!(one.suppressed, None, "{separator}");
        assert_eq!(other.suppressed, None, "{separator}");
    }
}

/// Scenario 30.
pub(crate) fn a_key_is_forgotten_after_its_time(world: &World<impl Fixture>) {
    let options = PublishOptions {
        idempotency_ttl: MINUTE,
        ..with_key("k")
    };
    assert_eq!(world.publish("a", "one", options.clone()).suppressed, None);
    world.pass(MINUTE - SECOND);
    // A repetition doesn't make the time longer.
    assert_eq!(
        world.publish("a", "two", options.clone()).suppressed,
        Some(Suppression::Idempotency)
    );
    world.pass(SECOND);
    let again = world.publish("a", "three", options.clone());
    assert_eq!(again.suppressed, None);
    assert_eq!(again.position.unwrap().offset, 2);
    world.pass(MINUTE - SECOND);
    assert_eq!(
        world.publish("a", "four", options).suppressed,
        Some(Suppression::Idempotency)
    );
}

/// Scenario 30.
pub(crate) fn a_key_outlives_history_and_position(world: &World<impl Fixture>) {
    let options = PublishOptions {
        history_ttl: SECOND,
        history_meta_ttl: SECOND,
        idempotency_ttl: MINUTE,
        ..with_key("k")
    };
    let first = world.publish("a", "one", options.clone());
    world.pass(2 * SECOND);
    world.remove_history("a");
    assert_ne!(
        world.position("a").epoch,
        first.position.clone().unwrap().epoch
    );
    let second = world.publish("a", "one again", options);
    assert_eq!(second.suppressed, Some(Suppression::Idempotency));
    assert_eq!(second.position, first.position);
}

pub(crate) fn a_key_without_time_is_not_remembered(world: &World<impl Fixture>) {
    let options = PublishOptions {
        idempotency_ttl: Duration::ZERO,
        ..with_key("k")
    };
    for offset in 1..=2 {
        let published = world.publish("a", "x", options.clone());
        assert_eq!(published.suppressed, None);
        assert_eq!(published.position.unwrap().offset, offset);
    }
}

fn with_key(key: &str) -> PublishOptions {
    PublishOptions {
        idempotency_key: Some(key.into()),
        ..kept()
    }
}
