//! Clients of a broker that takes time, lags and loses.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use sockeye_hub::{NodeSettings, Publishing};

use crate::{
    scripted_broker::{Script, ScriptedBroker},
    world::{World, token},
};

const CHECK_INTERVAL: Duration = Duration::from_secs(40);

async fn world(script: &Arc<Script>) -> World {
    let broker = ScriptedBroker(Arc::clone(script));
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    // These clients answer no pings.
    settings.ping_interval = Duration::from_secs(24 * 3_600);
    let world = World::with(|builder| builder.settings(settings).broker(broker));
    // The node's own task looks at the clock for the first time.
    world.rest().await;
    world
}

async fn publish(world: &World, channel: &str, data: Value) {
    let published = world
        .node
        .publish(channel, data.to_string(), Publishing::default());
    published.await.unwrap();
}

fn codes(pushes: &[Value]) -> Vec<u64> {
    let ends = pushes.iter();
    ends.filter_map(|push| push["unsubscribe"]["code"].as_u64())
        .collect()
}

/// HUB 4, scenario 4.
#[tokio::test(start_paused = true)]
async fn the_first_publication_brings_the_epoch_to_a_client_that_knows_none() {
    let script = Script::new();
    let world = world(&script).await;
    // The replica doesn't know the channel yet.
    script.lag_at(Some((0, "")));
    let mut peer = world.connect();
    let subscribed = peer.subscribe("news");
    assert!(subscribed["epoch"].is_null(), "{subscribed}");
    script.lag_at(None);
    publish(&world, "news", json!(1)).await;
    publish(&world, "news", json!(2)).await;
    let pushes = peer.pushes();
    let epoch = pushes[0]["pub"]["epoch"].as_str().unwrap();
    assert!(!epoch.is_empty());
    assert!(pushes[1]["pub"]["epoch"].is_null());
    // With it the client recovers exactly.
    peer.client.close();
    publish(&world, "news", json!(3)).await;
    let mut peer = world.connect();
    let request = json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": 2 });
    let reply = peer.call("subscribe", request);
    assert_eq!(reply["subscribe"]["recovered"], json!(true));
    assert_eq!(reply["subscribe"]["publications"][0]["data"], json!(3));
}

/// HUB 4, scenario 4.
#[tokio::test(start_paused = true)]
async fn another_epoch_while_live_ends_the_subscription_or_the_connection() {
    let script = Script::new();
    let world = world(&script).await;
    script.lag_at(Some((0, "before")));
    let mut peer = world.connect();
    peer.subscribe("news");
    let mut other = world.open();
    let claims = json!({ "sub": "ann", "channels": ["news"] });
    other.call("connect", json!({ "token": token(&claims) }));
    script.lag_at(None);
    publish(&world, "news", json!(1)).await;
    world.rest().await;
    assert_eq!(codes(&peer.pushes()), [2500]);
    assert_eq!(other.code(), Some(3010));
    // Nothing of the other history was delivered, and both can come back to it.
    assert!(other.publications().is_empty());
    let again = peer.call(
        "subscribe",
        json!({ "channel": "news", "recover": true, "epoch": "before", "offset": 0 }),
    );
    assert_eq!(again["subscribe"]["was_recovering"], json!(true));
    assert!(again["subscribe"]["recovered"].is_null());
}

/// HUB 4, scenario 10.
#[tokio::test(start_paused = true)]
async fn a_lost_publication_is_found_by_the_second_check_for_those_on_lists_and_those_on_none() {
    let script = Script::new();
    let world = world(&script).await;
    let mut listed = world.connect();
    listed.subscribe("news");
    script.lose(true);
    publish(&world, "news", json!(1)).await;
    // It has read 1, which the others wait for: it is on no list.
    let mut alone = world.connect();
    alone.subscribe("news");
    publish(&world, "news", json!(2)).await;
    script.lose(false);
    world.pass(CHECK_INTERVAL).await;
    assert!(listed.pushes().is_empty() && alone.pushes().is_empty());
    world.pass(CHECK_INTERVAL).await;
    assert_eq!(codes(&listed.pushes()), [2500]);
    assert_eq!(codes(&alone.pushes()), [2500]);
    let request = json!({ "channel": "news", "recover": true, "offset": 0 });
    let reply = listed.call("subscribe", request);
    let missed = reply["subscribe"]["publications"].as_array().unwrap();
    assert_eq!(missed.len(), 2);
}

