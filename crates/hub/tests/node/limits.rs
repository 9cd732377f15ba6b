//! What clients make a node hold, and how much of it they may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use sockeye_hub::{MemoryMeter, NodeSettings, Publishing, namespace::DeltaType};

use crate::{
    scripted_broker::{Script, ScriptedBroker},
    world::{World, namespaces_with, open_options},
};

#[derive(Default)]
pub(crate) struct Meter {
    bytes: AtomicUsize,
    pub(crate) is_exhausted: AtomicBool,
    /// The most bytes that were asked for by [`MemoryMeter::reclaim`].
    pub(crate) reclaimed: AtomicUsize,
}

pub(crate) struct SharedMeter(pub(crate) Arc<Meter>);

impl MemoryMeter for SharedMeter {
    fn charge(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn reclaim(&self, bytes: usize) {
        self.0.reclaimed.fetch_max(bytes, Ordering::Relaxed);
    }

    fn release(&self, bytes: usize) {
        let before = self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "more is given back than was held");
    }

    fn is_exhausted(&self) -> bool {
        self.0.is_exhausted.load(Ordering::Relaxed)
    }
}

impl Meter {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A world whose procedure calls take a second, and its meter.
fn slow_world(limit: impl FnOnce(&mut NodeSettings)) -> (World, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    limit(&mut settings);
    let shared = SharedMeter(Arc::clone(&meter));
    let world = World::with(|builder| {
        builder
            .settings(settings)
            .memory_meter(shared)
            .on_rpc(|event| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(event.data)
            })
    });
    (world, meter)
}

