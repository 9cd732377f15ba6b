//! Subscriptions with a filter of tags, as a client sees them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use sockeye_hub::{
    Publishing,
    wire::{Command, ConnectRequest, Encoding, FilterNode, Reply, SubscribeRequest},
};

use crate::{
    limits::{Meter, SharedMeter},
    world::World,
};

async fn publish(world: &World, channel: &str, number: u64, kind: &str) {
    let how = Publishing {
        tags: [("kind", kind)].into_iter().collect(),
        ..Publishing::default()
    };
    let published = world.node.publish(channel, number.to_string(), how);
    published.await.unwrap();
}

fn goals() -> Value {
    json!({ "key": "kind", "cmp": "eq", "val": "goal" })
}

/// Returns the offsets and the tag of what a client is given.
fn given(publications: &[Value]) -> Vec<(u64, &str)> {
    let given = publications.iter();
    given
        .map(|publication| {
            let offset = publication["offset"].as_u64().unwrap();
            (offset, publication["tags"]["kind"].as_str().unwrap())
        })
        .collect()
}

/// HUB 4, scenario 3.
#[tokio::test(start_paused = true)]
async fn a_filter_applies_to_what_is_live_and_what_is_recovered_and_moves_the_position() {
    let world = World::new();
    let mut peer = world.connect();
    let request = json!({ "channel": "tagged:game", "tf": goals() });
    let epoch = peer.call("subscribe", request)["subscribe"]["epoch"].take();
    for (number, kind) in [(1, "foul"), (2, "goal"), (3, "foul"), (4, "goal")] {
        publish(&world, "tagged:game", number, kind).await;
    }
    let live: Vec<Value> = peer
        .pushes()
        .iter()
        .map(|push| push["pub"].clone())
        .collect();
    assert_eq!(given(&live), [(2, "goal"), (4, "goal")]);
    publish(&world, "tagged:game", 5, "foul").await;
    peer.client.close();
    publish(&world, "tagged:game", 6, "goal").await;
    publish(&world, "tagged:game", 7, "foul").await;

    // It has seen 4, and 5 was not for it.
    let mut peer = world.connect();
    let request = json!({
        "channel": "tagged:game", "tf": goals(), "recover": true, "epoch": epoch, "offset": 4,
    });
    let reply = peer.call("subscribe", request);
    let recovered = &reply["subscribe"];
    assert_eq!(recovered["recovered"], json!(true));
    assert_eq!(
        given(recovered["publications"].as_array().unwrap()),
        [(6, "goal")]
    );
    // Nothing is missing because of the filter.
    publish(&world, "tagged:game", 8, "goal").await;
    let pushes = peer.pushes();
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0]["pub"]["offset"], json!(8));
}

/// HUB 4, scenario 3.
#[tokio::test(start_paused = true)]
async fn a_recovery_of_which_nothing_is_for_the_client_is_a_recovery() {
    let world = World::new();
    let mut peer = world.connect();
    for number in 1..=3 {
        publish(&world, "tagged:game", number, "foul").await;
    }
    let request = json!({ "channel": "tagged:game", "tf": goals(), "recover": true, "offset": 0 });
    let reply = peer.call("subscribe", request);
    assert_eq!(reply["subscribe"]["recovered"], json!(true));
    assert!(reply["subscribe"]["publications"].is_null());
    publish(&world, "tagged:game", 4, "goal").await;
    assert_eq!(peer.publications(), [json!(4)]);
}

/// HUB 4, scenario 3.
#[tokio::test(start_paused = true)]
async fn a_filter_applies_to_what_is_cached() {
    let world = World::new();
    publish(&world, "cached:game", 1, "foul").await;
    for (filter, expected) in [(Value::Null, Some(1)), (goals(), None)] {
        let mut peer = world.connect();
        let mut request = json!({ "channel": "cached:game", "recover": true });
        if !filter.is_null() {
            request["tf"] = filter;
        }
        let reply = peer.call("subscribe", request);
        assert_eq!(reply["subscribe"]["recovered"], json!(true));
        let first = reply["subscribe"]["publications"][0]["offset"].as_u64();
        assert_eq!(first, expected);
    }
}

