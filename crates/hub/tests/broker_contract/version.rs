//! Versions: what is out of date is suppressed.

use sockeye_hub::{
    Epoch,
    broker::{PublishOptions, Suppression},
};

use crate::{
    fixture::Fixture,
    world::{MINUTE, World, all, delivery, kept},
};

/// Scenario 31.
///
/// HUB 4, scenario 31.
pub(crate) fn a_version_that_is_not_above_the_last_is_suppressed(world: &World<impl Fixture>) {
    world.subscribe("a");
    let first = world.publish("a", "five", versioned(5, ""));
    assert_eq!(first.suppressed, None);
    for version in [5, 4, 1] {
        let late = world.publish("a", "late", versioned(version, ""));
        assert_eq!(late.suppressed, Some(Suppression::Version));
        assert_eq!(late.position, first.position, "the offset is untouched");
    }
    let second = world.publish("a", "six", versioned(6, ""));
    assert_eq!(second.position.unwrap().offset, 2);
    assert_eq!(world.offsets("a", all(None)), [1, 2]);
    assert_eq!(
        world.delivered(),
        [delivery("a", "five", 1), delivery("a", "six", 2)]
    );
}

/// Scenario 31.
///
/// HUB 4, scenario 31.
pub(crate) fn another_version_epoch_accepts_a_lower_version(world: &World<impl Fixture>) {
    let suppressed = |version, epoch| {
        let published = world.publish("a", "x", versioned(version, epoch));
        published.suppressed.is_some()
    };
    assert!(!suppressed(5, "one"));
    assert!(suppressed(5, "one"));
    assert!(!suppressed(2, "other"));
    assert!(suppressed(2, "other"));
    assert!(!suppressed(1, "one"), "the first counter is forgotten");
    // Without a name it is the last one's counter.
    assert!(suppressed(1, ""));
    assert!(!suppressed(2, ""));
}

/// Scenario 31.
pub(crate) fn no_version_leaves_the_last_one(world: &World<impl Fixture>) {
    world.publish("a", "five", versioned(5, "one"));
    assert_eq!(world.keep("a", "none").offset, 2);
    let late = world.publish("a", "late", versioned(4, "one"));
    assert_eq!(late.suppressed, Some(Suppression::Version));
    assert_eq!(late.position.unwrap().offset, 2);
}

/// Scenarios 8 and 31.
pub(crate) fn versions_survive_the_removal_of_history(world: &World<impl Fixture>) {
    world.publish("a", "five", versioned(5, ""));
    world.remove_history("a");
    world.pass(MINUTE);
    let late = world.publish("a", "late", versioned(5, ""));
    assert_eq!(late.suppressed, Some(Suppression::Version));
    world.pass(60 * MINUTE);
    let anew = world.publish("a", "anew", versioned(5, ""));
    assert_eq!(anew.suppressed, None, "it is forgotten with the position");
}

pub(crate) fn a_suppressed_version_does_not_use_up_the_key(world: &World<impl Fixture>) {
    world.publish("a", "five", versioned(5, ""));
    let with_key = |version| PublishOptions {
        idempotency_key: Some("k".into()),
        ..versioned(version, "")
    };
    let late = world.publish("a", "late", with_key(4));
    assert_eq!(late.suppressed, Some(Suppression::Version));
    assert_eq!(world.publish("a", "six", with_key(6)).suppressed, None);
    // The key comes before the version.
    let again = world.publish("a", "six", with_key(6));
    assert_eq!(again.suppressed, Some(Suppression::Idempotency));
}

pub(crate) fn without_history_versions_are_ignored(world: &World<impl Fixture>) {
    world.subscribe("a");
    for _ in 0..2 {
        let options = PublishOptions {
            history_size: 0,
            ..versioned(5, "")
        };
        assert_eq!(world.publish("a", "x", options).suppressed, None);
    }
    assert_eq!(world.delivered().len(), 2);
}

fn versioned(version: u64, epoch: &str) -> PublishOptions {
    PublishOptions {
        version,
        version_epoch: Epoch::new(epoch),
        ..kept()
    }
}