#[tokio::test(start_paused = true)]
async fn commands_that_wait_are_counted_in_bytes_and_too_many_end_the_client() {
    let (world, meter) = slow_world(|settings| {
        settings.concurrency = 1;
        settings.command_bytes_waiting_max = 20_000;
    });
    let mut peer = world.connect();
    let large = "x".repeat(5_000);
    for _ in 0..4 {
        peer.send("rpc", json!({ "data": large }));
    }
    // One is under way, three wait.
    assert!(meter.bytes() >= 20_000, "{}", meter.bytes());
    assert_eq!(peer.code(), None);
    peer.send("rpc", json!({ "data": large }));
    assert_eq!(peer.code(), Some(3013));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(meter.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn commands_that_have_waited_are_carried_out_and_count_no_longer() {
    let (world, meter) = slow_world(|settings| settings.concurrency = 1);
    let mut peer = world.connect();
    let ids: Vec<u32> = (0..5)
        .map(|_| peer.send("rpc", json!({ "data": 1 })))
        .collect();
    assert!(meter.bytes() > 0);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let replies = peer.take().into_iter();
    let replied: Vec<_> = replies.map(|reply| reply["id"].clone()).collect();
    assert_eq!(
        replied,
        ids.into_iter().map(|id| json!(id)).collect::<Vec<_>>()
    );
    assert_eq!(meter.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_memory_a_command_that_would_wait_ends_its_client_and_no_other() {
    let (world, meter) = slow_world(|settings| settings.concurrency = 1);
    let (mut peer, mut other) = (world.connect(), world.connect());
    meter.is_exhausted.store(true, Ordering::Relaxed);
    peer.send("rpc", json!({ "data": 1 }));
    peer.send("rpc", json!({ "data": 2 }));
    assert_eq!(peer.code(), Some(3013));
    other.subscribe("news");
    assert_eq!(other.code(), None);
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_of_the_application_run_at_once() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    settings.handlers_max = 3;
    let world = World::with(|builder| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        builder.settings(settings).on_rpc(move |event| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                let now = running.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(now, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok(event.data)
            }
        })
    });
    let mut peers: Vec<_> = (0..10).map(|_| world.connect()).collect();
    for peer in &mut peers {
        peer.send("rpc", json!({ "data": 1 }));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(most.load(Ordering::Relaxed), 3);
    assert!(peers.iter().all(|peer| peer.take()[0]["rpc"].is_object()));
}

/// Publishes `count` publications of 1,000 bytes.
async fn publish_large(world: &World, channel: &str, count: usize) {
    for _ in 0..count {
        let data = json!("x".repeat(1_000)).to_string();
        let published = world.node.publish(channel, data, Publishing::default());
        published.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_slow_readers_counts_once_for_all_and_without_memory_the_newest_waits() {
    let meter = Arc::new(Meter::default());
    let shared = SharedMeter(Arc::clone(&meter));
    let world = World::with(|builder| builder.memory_meter(shared));
    let peers = [(); 10].map(|()| {
        let mut peer = world.connect();
        peer.subscribe("oldest:price");
        peer
    });
    let set_crowded = |is_crowded| {
        for peer in &peers {
            peer.inbox.is_crowded.store(is_crowded, Ordering::Relaxed);
        }
    };
    set_crowded(true);
    publish_large(&world, "oldest:price", 3).await;
    assert!((3_000..6_000).contains(&meter.bytes()), "{}", meter.bytes());
    meter.is_exhausted.store(true, Ordering::Relaxed);
    publish_large(&world, "oldest:price", 1).await;
    assert!((1_000..2_000).contains(&meter.bytes()), "{}", meter.bytes());
    set_crowded(false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.rest().await;
    assert_eq!(meter.bytes(), 0);
    for peer in &peers {
        assert_eq!((peer.publications().len(), peer.code()), (1, None));
    }
    // What waits for one that leaves counts no longer.
    set_crowded(true);
    publish_large(&world, "oldest:price", 1).await;
    assert!(meter.bytes() > 1_000);
    for peer in &peers {
        peer.client.close();
    }
    assert_eq!(meter.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_publication_that_others_differ_from_counts_while_somebody_needs_it() {
    let meter = Arc::new(Meter::default());
    let shared = SharedMeter(Arc::clone(&meter));
    let mut options = open_options();
    options.allowed_delta_types = vec![DeltaType::Fossil];
    let world = World::begin(namespaces_with(options), |builder| {
        builder.memory_meter(shared)
    });
    let mut peer = world.connect();
    publish_large(&world, "news", 1).await;
    assert_eq!(meter.bytes(), 0);
    peer.call("subscribe", json!({ "channel": "news", "delta": "fossil" }));
    publish_large(&world, "news", 2).await;
    assert!((1_000..2_000).contains(&meter.bytes()), "{}", meter.bytes());
    meter.is_exhausted.store(true, Ordering::Relaxed);
    publish_large(&world, "news", 2).await;
    assert_eq!(meter.bytes(), 0);
    meter.is_exhausted.store(false, Ordering::Relaxed);
    publish_large(&world, "news", 1).await;
    assert!(meter.bytes() > 1_000);
    let pushes = peer.pushes();
    let differences = pushes
        .iter()
        .map(|push| push["pub"]["delta"] == json!(true));
    // The third is still one from the second. After it there is none to differ from.
    assert_eq!(
        differences.collect::<Vec<_>>(),
        [false, true, true, false, false]
    );
    peer.client.close();
    assert_eq!(meter.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn publications_that_wait_for_a_history_count_and_a_program_without_memory_drops_them() {
    for is_exhausted in [false, true] {
        let script = Script::new();
        let meter = Arc::new(Meter::default());
        let broker = ScriptedBroker(Arc::clone(&script));
        let shared = SharedMeter(Arc::clone(&meter));
        let world = World::with(|builder| builder.broker(broker).memory_meter(shared));
        let mut first = world.connect();
        first.subscribe("news");
        script.delay(Duration::from_secs(1));
        let mut peer = world.connect();
        peer.send("subscribe", json!({ "channel": "news" }));
        world.rest().await;
        let publish = || async {
            let data = json!("x".repeat(1_000)).to_string();
            let published = world.node.publish("news", data, Publishing::default());
            published.await.unwrap();
        };
        publish().await;
        assert!(meter.bytes() >= 1_000);
        meter.is_exhausted.store(is_exhausted, Ordering::Relaxed);
        publish().await;
        assert_eq!(meter.bytes() >= 2_000, !is_exhausted);
        meter.is_exhausted.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(meter.bytes(), 0);
        let frames = peer.take();
        let ends = frames
            .iter()
            .filter(|frame| frame["push"]["unsubscribe"]["code"] == json!(2500));
        assert_eq!(ends.count(), usize::from(is_exhausted), "{frames:?}");
    }
}
