//! Several nodes on one Redis.

use std::sync::Arc;
use std::time::Duration;

use sockeye_checks::Redis;
use sockeye_hub::SystemClock;
use sockeye_hub::presence::{self, Change, Changes, Limits, Presence, Update};

use crate::patience::{next, soon};

async fn node(redis: &Redis) -> Presence {
    let limits = Limits::default();
    let store = presence::Redis::new(&redis.url(), Duration::from_secs(4), &limits).unwrap();
    let opened = Presence::open(limits, Arc::new(SystemClock), store).await;
    opened.unwrap()
}

async fn expect_next(changes: &mut Changes, expected: &str) {
    let found = match next(changes).await {
        Update::Change(Change::Online { client, .. }) => format!("{client} online"),
        Update::Change(Change::Offline { client, .. }) => format!("{client} offline"),
        Update::Missed(count) => format!("missed {count}"),
    };
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_devices_on_two_nodes_goes_offline_once_with_the_last() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (node(&redis).await, node(&redis).await);
    let (mut at_one, mut at_two) = (one.subscribe(), two.subscribe());
    let laptop = one.join("ann", "laptop");
    expect_next(&mut at_one, "ann online").await;
    expect_next(&mut at_two, "ann online").await;
    let phone = two.join("ann", "phone");
    soon("both devices on both nodes", || {
        [&one, &two]
            .iter()
            .all(|node| node.devices("ann").len() == 2)
    })
    .await;
    drop(laptop);
    soon("one device on both nodes", || {
        [&one, &two]
            .iter()
            .all(|node| node.devices("ann").len() == 1)
    })
    .await;
    drop(phone);
    // The next change on each node: the end of the laptop was none.
    expect_next(&mut at_one, "ann offline").await;
    expect_next(&mut at_two, "ann offline").await;
    // Other nodes use the time of the message, which is sent some milliseconds later.
    let [one_saw, two_saw] = [&one, &two].map(|node| node.last_seen("ann").unwrap().0);
    assert!(one_saw.abs_diff(two_saw) < 10_000, "{one_saw} {two_saw}");
    one.close().await;
    two.close().await;
    assert_eq!(at_one.next().await, None);
    assert_eq!(at_two.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_sees_all_clients_and_those_of_a_closed_node_are_gone() {
    let Some(redis) = Redis::start() else { return };
    let one = node(&redis).await;
    // More clients than fit into one batch.
    let names: Vec<String> = (0..2500).map(|number| format!("c{number:04}")).collect();
    let guards: Vec<_> = names
        .iter()
        .map(|name| one.join(name.as_str(), "web"))
        .collect();
    let two = node(&redis).await;
    soon("all clients", || two.count() == guards.len()).await;
    let listed = two.list(Some("c0998"), 2);
    let listed: Vec<&str> = listed.iter().map(|listed| &*listed.client).collect();
    assert_eq!(listed, ["c0999", "c1000"]);
    let _own = two.join("own", "web");
    one.close().await;
    soon("only its own client", || two.count() == 1).await;
    assert!(two.last_seen("c2499").is_some());
    two.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_agree_after_many_concurrent_changes() {
    let Some(redis) = Redis::start() else { return };
    let nodes = [node(&redis).await, node(&redis).await, node(&redis).await];
    let mut stay = Vec::new();
    for round in 0..300_usize {
        for (number, node) in nodes.iter().enumerate() {
            let client = format!("c{}", (round * 5 + number) % 11);
            let guard = node.join(client, "web");
            if round % 97 == number {
                stay.push(guard);
            }
        }
        if round % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut expected: Vec<String> = stay.iter().map(|guard| guard.client().to_owned()).collect();
    expected.sort();
    let devices = expected.len();
    expected.dedup();
    for node in &nodes {
        let look = || {
            let listed = node.list(None, 99);
            let names: Vec<_> = listed
                .iter()
                .map(|listed| listed.client.to_string())
                .collect();
            (names, listed.iter().map(|listed| listed.devices).sum())
        };
        soon("the same on all nodes", || {
            look() == (expected.clone(), devices)
        })
        .await;
    }
    for node in &nodes {
        node.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_its_data_gets_it_again() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (node(&redis).await, node(&redis).await);
    let _ann = one.join("ann", "web");
    let _bob = two.join("bob", "web");
    soon("each other's clients", || {
        one.is_online("bob") && two.is_online("ann")
    })
    .await;
    let three_before = node(&redis).await;
    soon("both", || three_before.count() == 2).await;
    redis.forget_everything();
    // A new node knows only what the others have written again.
    let three = node(&redis).await;
    soon("both again, on all", || {
        let nodes = [&one, &two, &three_before, &three];
        nodes.iter().all(|node| node.count() == 2)
    })
    .await;
    for node in [one, two, three_before, three] {
        node.close().await;
    }
}
