//! What is delivered, and to whom.

use sockeye_hub::broker::PublishOptions;

use crate::{
    fixture::Fixture,
    world::{Delivered, World, all, client, delivery, kept, publication, text},
};

pub(crate) fn what_is_published_after_subscribe_is_delivered(world: &World<impl Fixture>) {
    world.subscribe("a");
    world.keep("a", "one");
    world.publish("a", "two", PublishOptions::default());
    world.keep("a", "three");
    assert_eq!(
        world.delivered(),
        [
            delivery("a", "one", 1),
            delivery("a", "two", 0),
            delivery("a", "three", 2),
        ]
    );
}

pub(crate) fn nothing_is_delivered_before_subscribe_and_after_unsubscribe(
    world: &World<impl Fixture>,
) {
    world.keep("a", "before");
    world.subscribe("a");
    world.subscribe("a");
    world.keep("a", "between");
    world.unsubscribe("a");
    world.keep("a", "after");
    world.publish("a", "after", PublishOptions::default());
    world.subscribe("a");
    world.keep("a", "again");
    assert_eq!(
        world.delivered(),
        [delivery("a", "between", 2), delivery("a", "again", 4)]
    );
}

pub(crate) fn a_publication_without_history_has_no_position(world: &World<impl Fixture>) {
    world.subscribe("a");
    for options in [
        PublishOptions::default(),
        PublishOptions {
            history_size: 0,
            ..kept()
        },
        PublishOptions {
            history_ttl: std::time::Duration::ZERO,
            ..kept()
        },
    ] {
        let published = world.publish("a", "x", options);
        assert_eq!(published.position, None);
        assert_eq!(published.suppressed, None);
        assert_eq!(world.delivered(), [delivery("a", "x", 0)]);
    }
    assert_eq!(world.position("a").offset, 0);
}

pub(crate) fn a_publication_is_kept_with_everything_in_it(world: &World<impl Fixture>) {
    world.keep("a", "one");
    let history = world.history("a", all(None));
    let mut expected = publication("one");
    expected.offset = 1;
    assert_eq!(*history.publications[0], expected);
    assert_eq!(text(&history.publications[0]), "one");
}

pub(crate) fn joins_and_leaves_are_delivered_in_order(world: &World<impl Fixture>) {
    world.join("a", client("unseen"));
    world.subscribe("a");
    world.join("a", client("first"));
    world.keep("a", "one");
    world.leave("a", client("first"));
    world.unsubscribe("a");
    world.leave("a", client("unseen"));
    let (channel, client) = ("a".to_owned(), "first".to_owned());
    assert_eq!(
        world.delivered(),
        [
            Delivered::Join {
                channel: channel.clone(),
                client: client.clone(),
            },
            delivery("a", "one", 1),
            Delivered::Leave { channel, client },
        ]
    );
}
