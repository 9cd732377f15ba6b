//! What others got wrong, where it has no place beside tests of the same thing.

use std::{
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use sockeye_hub::{Credentials, Disconnect, Node, OtherConnections, Publishing, UserFilter};

use crate::world::{Peer, World, token};

async fn publish(world: &World, data: &str) {
    let published = world
        .node
        .publish("news", data.to_owned(), Publishing::default());
    published.await.unwrap();
}

/// HUB 4, scenario 5.
#[tokio::test(start_paused = true)]
async fn what_is_published_between_the_end_of_a_subscription_and_the_next_is_seen_once() {
    let world = World::new();
    let mut peer = world.connect_as("ann");
    let epoch = peer.subscribe("news")["epoch"].clone();
    publish(&world, "1").await;
    let all = UserFilter::default();
    world.node.unsubscribe("ann", "news", &all).unwrap();
    publish(&world, "2").await;
    let request = json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": 1 });
    let id = peer.send("subscribe", request);
    publish(&world, "3").await;
    let frames = peer.take();
    assert_eq!(frames[0]["push"]["pub"]["offset"], json!(1));
    assert!(frames[1]["push"]["unsubscribe"].is_object());
    let subscribed = &frames[2]["subscribe"];
    assert_eq!(
        (&frames[2]["id"], &subscribed["offset"]),
        (&json!(id), &json!(1))
    );
    assert_eq!(subscribed["publications"].as_array().unwrap().len(), 1);
    assert_eq!(subscribed["publications"][0]["offset"], json!(2));
    assert_eq!(frames[3]["push"]["pub"]["offset"], json!(3));
    assert_eq!(frames.len(), 4);
}

/// HUB 4, scenario 6.
#[tokio::test(start_paused = true)]
async fn the_sentinel_epoch_recovers_nothing_of_a_server_side_subscription_either() {
    let world = World::new();
    publish(&world, "1").await;
    let claims = json!({ "sub": "ann", "channels": ["news"] });
    let mut peer = world.open();
    let subs = json!({ "news": { "recover": true, "epoch": "_", "offset": 0 } });
    let reply = peer.call("connect", json!({ "token": token(&claims), "subs": subs }));
    let news = &reply["connect"]["subs"]["news"];
    assert_eq!(news["was_recovering"], json!(true));
    assert!(news["recovered"].is_null() && news["publications"].is_null());
    assert_eq!(news["offset"], json!(1));
}

/// HUB 4, scenario 11.
#[tokio::test(start_paused = true)]
async fn a_client_recovers_after_days_and_is_told_the_truth_after_a_restart() {
    const DAY: Duration = Duration::from_secs(86_400);
    let world = World::new();
    let mut peer = world.connect();
    let epoch = peer.subscribe("news")["epoch"].clone();
    publish(&world, "1").await;
    peer.client.close();
    world.pass(29 * DAY).await;
    let request = |offset: u64| json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": offset });
    // The publication has expired: who has it is up to date, and who doesn't is told.
    for (offset, is_recovered) in [(1, true), (0, false)] {
        let mut peer = world.connect();
        let reply = peer.call("subscribe", request(offset));
        assert_eq!(reply["subscribe"]["recovered"] == json!(true), is_recovered);
        assert_eq!(reply["subscribe"]["epoch"], epoch);
        peer.client.close();
    }
    // Another process, whose broker has no disk.
    let mut peer = World::new().connect();
    let reply = peer.call("subscribe", request(1));
    assert_eq!(reply["subscribe"]["was_recovering"], json!(true));
    assert!(reply["subscribe"]["recovered"].is_null());
    assert_ne!(reply["subscribe"]["epoch"], epoch);
}

/// HUB 4, scenario 13.
#[tokio::test(flavor = "multi_thread")]
async fn recoveries_and_publications_at_once_wait_for_nobody_and_miss_nothing() {
    const PUBLICATIONS: u64 = 400;
    let world = World::new();
    let publisher = {
        let node = world.node.clone();
        tokio::spawn(async move {
            for number in 1..=PUBLICATIONS {
                let data = number.to_string();
                let published = node.publish("news", data, Publishing::default());
                published.await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    let subscribers: Vec<_> = (0..4)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move {
                let (mut offset, mut epoch) = (0, Value::Null);
                while offset < PUBLICATIONS {
                    let mut peer = world.connect();
                    let request = json!({ "channel": "news", "recover": true, "offset": offset, "epoch": epoch.as_str().unwrap_or_default() });
                    peer.send("subscribe", request);
                    peer.client.close();
                    for frame in peer.take() {
                        let subscribed = &frame["subscribe"];
                        let given = match frame["push"]["pub"].is_object() {
                            true => vec![frame["push"]["pub"].clone()],
                            false => subscribed["publications"].as_array().cloned().unwrap_or_default(),
                        };
                        if subscribed.is_object() {
                            epoch = subscribed["epoch"].clone();
                            // Ten are kept, and this thread may have waited longer.
                            if subscribed["recovered"].is_null() {
                                offset = subscribed["offset"].as_u64().unwrap_or_default();
                            }
                        }
                        for publication in given {
                            let next = publication["offset"].as_u64().unwrap();
                            assert_eq!(next, offset + 1);
                            offset = next;
                        }
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    // Only a failure takes so long.
    let all = async {
        publisher.await.unwrap();
        for subscriber in subscribers {
            subscriber.await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .unwrap();
    assert_eq!(world.node.info().num_subs, 0);
}

/// HUB 4, scenario 15.
#[tokio::test(start_paused = true)]
async fn the_expiry_of_an_old_subscription_does_not_touch_its_successor() {
    let world = World::new();
    let mut peer = world.connect_as("ann");
    let now = crate::world::START;
    let subscribe = |expire_at: Option<u64>| {
        let mut claims = json!({ "sub": "ann", "channel": "$room" });
        if let Some(expire_at) = expire_at {
            claims["exp"] = json!(expire_at);
        }
        json!({ "channel": "$room", "token": token(&claims) })
    };
    let reply = peer.call("subscribe", subscribe(Some(now + 5)));
    assert_eq!(reply["subscribe"]["expires"], json!(true));
    peer.call("unsubscribe", json!({ "channel": "$room" }));
    let reply = peer.call("subscribe", subscribe(None));
    assert!(reply["subscribe"]["expires"].is_null());
    world.pass(Duration::from_secs(24)).await;
    peer.send_raw("{}");
    world.pass(Duration::from_secs(16)).await;
    let pushes = peer.pushes();
    assert!(
        pushes.iter().all(|push| push["unsubscribe"].is_null()),
        "{pushes:?}"
    );
    assert_eq!(world.node.info().num_subs, 1);
}

/// HUB 4, scenario 17.
#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_client_that_come_at_once_leave_no_ghost() {
    let world = World::new();
    let mut peer = world.connect();
    let posts: Vec<_> = (0..4)
        .map(|post| {
            let client = Arc::clone(&peer.client);
            tokio::task::spawn_blocking(move || {
                for number in 0..200 {
                    let id = 1_000 * (post + 1) + number;
                    let kind = ["subscribe", "unsubscribe"][number % 2];
                    let command = json!({ "id": id, kind: { "channel": "news" } });
                    client.handle_frame(command.to_string().into());
                }
            })
        })
        .collect();
    for post in posts {
        // Only a failure takes so long.
        tokio::time::timeout(Duration::from_secs(60), post)
            .await
            .unwrap()
            .unwrap();
    }
    let replies = peer.take();
    let answered = replies.iter().filter(|reply| reply["id"].is_u64());
    assert_eq!(answered.count(), 800);
    assert_eq!(peer.code(), None);
    peer.call("unsubscribe", json!({ "channel": "news" }));
    assert_eq!(world.node.info().num_subs, 0);
    peer.subscribe("news");
    assert_eq!(world.node.info().num_subs, 1);
    peer.client.close();
    assert_eq!(world.node.info().num_channels, 0);
}

/// HUB 4, scenario 18.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_close_the_users_others_from_within_connect_wait_for_nobody() {
    let node: Arc<OnceLock<Node>> = Arc::default();
    let world = {
        let node = Arc::clone(&node);
        World::with(|builder| {
            builder.on_connect(move |event| {
                let node = node.get().cloned();
                async move {
                    let others = UserFilter {
                        except: vec![event.client.to_string()],
                        ..UserFilter::default()
                    };
                    if let Some(node) = node {
                        node.disconnect("ann", &others, &Disconnect::FORCE_DISCONNECT);
                    }
                    Ok(Some(Credentials {
                        user: "ann".to_owned(),
                        ..Credentials::default()
                    }))
                }
            })
        })
    };
    node.set(world.node.clone()).unwrap();
    for _ in 0..50 {
        let first = world.connect();
        let second = world.connect();
        assert_eq!(first.code(), Some(3503));
        assert_eq!(second.code(), None);
        first.client.close();
        // Two threads at once end what came before them, and neither waits for the other.
        let both = [(); 2].map(|()| {
            let world = world.clone();
            tokio::task::spawn_blocking(move || {
                let mut peer = world.open();
                peer.send("connect", json!({}));
                peer
            })
        });
        let mut peers = Vec::new();
        for peer in both {
            peers.push(
                tokio::time::timeout(Duration::from_secs(60), peer)
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        assert_eq!(second.code(), Some(3503));
        second.client.close();
        let mut last = world.connect();
        assert!(peers.iter().all(|peer| peer.code() == Some(3503)));
        for peer in &peers {
            peer.client.close();
        }
        assert_eq!(world.node.info().num_clients, 1);
        last.subscribe("news");
        last.client.close();
        assert_eq!(world.node.info().num_clients, 0);
    }
}

/// HUB 4, scenario 18: of two that come at once exactly one stays. The handlers of both are under way at the same time, and
/// are ready in each order; then two threads do it as they like.
#[tokio::test(start_paused = true)]
async fn of_connections_that_end_the_users_others_from_within_connect_exactly_one_stays() {
    for seed in 0..300_u64 {
        let world = World::with(|builder| {
            let mut drawn = seed;
            let waits = [(); 4].map(|()| {
                drawn = drawn
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                Duration::from_millis(drawn >> 62)
            });
            let calls = AtomicUsize::new(0);
            builder.on_connect(move |_| {
                let wait = waits[calls.fetch_add(1, Ordering::Relaxed)];
                async move {
                    tokio::time::sleep(wait).await;
                    Ok(Some(alone()))
                }
            })
        });
        let mut peers = [(); 4].map(|()| world.open());
        for peer in &mut peers {
            peer.send("connect", json!({}));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.rest().await;
        one_stays(&world, &peers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_connections_on_several_threads_that_end_the_users_others_exactly_one_stays() {
    let world = World::with(|builder| builder.on_connect(|_| async { Ok(Some(alone())) }));
    for _ in 0..300 {
        let barrier = Arc::new(Barrier::new(4));
        let peers = [(); 4].map(|()| {
            let (world, barrier) = (world.clone(), Arc::clone(&barrier));
            tokio::task::spawn_blocking(move || {
                let mut peer = world.open();
                barrier.wait();
                peer.send("connect", json!({}));
                peer
            })
        });
        let mut connected = Vec::new();
        for peer in peers {
            let peer = tokio::time::timeout(Duration::from_secs(60), peer).await;
            connected.push(peer.expect("nobody waits for another").unwrap());
        }
        one_stays(&world, &connected);
        for peer in &connected {
            peer.client.close();
        }
        assert_eq!(world.node.info().num_clients, 0);
    }
}

/// What a connect handler answers that wants no other connection of its user.
fn alone() -> Credentials {
    Credentials {
        user: "ann".to_owned(),
        others: OtherConnections::End,
        ..Credentials::default()
    }
}

/// All peers but one have been ended, and the one is among the node's clients.
fn one_stays(world: &World, peers: &[Peer]) {
    let codes: Vec<_> = peers.iter().filter_map(Peer::code).collect();
    assert_eq!(codes, vec![3504; peers.len() - 1]);
    assert_eq!(world.node.info().num_clients, 1);
}

/// HUB 4, scenario 29.
#[tokio::test(start_paused = true)]
async fn odd_json_is_passed_on_unharmed_and_never_splits_a_frame() {
    let world = World::new();
    let (publisher, mut peer) = (world.connect(), world.connect());
    peer.subscribe("news");
    for data in [
        "\"\u{2028}\u{2029}\"",
        r#"{"a":1,"a":2}"#,
        "123456789012345678901234567890",
        r#""\ud800""#,
        r#"{"text":"one\ntwo"}"#,
    ] {
        publisher.send_raw(&format!(
            r#"{{"id":7,"publish":{{"channel":"news","data":{data}}}}}"#
        ));
        let frames = peer.frames();
        assert_eq!(frames.len(), 1, "{data}");
        let text = String::from_utf8(frames[0].to_vec()).unwrap();
        assert!(!text.contains('\n') && text.contains(data), "{text}");
    }
    // Line ends between tokens are no part of the value.
    let pretty = Bytes::from_static(b"{\n  \"a\": [1,\r\n2]\n}");
    let published = world.node.publish("news", pretty, Publishing::default());
    published.await.unwrap();
    let frames = peer.frames();
    let text = String::from_utf8(frames[0].to_vec()).unwrap();
    assert!(!text.contains(['\n', '\r']), "{text}");
    assert!(text.contains(r#"{  "a": [1,2]}"#), "{text}");
    assert_eq!(peer.code(), None);
}
