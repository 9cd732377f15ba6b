//! Delta compression, as a client sees it.

use serde_json::{Value, json};
use sockeye_hub::{Publishing, namespace::DeltaType};

use crate::world::{Peer, World, namespaces_with, open_options};

fn world() -> World {
    let mut options = open_options();
    options.allowed_delta_types = vec![DeltaType::Fossil];
    options.allow_tags_filter = true;
    World::in_namespaces(namespaces_with(options))
}

async fn publish(world: &World, number: u64) {
    let data = json!({ "text": "a line that stays the same", "number": number }).to_string();
    let published = world.node.publish("news", data, Publishing::default());
    published.await.unwrap();
}

/// Returns whether each publication is a difference. All are strings.
fn deltas<'a>(publications: impl IntoIterator<Item = &'a Value>) -> Vec<bool> {
    let publications = publications.into_iter();
    publications
        .map(|publication| {
            assert!(publication["data"].is_string(), "{publication}");
            publication["delta"] == true
        })
        .collect()
}

fn live(peer: &Peer) -> Vec<Value> {
    let pushes = peer.pushes();
    pushes.iter().map(|push| push["pub"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_asks_gets_the_first_whole_and_then_differences_also_after_a_recovery() {
    let world = world();
    let (mut peer, mut plain) = (world.connect(), world.connect());
    plain.subscribe("news");
    let request = json!({ "channel": "news", "delta": "fossil" });
    let subscribed = peer.call("subscribe", request)["subscribe"].take();
    assert_eq!(subscribed["delta"], true);
    assert_eq!(subscribed["positioned"], true);
    for number in 1..=3 {
        publish(&world, number).await;
    }
    let publications = live(&peer);
    assert_eq!(deltas(&publications), [false, true, true]);
    let whole = publications[0]["data"].as_str().unwrap();
    let delta = publications[1]["data"].as_str().unwrap();
    assert!(delta.len() < whole.len(), "{delta}");
    assert!(
        live(&plain)
            .iter()
            .all(|publication| publication["data"].is_object())
    );

    peer.client.close();
    for number in 4..=5 {
        publish(&world, number).await;
    }
    let mut peer = world.connect();
    let recovered = peer.call(
        "subscribe",
        json!({
            "channel": "news", "delta": "fossil", "recover": true, "epoch": subscribed["epoch"], "offset": 3,
        }),
    );
    let recovered = &recovered["subscribe"];
    assert_eq!(recovered["recovered"], true);
    assert_eq!(
        deltas(recovered["publications"].as_array().unwrap()),
        [false, true]
    );
    for number in 6..=7 {
        publish(&world, number).await;
    }
    assert_eq!(deltas(&live(&peer)), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_leaves_out_what_a_difference_would_need() {
    let world = world();
    let mut peer = world.connect();
    let filter = json!({ "key": "kind", "cmp": "nex" });
    let request = json!({ "channel": "news", "delta": "fossil", "tf": filter });
    assert_eq!(
        peer.call("subscribe", request)["subscribe"]["delta"],
        Value::Null
    );
    publish(&world, 1).await;
    assert!(live(&peer)[0]["data"].is_object());
}

#[tokio::test(start_paused = true)]
async fn no_differences_without_the_right_and_no_other_kinds() {
    let world = World::new();
    let mut peer = world.connect();
    let request = json!({ "channel": "news", "delta": "fossil" });
    assert_eq!(
        peer.call("subscribe", request)["subscribe"]["delta"],
        Value::Null
    );
    publish(&world, 1).await;
    assert!(live(&peer)[0]["data"].is_object());
    peer.send(
        "subscribe",
        json!({ "channel": "other", "delta": "xdelta" }),
    );
    assert_eq!(peer.code(), Some(3501));
}
