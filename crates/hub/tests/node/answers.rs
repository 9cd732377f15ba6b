//! Answers that can be large: how much one may have, and when it is made.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use sockeye_hub::{NodeSettings, Publishing};

use crate::{
    limits::{Meter, SharedMeter},
    world::World,
};

/// A world whose answers have up to 10,000 bytes.
fn small_world() -> World {
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    settings.answer_bytes_max = 10_000;
    World::with(|builder| builder.settings(settings))
}

/// Publishes `count` times `bytes` bytes. Returns the epoch.
async fn publish(world: &World, channel: &str, count: usize, bytes: usize) -> String {
    let mut epoch = String::new();
    for _ in 0..count {
        let data = json!("x".repeat(bytes)).to_string();
        let published = world.node.publish(channel, data, Publishing::default());
        let position = published.await.unwrap().position.unwrap();
        position.epoch.as_str().clone_into(&mut epoch);
    }
    epoch
}

fn recover(channel: &str, offset: u64, epoch: &str) -> Value {
    json!({ "channel": channel, "recover": true, "offset": offset, "epoch": epoch })
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_missed_more_bytes_than_an_answer_may_have_is_not_recovered() {
    let world = small_world();
    let epoch = publish(&world, "news", 5, 3_000).await;
    let reply = world
        .connect()
        .call("subscribe", recover("news", 0, &epoch));
    assert_eq!(reply["subscribe"]["recovered"], Value::Null, "{reply}");
    assert!(reply["subscribe"].get("publications").is_none());
    assert_eq!(reply["subscribe"]["offset"], 5);
    let reply = world
        .connect()
        .call("subscribe", recover("news", 2, &epoch));
    assert_eq!(reply["subscribe"]["recovered"], true);
    let publications = reply["subscribe"]["publications"].as_array().unwrap();
    assert_eq!(publications.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_recoveries_of_a_connect_command_are_one_answer() {
    let world = small_world();
    let mut subs = serde_json::Map::new();
    for channel in ["a", "b", "c", "d"] {
        let epoch = publish(&world, channel, 2, 2_000).await;
        subs.insert(channel.to_owned(), recover(channel, 0, &epoch));
    }
    let reply = world.open().call("connect", json!({ "subs": subs }));
    let subs = reply["connect"]["subs"].as_object().unwrap();
    assert_eq!(subs.len(), 4);
    for (channel, sub) in subs {
        let is_recovered = matches!(&**channel, "a" | "b");
        assert_eq!(sub["recovered"] == true, is_recovered, "{channel}: {sub}");
        assert_eq!(sub["publications"].is_array(), is_recovered);
        assert_eq!(sub["was_recovering"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_comes_in_answers_that_have_one_publication_at_least() {
    let world = small_world();
    publish(&world, "news", 5, 3_000).await;
    publish(&world, "news", 1, 20_000).await;
    let mut peer = world.connect();
    peer.subscribe("news");
    let (mut since, mut counts) = (json!({ "offset": 0 }), vec![]);
    loop {
        let request = json!({ "channel": "news", "limit": -1, "since": since });
        let reply = peer.call("history", request);
        let publications = reply["history"]["publications"].as_array().unwrap();
        let Some(last) = publications.last() else {
            break;
        };
        counts.push(publications.len());
        since = json!({ "offset": last["offset"], "epoch": reply["history"]["epoch"] });
    }
    assert_eq!(counts, [3, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn presence_that_needs_more_fails() {
    let world = small_world();
    let peers: Vec<_> = (0..100).map(|_| world.connect()).collect();
    let mut enough = false;
    for mut peer in peers.into_iter().chain([world.connect()]) {
        peer.subscribe("news");
        let id = peer.send("presence", json!({ "channel": "news" }));
        let replies = peer.take();
        let reply = replies.iter().find(|reply| reply["id"] == id).unwrap();
        if reply["error"]["code"] == 106 {
            enough = true;
            break;
        }
        assert!(reply.to_string().len() < 10_000);
        // Kept connected, so that the next one sees it.
        std::mem::forget(peer);
    }
    assert!(enough);
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_waits_for_memory_and_not_for_ever() {
    let meter = Arc::new(Meter::default());
    let shared = SharedMeter(Arc::clone(&meter));
    let world = World::with(|builder| builder.memory_meter(shared));
    let epoch = publish(&world, "news", 5, 5_000).await;
    let mut peer = world.connect();
    meter.is_exhausted.store(true, Ordering::Relaxed);
    let id = peer.send("subscribe", recover("news", 0, &epoch));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(meter.reclaimed.load(Ordering::Relaxed), 0);
    // After a second, memory is asked for.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reclaimed = meter.reclaimed.load(Ordering::Relaxed);
    assert!((25_000..30_000).contains(&reclaimed), "{reclaimed}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.take(), [] as [Value; 0]);
    meter.is_exhausted.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let replies = peer.take();
    assert_eq!((&replies[0]["id"], replies.len()), (&json!(id), 1));
    assert_eq!(replies[0]["subscribe"]["recovered"], true);
    assert_eq!(meter.bytes(), 0);
    meter.is_exhausted.store(true, Ordering::Relaxed);
    peer.send("history", json!({ "channel": "news", "limit": -1 }));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(peer.take()[0]["error"]["code"], 100);
    // A small answer needs none.
    let request = json!({ "channel": "news", "limit": 1 });
    let reply = peer.call("history", request);
    assert!(reply["history"]["publications"].is_array(), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_asked_for_much_gets_it_as_fast_as_it_reads() {
    let world = World::new();
    publish(&world, "news", 1, 100).await;
    let mut peer = world.connect();
    peer.subscribe("news");
    peer.take();
    peer.inbox.has_no_room.store(true, Ordering::Relaxed);
    let ids = [(); 3].map(|()| peer.send("history", json!({ "channel": "news", "limit": 1 })));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(peer.take(), [] as [Value; 0]);
    peer.inbox.has_no_room.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let replies = peer.take();
    let replied: Vec<_> = replies.iter().map(|reply| reply["id"].clone()).collect();
    assert_eq!(replied, ids.map(Value::from));
    assert_eq!(peer.code(), None);
}
