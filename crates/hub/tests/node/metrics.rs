//! What a node counts, and when.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use serde_json::json;
use sockeye_hub::{
    Disconnect, ErrorCode, NodeSettings, Publishing, UserFilter,
    metrics::{CodeCount, DurationHistogram, FrameMetrics, NodeMetrics},
};

use crate::world::World;

fn count(codes: &[CodeCount], code: u32) -> u64 {
    let found = codes.iter().find(|count| count.code == Some(code));
    found.map_or(0, |count| count.count)
}

/// Returns messages and bytes of one kind.
fn frames(frames: &[FrameMetrics], kind: &str) -> (u64, u64) {
    let found = frames.iter().find(|frames| frames.kind == kind);
    found.map_or((0, 0), |frames| {
        assert_eq!(frames.transport, "list");
        (frames.messages, frames.bytes)
    })
}

fn durations<'a>(metrics: &'a NodeMetrics, method: &str) -> &'a DurationHistogram {
    let commands = metrics.commands.iter();
    let mut found = commands.filter(|command| command.method == method);
    &found.next().expect("every command is listed").durations
}

/// Returns accepted and present connections of clients with a name.
fn connections(metrics: &NodeMetrics, name: &str) -> (u64, u64) {
    let counts = metrics.connections.iter();
    let mut found = counts.filter(|count| count.client_name == name);
    found
        .next()
        .map_or((0, 0), |count| (count.accepted, count.inflight))
}

