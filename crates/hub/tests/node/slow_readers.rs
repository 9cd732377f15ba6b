//! What a subscriber that reads too slowly loses: its connection, its oldest publications, or all but the newest.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use sockeye_hub::{NodeSettings, Publishing};

use crate::{
    limits::{Meter, SharedMeter},
    world::{Peer, World},
};

async fn publish(world: &World, channel: &str, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let data = number.to_string();
        let how = Publishing::default();
        world.node.publish(channel, data, how).await.unwrap();
    }
}

fn subscriber(world: &World, channel: &str) -> Peer {
    let mut peer = world.connect();
    peer.subscribe(channel);
    peer
}

fn set_crowded(peer: &Peer, is_crowded: bool) {
    peer.inbox.is_crowded.store(is_crowded, Ordering::Relaxed);
}

/// Lets the tasks look for room.
async fn look(world: &World) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.rest().await;
}

#[tokio::test(start_paused = true)]
async fn by_default_it_loses_its_connection() {
    let world = World::new();
    let slow = subscriber(&world, "plain:price");
    slow.inbox.is_full.store(true, Ordering::Relaxed);
    publish(&world, "plain:price", 1..=1).await;
    assert_eq!(slow.code(), Some(3008));
}

#[tokio::test(start_paused = true)]
async fn with_drop_oldest_it_keeps_the_newest_128() {
    let world = World::new();
    let slow = subscriber(&world, "oldest:price");
    let quick = subscriber(&world, "oldest:price");
    publish(&world, "oldest:price", 1..=2).await;
    set_crowded(&slow, true);
    publish(&world, "oldest:price", 3..=200).await;
    look(&world).await;
    assert_eq!(slow.publications(), [1, 2]);
    assert_eq!(quick.publications().len(), 200);
    set_crowded(&slow, false);
    // What comes now waits behind what waits.
    publish(&world, "oldest:price", 201..=201).await;
    look(&world).await;
    let expected: Vec<_> = (74..=201).map(|number| json!(number)).collect();
    assert_eq!(slow.publications(), expected);
    publish(&world, "oldest:price", 202..=202).await;
    assert_eq!(slow.publications(), [202]);
    assert_eq!(slow.code(), None);
    assert_eq!(world.node.metrics().dropped, 71);
}

#[tokio::test(start_paused = true)]
async fn with_drop_oldest_large_publications_keep_256_kib() {
    let world = World::new();
    let slow = subscriber(&world, "oldest:price");
    set_crowded(&slow, true);
    let large = json!("x".repeat(100 << 10)).to_string();
    for _ in 0..5 {
        let how = Publishing::default();
        world
            .node
            .publish("oldest:price", large.clone(), how)
            .await
            .unwrap();
    }
    set_crowded(&slow, false);
    look(&world).await;
    assert_eq!(slow.publications().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn with_latest_only_it_gets_the_newest() {
    let world = World::new();
    let slow = subscriber(&world, "latest:price");
    // Not even that fits.
    slow.inbox.is_full.store(true, Ordering::Relaxed);
    publish(&world, "latest:price", 1..=50).await;
    look(&world).await;
    assert_eq!((slow.publications().len(), slow.code()), (0, None));
    slow.inbox.is_full.store(false, Ordering::Relaxed);
    look(&world).await;
    assert_eq!(slow.publications(), [50]);
    assert_eq!(world.node.metrics().dropped, 49);
}

#[tokio::test(start_paused = true)]
async fn those_for_which_most_waits_in_all_channels_lose_their_connections_beyond_a_limit() {
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    settings.waiting_bytes_max = 350_000;
    let world = World::with(|builder| builder.settings(settings));
    let modest = subscriber(&world, "latest:modest");
    let mut greedy = [world.connect(), world.connect()];
    set_crowded(&modest, true);
    for peer in &greedy {
        set_crowded(peer, true);
    }
    let large = json!("x".repeat(100_000)).to_string();
    let publish = async |channel: String| {
        let how = Publishing::default();
        let published = world.node.publish(&channel, large.clone(), how);
        published.await.unwrap();
    };
    publish("latest:modest".to_owned()).await;
    for (number, peer) in greedy.iter_mut().enumerate() {
        for channel in 0..2 {
            let channel = format!("latest:{number}-{channel}");
            peer.subscribe(&channel);
            publish(channel.clone()).await;
            // One replaces the other.
            publish(channel).await;
        }
    }
    let codes = [&greedy[0], &greedy[1], &modest].map(Peer::code);
    assert_eq!(codes, [Some(3008), None, None]);
    set_crowded(&modest, false);
    look(&world).await;
    assert_eq!(modest.publications().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_more_waits_for_a_client_that_is_going() {
    let meter = Arc::new(Meter::default());
    let shared = SharedMeter(Arc::clone(&meter));
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    settings.waiting_bytes_max = 250_000;
    let world = World::with(|builder| builder.settings(settings).memory_meter(shared));
    // Its transport is told to end, and takes its time.
    let mut slow = world.connect();
    set_crowded(&slow, true);
    let large = json!("x".repeat(100_000)).to_string();
    let channels: Vec<String> = (0..10).map(|it| format!("latest:{it}")).collect();
    for channel in &channels {
        slow.subscribe(channel);
    }
    for channel in &channels {
        let how = Publishing::default();
        let published = world.node.publish(channel, large.clone(), how);
        published.await.unwrap();
    }
    assert_eq!(slow.code(), Some(3008));
    // The limit is exceeded by the frame that was one too many.
    assert!(meter.bytes() < 350_000, "{}", meter.bytes());
}

#[tokio::test(start_paused = true)]
async fn what_waits_ends_with_the_subscription() {
    let world = World::new();
    let mut slow = subscriber(&world, "oldest:price");
    set_crowded(&slow, true);
    publish(&world, "oldest:price", 1..=5).await;
    slow.call("unsubscribe", json!({ "channel": "oldest:price" }));
    set_crowded(&slow, false);
    look(&world).await;
    assert_eq!(slow.publications().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_newest_publication_is_delivered_although_nobody_asks() {
    let world = World::new();
    let early = world.connect().subscribe("score:a");
    assert_eq!(early["was_recovering"], json!(true));
    assert!(early["publications"].is_null(), "{early}");
    publish(&world, "score:a", 1..=3).await;
    let late = world.connect().subscribe("score:a");
    assert_eq!(late["recovered"], json!(true));
    let publications = late["publications"].as_array().unwrap();
    assert_eq!(publications.len(), 1);
    assert_eq!(publications[0]["data"], json!(3));
}