/// HUB 4, scenario 10.
#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_ends_nobody() {
    let script = Script::new();
    let world = world(&script).await;
    let mut peer = world.connect();
    peer.subscribe("news");
    let epoch = {
        publish(&world, "news", json!(1)).await;
        peer.pushes()[0]["pub"]["epoch"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    publish(&world, "news", json!(2)).await;
    script.lag_at(Some((1, &epoch)));
    for _ in 0..10 {
        world.pass(CHECK_INTERVAL).await;
    }
    assert!(codes(&peer.pushes()).is_empty());
    assert_eq!(peer.code(), None);
}

/// HUB 4, scenario 10.
#[tokio::test(start_paused = true)]
async fn a_history_that_lags_behind_deliveries_is_read_again_and_then_a_temporary_error() {
    let script = Script::new();
    let world = world(&script).await;
    let mut first = world.connect();
    first.subscribe("news");
    publish(&world, "news", json!(1)).await;
    let epoch = first.pushes()[0]["pub"]["epoch"]
        .as_str()
        .unwrap()
        .to_owned();
    publish(&world, "news", json!(2)).await;
    script.lag_at(Some((1, &epoch)));

    let mut peer = world.connect();
    let id = peer.send("subscribe", json!({ "channel": "news" }));
    world.rest().await;
    assert!(peer.take().is_empty(), "it is read again");
    script.lag_at(None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let replies = peer.take();
    assert_eq!(replies[0]["id"], json!(id));
    assert_eq!(replies[0]["subscribe"]["offset"], json!(2));
    peer.call("unsubscribe", json!({ "channel": "news" }));

    script.lag_at(Some((1, &epoch)));
    let before = script.questions.load(Ordering::Relaxed);
    peer.send("subscribe", json!({ "channel": "news" }));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let replies = peer.take();
    assert_eq!(replies[0]["error"]["code"], json!(100));
    assert_eq!(replies[0]["error"]["temporary"], json!(true));
    assert_eq!(script.questions.load(Ordering::Relaxed) - before, 5);
    assert_eq!(world.node.info().num_subs, 1);
}

/// HUB 4, scenario 10.
#[tokio::test(start_paused = true)]
async fn a_slow_broker_has_one_round_of_checks_to_answer() {
    let script = Script::new();
    let world = world(&script).await;
    let mut peer = world.connect();
    peer.subscribe("news");
    script.delay(Duration::from_secs(3_600));
    for _ in 0..4 {
        world.pass(CHECK_INTERVAL).await;
    }
    assert_eq!(script.asked.load(Ordering::Relaxed), 1);
}

/// HUB 4, scenarios 14 and 20.
#[tokio::test(start_paused = true)]
async fn a_slow_broker_is_told_joins_and_leaves_in_their_order() {
    let script = Script::new();
    let world = world(&script).await;
    let mut watcher = world.connect_as("watcher");
    watcher.subscribe("watched:room");
    world.rest().await;
    watcher.take();
    script.take_told();
    let mut peer = world.connect_as("ann");
    peer.subscribe("watched:room");
    script.delay(Duration::from_secs(1));
    let mut other = world.connect_as("bob");
    other.send("subscribe", json!({ "channel": "watched:room" }));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    other.client.close();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(script.take_told(), ["join", "join", "leave"]);
    let pushes = watcher.pushes();
    let users: Vec<_> = pushes
        .iter()
        .map(|push| match push["join"].is_object() {
            true => ("join", push["join"]["info"]["user"].as_str().unwrap()),
            false => ("leave", push["leave"]["info"]["user"].as_str().unwrap()),
        })
        .collect();
    assert_eq!(users, [("join", "ann"), ("join", "bob"), ("leave", "bob")]);
}

/// HUB 4, scenario 14.
#[tokio::test(start_paused = true)]
async fn a_channel_that_is_left_and_entered_while_the_broker_is_slow_is_delivered() {
    let script = Script::new();
    let world = world(&script).await;
    let mut peer = world.connect();
    peer.subscribe("news");
    script.delay(Duration::from_secs(1));
    // The end of the last subscription is under way when the next one begins.
    peer.call("unsubscribe", json!({ "channel": "news" }));
    let id = peer.send("subscribe", json!({ "channel": "news" }));
    // The second of the channel waits for the broker as well.
    let mut second = world.connect();
    second.send("subscribe", json!({ "channel": "news" }));
    assert!(peer.take().is_empty() && second.take().is_empty());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(peer.take()[0]["id"], json!(id));
    assert!(second.take()[0]["subscribe"].is_object());
    publish(&world, "news", json!(1)).await;
    assert_eq!(peer.publications(), [json!(1)]);
    assert_eq!(second.publications(), [json!(1)]);
}
