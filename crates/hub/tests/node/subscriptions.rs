//! Subscribing, recovering, unsubscribing.

use std::time::Duration;

use serde_json::{Value, json};
use sockeye_hub::{Publishing, UserFilter};

use crate::world::{World, token};

async fn publish(world: &World, channel: &str, data: Value) {
    let data = data.to_string();
    world
        .node
        .publish(channel, data, Publishing::default())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_subscribed_has_its_code() {
    let world = World::new();
    let mut peer = world.connect();
    let long = "a".repeat(256);
    for (channel, code) in [
        ("unknown:a", 102),
        ("closed:a", 103),
        ("$private", 103),
        ("news#ann", 103),
        (long.as_str(), 107),
        ("schön", 107),
    ] {
        let error = peer.error("subscribe", json!({ "channel": channel }));
        assert_eq!(error, code, "{channel}");
    }
    peer.subscribe("news");
    assert_eq!(peer.error("subscribe", json!({ "channel": "news" })), 105);
    for number in 1..128 {
        peer.subscribe(&number.to_string());
    }
    assert_eq!(peer.error("subscribe", json!({ "channel": "128" })), 106);
    // Unsubscribing makes room, also twice.
    for _ in 0..2 {
        let reply = peer.call("unsubscribe", json!({ "channel": "news" }));
        assert!(reply["error"].is_null(), "{reply}");
    }
    peer.subscribe("128");
    assert_eq!(world.node.info().num_subs, 128);
    peer.client.close();
    assert_eq!(world.node.info().num_channels, 0);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_lists_users_is_open_to_them() {
    let world = World::new();
    let (mut ann, mut bob) = (world.connect_as("ann"), world.connect_as("bob"));
    ann.subscribe("talk#ann,carl");
    assert_eq!(
        bob.error("subscribe", json!({ "channel": "talk#ann,carl" })),
        103
    );
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_brings_what_was_missed_once_and_in_order() {
    let world = World::new();
    let mut peer = world.connect();
    let subscribed = peer.subscribe("news");
    assert_eq!(subscribed["recoverable"], json!(true));
    let epoch = subscribed["epoch"].clone();
    publish(&world, "news", json!(1)).await;
    assert_eq!(peer.publications(), [json!(1)]);
    peer.client.close();
    for number in 2..=4 {
        publish(&world, "news", json!(number)).await;
    }

    let mut peer = world.connect();
    let request = json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": 1 });
    let reply = peer.call("subscribe", request);
    let subscribed = &reply["subscribe"];
    let flags = (&subscribed["recovered"], &subscribed["was_recovering"]);
    assert_eq!(flags, (&json!(true), &json!(true)));
    // The client counts on from its own position.
    assert_eq!(subscribed["offset"], json!(1));
    let missed = subscribed["publications"].as_array().unwrap();
    let data: Vec<_> = missed
        .iter()
        .map(|publication| &publication["data"])
        .collect();
    assert_eq!(data, [&json!(2), &json!(3), &json!(4)]);
    publish(&world, "news", json!(5)).await;
    assert_eq!(peer.publications(), [json!(5)]);
    assert_eq!(world.node.info().recovered, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recovered_is_said() {
    let world = World::new();
    for number in 1..=20 {
        publish(&world, "news", json!(number)).await;
    }
    let mut peer = world.connect();
    let lost = |epoch: &str, offset: u64, flag: i64| json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": offset, "flag": flag });
    // Ten are kept.
    let reply = peer.call("subscribe", lost("", 3, 0));
    let subscribed = &reply["subscribe"];
    assert_eq!(subscribed["was_recovering"], json!(true));
    assert!(subscribed["recovered"].is_null() && subscribed["publications"].is_null());
    assert_eq!(subscribed["offset"], json!(20));
    peer.call("unsubscribe", json!({ "channel": "news" }));
    // The sentinel epoch of an invalidated state (HUB 4, scenario 6).
    let reply = peer.call("subscribe", lost("_", 0, 0));
    assert_eq!(reply["subscribe"]["was_recovering"], json!(true));
    assert!(reply["subscribe"]["recovered"].is_null());
    peer.call("unsubscribe", json!({ "channel": "news" }));
    // HUB 4, scenario 7: the flag asks for an error, and nothing is left behind.
    assert_eq!(peer.error("subscribe", lost("", 3, 2)), 112);
    assert_eq!(world.node.info().num_subs, 0);
    peer.subscribe("news");
}

#[tokio::test(start_paused = true)]
async fn recovery_of_nothing_twice_in_a_row_is_a_recovery() {
    // HUB 4, scenario 11.
    let world = World::new();
    publish(&world, "news", json!(1)).await;
    let mut offset_and_epoch = (json!(1), json!(""));
    for _ in 0..2 {
        let mut peer = world.connect();
        let (offset, epoch) = &offset_and_epoch;
        let request =
            json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": offset });
        let reply = peer.call("subscribe", request);
        assert_eq!(reply["subscribe"]["recovered"], json!(true), "{reply}");
        assert!(reply["subscribe"]["publications"].is_null());
        offset_and_epoch = (
            reply["subscribe"]["offset"].clone(),
            reply["subscribe"]["epoch"].clone(),
        );
        peer.client.close();
    }
}

#[tokio::test(start_paused = true)]
async fn joins_come_after_the_own_reply_and_before_leaves() {
    // HUB 4, scenario 20.
    let world = World::new();
    let mut ann = world.connect_as("ann");
    let id = ann.send("subscribe", json!({ "channel": "watched:room" }));
    let frames = ann.take();
    assert_eq!(frames[0]["id"], json!(id));
    assert_eq!(frames[1]["push"]["join"]["info"]["user"], json!("ann"));
    let mut bob = world.connect_as("bob");
    bob.subscribe("watched:room");
    bob.client.close();
    let pushes = ann.pushes();
    assert_eq!(pushes[0]["join"]["info"]["user"], json!("bob"));
    assert_eq!(pushes[1]["leave"]["info"]["user"], json!("bob"));
    assert_eq!(pushes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn commands_about_one_channel_wait_for_the_decision() {
    let world = World::with(|builder| {
        builder.on_subscribe(|event| async move {
            if event.channel == "slow" {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(None)
        })
    });
    let mut peer = world.connect();
    let subscribe = peer.send("subscribe", json!({ "channel": "slow" }));
    let publish = peer.send("publish", json!({ "channel": "slow", "data": 1 }));
    let other = peer.send("publish", json!({ "channel": "other", "data": 1 }));
    let replies = |frames: Vec<Value>| -> Vec<Value> {
        frames
            .into_iter()
            .filter_map(|mut frame| frame.get_mut("id").map(Value::take))
            .collect()
    };
    assert_eq!(replies(peer.take()), [json!(other)]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let frames = peer.take();
    assert_eq!(
        frames[1]["push"]["pub"]["data"],
        json!(1),
        "the own publication"
    );
    assert_eq!(replies(frames), [json!(subscribe), json!(publish)]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_the_server_ends_before_it_is_decided_leaves_no_ghost() {
    // HUB 4, scenario 14.
    let world = World::with(|builder| {
        builder.on_subscribe(|_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(None)
        })
    });
    let mut peer = world.connect_as("ann");
    let id = peer.send("subscribe", json!({ "channel": "news" }));
    world.rest().await;
    let all = UserFilter::default();
    world.node.unsubscribe("ann", "news", &all).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let frames = peer.take();
    assert_eq!(frames[0]["push"]["unsubscribe"]["code"], json!(2000));
    assert_eq!(
        (&frames[1]["id"], frames[1]["error"].is_object()),
        (&json!(id), true)
    );
    assert_eq!(world.node.info().num_subs, 0);
    publish(&world, "news", json!(1)).await;
    assert!(peer.publications().is_empty());
}

#[tokio::test(start_paused = true)]
async fn server_side_subscriptions_come_with_the_connection_and_are_recovered() {
    let world = World::new();
    let claims = json!({ "sub": "ann", "channels": ["news"] });
    let mut peer = world.open();
    let reply = peer.call("connect", json!({ "token": token(&claims) }));
    let epoch = reply["connect"]["subs"]["news"]["epoch"].clone();
    publish(&world, "news", json!(1)).await;
    assert_eq!(peer.publications(), [json!(1)]);
    peer.client.close();
    publish(&world, "news", json!(2)).await;
    let mut peer = world.open();
    let subs = json!({ "news": { "recover": true, "epoch": epoch, "offset": 1 } });
    let reply = peer.call("connect", json!({ "token": token(&claims), "subs": subs }));
    let news = &reply["connect"]["subs"]["news"];
    assert_eq!(news["recovered"], json!(true), "{reply}");
    assert_eq!(news["publications"][0]["data"], json!(2));
    publish(&world, "news", json!(3)).await;
    assert_eq!(peer.publications(), [json!(3)]);
    // The client can leave what the server has subscribed it to.
    peer.call("unsubscribe", json!({ "channel": "news" }));
    publish(&world, "news", json!(4)).await;
    assert!(peer.publications().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_first_publication_of_a_history_tells_the_epoch() {
    let world = World::new();
    let mut peer = world.connect();
    let epoch = peer.subscribe("news")["epoch"].clone();
    publish(&world, "news", json!(1)).await;
    publish(&world, "news", json!(2)).await;
    let epochs: Vec<Value> = peer
        .pushes()
        .iter()
        .map(|push| push["pub"]["epoch"].clone())
        .collect();
    assert_eq!(epochs, [epoch.clone(), Value::Null]);
    let reply = peer.call("history", json!({ "channel": "news", "limit": 2 }));
    let first = &reply["history"]["publications"][0];
    assert_eq!(first["epoch"], epoch);
    peer.call("unsubscribe", json!({ "channel": "news" }));
    let request = json!({ "channel": "news", "recover": true });
    let reply = peer.call("subscribe", request);
    assert_eq!(reply["subscribe"]["publications"][0]["epoch"], epoch);
}

#[tokio::test(start_paused = true)]
async fn a_reply_says_that_recovery_was_asked_for_also_where_there_is_none() {
    let world = World::new();
    let mut peer = world.connect();
    let request = json!({ "channel": "plain:a", "recover": true, "flag": 2 });
    let reply = peer.call("subscribe", request);
    assert_eq!(reply["subscribe"], json!({ "was_recovering": true }));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_of_another_kind_is_denied() {
    let world = World::new();
    let mut peer = world.connect();
    let request = json!({ "channel": "news", "type": 1 });
    assert_eq!(peer.error("subscribe", request), 103);
    let request = json!({ "channel": "news", "data": 1, "type": 1 });
    assert_eq!(peer.error("publish", request), 103);
}

#[tokio::test(start_paused = true)]
async fn a_client_can_leave_what_the_server_has_subscribed_it_to() {
    let world = World::new();
    let mut ann = world.connect_as("ann");
    let all = UserFilter::default();
    let how = sockeye_hub::Subscribing::default();
    world
        .node
        .subscribe("ann", "news", &all, how)
        .await
        .unwrap();
    assert_eq!(ann.pushes().len(), 1);
    ann.call("unsubscribe", json!({ "channel": "news" }));
    assert_eq!(world.node.info().num_subs, 0);
}

#[tokio::test(start_paused = true)]
async fn the_insecure_mode_still_wants_tokens_for_private_channels() {
    let world = World::with(|builder| {
        let mut settings = sockeye_hub::NodeSettings::default();
        settings.insecure = true;
        builder.settings(settings)
    });
    let mut peer = world.connect();
    assert_eq!(
        peer.error("subscribe", json!({ "channel": "$private" })),
        103
    );
    peer.subscribe("closed:a");
}