/// HUB 4, scenario 3.
#[tokio::test(start_paused = true)]
async fn equal_filters_of_both_encodings_choose_the_same() {
    let world = World::new();
    let mut json = world.connect();
    json.call(
        "subscribe",
        json!({ "channel": "tagged:game", "tf": goals() }),
    );
    let protobuf = world.open_with(Encoding::Protobuf);
    let send = |command: &Command| {
        let mut frame = Vec::new();
        Encoding::Protobuf
            .encode_command(command, &mut frame)
            .unwrap();
        protobuf.client.handle_frame(frame.into());
    };
    send(&Command {
        id: 1,
        connect: Some(ConnectRequest::default()),
        ..Command::default()
    });
    let filter = FilterNode {
        key: "kind".to_owned(),
        cmp: "eq".to_owned(),
        val: "goal".to_owned(),
        ..FilterNode::default()
    };
    send(&Command {
        id: 2,
        subscribe: Some(SubscribeRequest {
            channel: "tagged:game".to_owned(),
            tf: Some(filter),
            ..SubscribeRequest::default()
        }),
        ..Command::default()
    });
    protobuf.frames();
    for (number, kind) in [(1, "goal"), (2, "foul"), (3, "goal")] {
        publish(&world, "tagged:game", number, kind).await;
    }
    let frames = protobuf.frames().into_iter();
    let replies: Vec<Reply> = frames
        .flat_map(|frame| Encoding::Protobuf.decode_replies(frame))
        .collect::<Result<_, _>>()
        .unwrap();
    let offsets: Vec<u64> = replies
        .into_iter()
        .map(|reply| reply.push.unwrap().r#pub.unwrap().offset)
        .collect();
    assert_eq!(offsets, [1, 3]);
    assert_eq!(json.publications(), [json!(1), json!(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_needs_the_channels_permission_and_sense() {
    let world = World::new();
    let mut peer = world.connect();
    let mut error = |channel: &str, filter: Value| {
        peer.error("subscribe", json!({ "channel": channel, "tf": filter }))
    };
    assert_eq!(error("news", goals()), 107);
    assert_eq!(
        error("tagged:game", json!({ "key": "kind", "cmp": "like" })),
        107
    );
    assert_eq!(error("tagged:game", json!({ "op": "xor" })), 107);
    assert_eq!(world.node.info().num_subs, 0);
}

/// HUB 4, scenario 27.
#[tokio::test(start_paused = true)]
async fn filters_that_would_cost_too_much_end_their_client_and_no_other() {
    let world = World::new();
    let mut bystander = world.connect();
    bystander.subscribe("tagged:game");
    let mut deep = goals();
    for _ in 0..20 {
        deep = json!({ "op": "not", "nodes": [deep] });
    }
    let many: Vec<String> = (0..100_000).map(|value| value.to_string()).collect();
    let wide = json!({ "op": "and", "nodes": vec![goals(); 300] });
    let values = json!({ "key": "kind", "cmp": "in", "vals": many });
    for filter in [deep, wide, values] {
        let mut peer = world.connect();
        peer.send(
            "subscribe",
            json!({ "channel": "tagged:game", "tf": filter }),
        );
        assert_eq!(peer.code(), Some(3501));
        peer.client.close();
    }
    publish(&world, "tagged:game", 1, "foul").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bystander.publications(), [json!(1)]);
    assert_eq!(bystander.code(), None);
}

#[tokio::test(start_paused = true)]
async fn filters_are_counted_while_they_are_held_and_a_client_may_have_so_many_bytes_of_them() {
    let meter = Arc::new(Meter::default());
    let shared = SharedMeter(Arc::clone(&meter));
    let mut settings = sockeye_hub::NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    settings.filter_bytes_max = 10_000;
    let world = World::with(|builder| builder.settings(settings).memory_meter(shared));
    let mut peer = world.connect();
    let filter = |letter: &str| {
        let vals: Vec<String> = (0..40)
            .map(|number| letter.repeat(60) + &number.to_string())
            .collect();
        json!({ "key": "kind", "cmp": "in", "vals": vals })
    };
    let subscribe = |channel: &str| json!({ "channel": channel, "tf": filter("x") });
    for channel in ["tagged:a", "tagged:b"] {
        let reply = peer.call("subscribe", subscribe(channel));
        assert!(reply["subscribe"].is_object(), "{reply}");
    }
    let held = meter.bytes();
    assert!((5_000..10_000).contains(&held), "{held}");
    assert_eq!(peer.error("subscribe", subscribe("tagged:c")), 106);
    assert_eq!(meter.bytes(), held);
    peer.call("unsubscribe", json!({ "channel": "tagged:a" }));
    let reply = peer.call("subscribe", subscribe("tagged:c"));
    assert!(reply["subscribe"].is_object(), "{reply}");
    assert_eq!(meter.bytes(), held);
    meter.is_exhausted.store(true, Ordering::Relaxed);
    let mut other = world.connect();
    assert_eq!(other.error("subscribe", subscribe("tagged:a")), 100);
    for peer in [peer, other] {
        peer.client.close();
    }
    assert_eq!(meter.bytes(), 0);
}