#[tokio::test(start_paused = true)]
async fn connections_and_subscriptions_count_by_the_clients_registered_name() {
    let world = World::new();
    let mut peers = Vec::new();
    for name in ["js", "js", "made up", ""] {
        let mut peer = world.open();
        peer.call("connect", json!({ "name": name }));
        peer.subscribe("news");
        peers.push(peer);
    }
    // It has not connected.
    let _silent = world.open();
    let metrics = world.node.metrics();
    assert_eq!(connections(&metrics, "js"), (2, 2));
    assert_eq!(connections(&metrics, "unregistered"), (1, 1));
    assert_eq!(connections(&metrics, "unnamed"), (1, 1));
    assert_eq!(metrics.connections.len(), 3, "no name is a label by itself");
    assert_eq!((metrics.num_clients, metrics.num_channels), (4, 1));
    peers[0].call("unsubscribe", json!({ "channel": "news" }));
    peers[1].client.close();
    peers[1].client.close();
    let metrics = world.node.metrics();
    assert_eq!(connections(&metrics, "js"), (2, 1));
    let js = metrics.subscriptions.iter();
    let js: Vec<_> = js.filter(|count| count.client_name == "js").collect();
    assert_eq!((js[0].accepted, js[0].inflight), (2, 0));
    for peer in &peers {
        peer.client.close();
    }
    let metrics = world.node.metrics();
    assert!(metrics.connections.iter().all(|count| count.inflight == 0));
    assert!(
        metrics
            .subscriptions
            .iter()
            .all(|count| count.inflight == 0)
    );
    assert_eq!((metrics.num_clients, metrics.num_channels), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn frames_count_once_for_each_client_with_their_bytes() {
    let world = World::new();
    let mut readers = [world.connect(), world.connect(), world.connect()];
    for reader in &mut readers {
        reader.subscribe("plain:news");
    }
    let before = world.node.metrics();
    assert_eq!(frames(&before.received, "connect").0, 3);
    assert_eq!(frames(&before.sent, "subscribe").0, 3);
    let command = r#"{"id":9,"publish":{"channel":"plain:news","data":1}}"#;
    readers[1].frames();
    readers[0].send_raw(command);
    let pushes = readers[1].frames();
    let [push] = &pushes[..] else {
        panic!("{pushes:?}")
    };
    let push = push.len() as u64;
    let metrics = world.node.metrics();
    let size = command.len() as u64;
    assert_eq!(frames(&metrics.received, "publish"), (1, size));
    let reply = r#"{"id":9,"publish":{}}"#.len() as u64;
    assert_eq!(frames(&metrics.sent, "publish"), (1, reply));
    assert_eq!(frames(&metrics.sent, "push_publication"), (3, 3 * push));
    let items = |items: &[sockeye_hub::metrics::ItemMetrics]| {
        items.iter().map(|item| item.count).collect::<Vec<_>>()
    };
    assert_eq!(items(&metrics.to_broker), [1, 0, 0]);
    assert_eq!(items(&metrics.from_broker), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn joins_and_leaves_count() {
    let world = World::new();
    let mut watcher = world.connect();
    watcher.subscribe("watched:room");
    let mut guest = world.connect();
    guest.subscribe("watched:room");
    guest.client.close();
    let metrics = world.node.metrics();
    // The watcher's own join, the guest's to both, and the guest's leave to the watcher.
    assert_eq!(frames(&metrics.sent, "push_join").0, 3);
    assert_eq!(frames(&metrics.sent, "push_leave").0, 1);
    assert_eq!(metrics.to_broker[1].count, 2);
    assert_eq!(metrics.from_broker[2].count, 1);
}

#[tokio::test(start_paused = true)]
async fn commands_count_by_how_long_they_take() {
    let world = World::with(|builder| {
        builder.on_rpc(|event| async move {
            match &*event.method {
                "fail" => Err(ErrorCode::UnknownChannel.into()),
                _ => {
                    tokio::task::yield_now().await;
                    Ok(Bytes::from_static(b"1"))
                }
            }
        })
    });
    let mut peer = world.connect();
    peer.send("rpc", json!({ "method": "wait" }));
    world.clock.advance(Duration::from_millis(700));
    world.rest().await;
    assert_eq!(peer.error("rpc", json!({ "method": "fail" })), 102);
    let metrics = world.node.metrics();
    let rpc = durations(&metrics, "rpc");
    assert_eq!((rpc.count, rpc.sum), (2, Duration::from_millis(700)));
    let below = |bound| {
        let mut buckets = rpc.buckets.iter();
        buckets
            .find(|(upper, _)| *upper == Duration::from_millis(bound))
            .map(|(_, count)| *count)
    };
    assert_eq!((below(500), below(1000)), (Some(1), Some(2)));
    assert_eq!(durations(&metrics, "connect").count, 1);
    assert_eq!(durations(&metrics, "publish").count, 0);
    let errors = &metrics.reply_errors;
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (errors[0].method, errors[0].code, errors[0].count),
        ("rpc", Some(102), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn recoveries_count_by_their_outcome() {
    let world = World::new();
    let mut peer = world.connect();
    for number in 0..12 {
        peer.call("publish", json!({ "channel": "news", "data": number }));
    }
    let epoch = peer.subscribe("news")["epoch"].clone();
    let mut recover = |offset: u64| {
        peer.call("unsubscribe", json!({ "channel": "news" }));
        let request =
            json!({ "channel": "news", "recover": true, "offset": offset, "epoch": epoch });
        let reply = peer.call("subscribe", request);
        reply["subscribe"]["recovered"] == json!(true)
    };
    // The history has the last ten.
    assert!(recover(8) && recover(12) && recover(12) && !recover(1));
    let metrics = world.node.metrics();
    let outcomes = metrics.recoveries.iter();
    let outcomes: Vec<_> = outcomes
        .map(|count| (count.is_recovered, count.has_publications, count.count))
        .collect();
    assert_eq!(
        outcomes,
        [(false, false, 1), (true, false, 2), (true, true, 1)]
    );
    let info = world.node.info();
    assert_eq!((info.recovered, info.unrecovered), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn endings_count_by_their_code_once_each() {
    let world = World::new();
    let slow = world.connect();
    slow.inbox.is_full.store(true, Ordering::Relaxed);
    // It can't be told, so it is ended.
    slow.send_raw(r#"{"id":7,"presence":{"channel":"news"}}"#);
    assert_eq!(slow.code(), Some(3008));
    slow.client.close();
    let bad = world.connect();
    bad.send_raw("what?");
    // The transport has ended it by itself.
    let cut = world.connect();
    cut.client.close_ended(&Disconnect::SLOW);
    cut.client.close();
    // The client has gone by itself.
    world.connect().client.close();
    let _banned = world.connect_as("ann");
    let banned = Disconnect::new(4500, "banned").unwrap();
    let everywhere = UserFilter::default();
    world.node.disconnect("ann", &everywhere, &banned);
    let metrics = world.node.metrics();
    assert_eq!(count(&metrics.disconnects, 3008), 2);
    assert_eq!(count(&metrics.disconnects, 3501), 1);
    let others = metrics.disconnects.iter();
    let others: Vec<_> = others.filter(|count| count.code.is_none()).collect();
    assert_eq!(others[0].count, 1);
    let all: u64 = metrics.disconnects.iter().map(|count| count.count).sum();
    assert_eq!(all, 4);
}

#[tokio::test(start_paused = true)]
async fn subscriptions_that_the_server_ends_count_by_their_code() {
    let world = World::new();
    let mut peer = world.connect_as("ann");
    peer.subscribe("news");
    peer.subscribe("plain:a");
    peer.call("unsubscribe", json!({ "channel": "plain:a" }));
    let everywhere = UserFilter::default();
    world.node.unsubscribe("ann", "news", &everywhere).unwrap();
    let metrics = world.node.metrics();
    assert_eq!(count(&metrics.unsubscribes, 2000), 1);
    assert_eq!(metrics.unsubscribes.len(), 1);
    assert_eq!(frames(&metrics.sent, "push_unsubscribe").0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_ping_counts_with_its_pong() {
    let world = World::new();
    let peer = world.connect();
    peer.take();
    world.pass(Duration::from_secs(25)).await;
    assert_eq!(peer.take(), [json!({})]);
    world.clock.advance(Duration::from_millis(30));
    peer.send_raw("{}");
    let metrics = world.node.metrics();
    let pings = &metrics.pings[0];
    assert_eq!((pings.transport, pings.durations.count), ("list", 1));
    assert_eq!(pings.durations.sum, Duration::from_millis(30));
    assert_eq!(frames(&metrics.sent, "server_ping"), (1, 2));
    assert_eq!(frames(&metrics.received, "client_pong"), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn publications_count_with_the_time_to_their_delivery() {
    let world = World::new();
    let mut peer = world.connect();
    peer.subscribe("news");
    for _ in 0..3 {
        world
            .node
            .publish("news", "1", Publishing::default())
            .await
            .unwrap();
    }
    let metrics = world.node.metrics();
    for histogram in [&metrics.lag, &metrics.broadcast, &metrics.delivery] {
        // The clock stands still.
        assert_eq!((histogram.count, histogram.sum), (3, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn the_names_that_are_told_apart_are_a_setting() {
    let world = World::with(|builder| {
        let mut settings = NodeSettings::default();
        settings.insecure = true;
        settings.registered_client_names = vec!["board".to_owned()];
        builder.settings(settings)
    });
    for name in ["board", "js"] {
        let mut peer = world.open();
        peer.call("connect", json!({ "name": name }));
    }
    let metrics = world.node.metrics();
    assert_eq!(connections(&metrics, "board"), (1, 1));
    assert_eq!(connections(&metrics, "js"), (0, 0));
    assert_eq!(connections(&metrics, "unregistered"), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sums_can_be_asked_for_while_clients_talk() {
    let world = World::new();
    let talking: Vec<_> = (0..4)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move {
                let mut peer = world.connect();
                // A channel without subscribers is not delivered.
                peer.subscribe("plain:a");
                for number in 0..500 {
                    peer.call("publish", json!({ "channel": "plain:a", "data": number }));
                }
            })
        })
        .collect();
    let node = Arc::new(world.node.clone());
    let mut last = 0;
    while !talking.iter().all(tokio::task::JoinHandle::is_finished) {
        let now = node.metrics().delivery.count;
        assert!(now >= last, "counts never go back");
        last = now;
        tokio::task::yield_now().await;
    }
    for task in talking {
        task.await.unwrap();
    }
    let metrics = world.node.metrics();
    assert_eq!(metrics.delivery.count, 2000);
    assert_eq!(frames(&metrics.received, "publish").0, 2000);
    assert_eq!(durations(&metrics, "publish").count, 2000);
}
