//! Presence of two nodes over one store.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use sockeye_hub::NodeSettings;

use crate::{
    shared_store::{LEASE, SharedStore},
    world::{Peer, World},
};

/// Longer than the store needs to tell the other node.
const A_MOMENT: Duration = Duration::from_millis(200);

async fn world(
    store: &SharedStore,
    name: &str,
) -> (World, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    let (presence, hangs) = store.open(name).await;
    (
        World::with(|builder| builder.channel_presence(presence)),
        hangs,
    )
}

/// Returns the users that a client is told, in order.
fn users(peer: &mut Peer) -> Vec<String> {
    let reply = peer.call("presence", json!({ "channel": "news" }));
    let clients = reply["presence"]["presence"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let mut users: Vec<String> = clients
        .values()
        .map(|info| info["user"].as_str().unwrap().to_owned())
        .collect();
    users.sort();
    users
}

fn stats(peer: &mut Peer) -> Value {
    peer.call("presence_stats", json!({ "channel": "news" }))["presence_stats"].take()
}

/// HUB 4, scenario 22.
#[tokio::test(start_paused = true)]
async fn presence_is_whole_on_both_nodes_and_a_second_tab_is_no_second_user() {
    let store = SharedStore::new();
    let ((one, _), (two, _)) = (world(&store, "one").await, world(&store, "two").await);
    let mut tab = one.connect_as("ann");
    let mut other_tab = two.connect_as("ann");
    let mut bob = two.connect_as("bob");
    for peer in [&mut tab, &mut other_tab, &mut bob] {
        peer.subscribe("news");
    }
    bob.subscribe("other");
    tokio::time::sleep(A_MOMENT).await;
    for peer in [&mut tab, &mut bob] {
        assert_eq!(users(peer), ["ann", "ann", "bob"]);
        assert_eq!(stats(peer), json!({ "num_clients": 3, "num_users": 2 }));
    }
    assert_eq!(one.node.presence("other").unwrap().len(), 1);
    // The user stays while one of its tabs does.
    other_tab.client.close();
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(users(&mut tab), ["ann", "bob"]);
    tab.call("unsubscribe", json!({ "channel": "news" }));
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(users(&mut bob), ["bob"]);
}

/// HUB 4, scenario 22.
#[tokio::test(start_paused = true)]
async fn a_killed_node_leaves_no_ghosts_after_its_lease() {
    let store = SharedStore::new();
    let ((one, _), (two, is_dead)) = (world(&store, "one").await, world(&store, "two").await);
    let (mut ann, mut bob) = (one.connect_as("ann"), two.connect_as("bob"));
    ann.subscribe("news");
    bob.subscribe("news");
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(users(&mut ann), ["ann", "bob"]);
    is_dead.store(true, Ordering::Relaxed);
    store.clock.advance(LEASE / 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        users(&mut ann),
        ["ann", "bob"],
        "a node that is slow is not dead"
    );
    store.clock.advance(LEASE / 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(users(&mut ann), ["ann"]);
}

/// HUB 4, scenario 19.
#[tokio::test(start_paused = true)]
async fn an_entry_never_comes_back_after_its_subscription_has_ended() {
    let store = SharedStore::new();
    let ((one, hangs), (two, _)) = (world(&store, "one").await, world(&store, "two").await);
    let (mut ann, mut bob) = (one.connect_as("ann"), two.connect_as("bob"));
    bob.subscribe("news");
    ann.subscribe("news");
    // The entry is on its way to the store, which is slow, when the subscription ends.
    hangs.store(true, Ordering::Relaxed);
    tokio::time::sleep(A_MOMENT).await;
    ann.call("unsubscribe", json!({ "channel": "news" }));
    hangs.store(false, Ordering::Relaxed);
    for _ in 0..20 {
        store.clock.advance(LEASE / 10);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(users(&mut bob), ["bob"]);
    }
    assert_eq!(store.len(), 1);
    // A subscription that fails was never there.
    assert_eq!(
        ann.error("subscribe", json!({ "channel": "closed:a" })),
        103
    );
    assert_eq!(store.len(), 1);
}

/// HUB 4, scenario 21.
#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_delays_no_ping_and_no_close() {
    let store = SharedStore::new();
    let (presence, hangs) = store.open("one").await;
    let (sender, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    let world = World::with(|builder| {
        builder
            .settings(settings)
            .channel_presence(presence)
            .on_disconnect(move |event| sender.send(event.client.user).unwrap())
    });
    hangs.store(true, Ordering::Relaxed);
    tokio::time::sleep(A_MOMENT).await;
    let (mut ann, mut bob) = (world.connect_as("ann"), world.connect_as("bob"));
    ann.subscribe("news");
    bob.subscribe("news");
    assert_eq!(users(&mut bob), ["ann", "bob"]);
    ann.client.close();
    assert_eq!(&*gone.try_recv().unwrap(), "ann");
    assert_eq!(users(&mut bob), ["bob"]);
    world.pass(Duration::from_secs(25)).await;
    let frames = bob.take();
    assert!(frames.contains(&json!({})), "a ping came: {frames:?}");
    bob.send_raw("{}");
    assert_eq!(bob.code(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_changes_what_others_know_and_leaves_one_entry() {
    let store = SharedStore::new();
    let ((one, _), (two, _)) = (world(&store, "one").await, world(&store, "two").await);
    let mut ann = one.connect_as("ann");
    ann.subscribe("news");
    let claims = json!({ "sub": "ann", "info": { "name": "Ann" } });
    ann.call("refresh", json!({ "token": crate::world::token(&claims) }));
    tokio::time::sleep(A_MOMENT).await;
    for node in [&one.node, &two.node] {
        let clients = node.presence("news").unwrap();
        assert_eq!(clients.len(), 1);
        assert_eq!(&clients[0].conn_info[..], br#"{"name":"Ann"}"#);
    }
}
