//! Presence when a node or Redis dies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sockeye_checks::Redis;

use crate::node::Node;
use crate::patience::until;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[test]
fn a_node_that_is_killed_leaves_no_ghost() {
    let Some(redis) = Redis::start() else { return };
    let Some(one) = Node::start(&redis, "3s") else {
        return;
    };
    let Some(two) = Node::start(&redis, "3s") else {
        return;
    };
    let _ann = one.connect("ann");
    let _bob_there = one.connect("bob");
    let _bob_here = two.connect("bob");
    until(
        "both on the other node",
        || two.ask("/api/presence/bob"),
        |bob| {
            bob["devices"]
                .as_array()
                .is_some_and(|devices| devices.len() == 2)
        },
    );
    assert!(two.is_online("ann"));
    // Dropping it sends SIGKILL.
    drop(one);
    let killed = now_ms();
    let ann = until(
        "the one of the dead node",
        || two.ask("/api/presence/ann"),
        |ann| ann["online"] == false,
    );
    let noticed = Duration::from_millis(now_ms() - killed);
    let last_seen = ann["last_seen_ms"].as_u64().unwrap();
    assert!(
        last_seen <= killed + 1000 && last_seen + 10_000 > killed,
        "{last_seen} {killed}"
    );
    assert!(two.is_online("bob"), "the device on the living node counts");
    // The bound is the time to live; 10 s more are for a busy machine.
    assert!(noticed < Duration::from_secs(3 + 10), "{noticed:?}");
    println!("a time to live of 3 s: noticed after {noticed:?}");
}

#[test]
fn while_redis_is_away_the_own_clients_are_seen_and_afterwards_all_are() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let Some(mut one) = Node::start(&redis, "2s") else {
        return;
    };
    let Some(two) = Node::start(&redis, "2s") else {
        return;
    };
    let _ann = one.connect("ann");
    let _bob = two.connect("bob");
    until(
        "each other's",
        || (one.is_online("bob"), two.is_online("ann")),
        |seen| *seen == (true, true),
    );

    redis.kill();
    until(
        "the trouble",
        || one.ask("/api/presence"),
        |list| {
            list["store_trouble"]
                .as_str()
                .is_some_and(|trouble| trouble.contains("Redis at "))
        },
    );
    // The clients of the other node may be gone, so they are not shown.
    until(
        "the others are no longer shown",
        || one.is_online("bob"),
        |online| !online,
    );
    assert!(one.is_online("ann"), "the own are");
    let _cat = one.connect("cat");
    until(
        "one who comes meanwhile",
        || one.is_online("cat"),
        |online| *online,
    );

    redis.start_again();
    until(
        "all again",
        || {
            (
                one.is_online("bob"),
                two.is_online("ann"),
                two.is_online("cat"),
            )
        },
        |seen| *seen == (true, true, true),
    );
    until(
        "no trouble",
        || one.ask("/api/presence"),
        |list| list["store_trouble"].is_null(),
    );
    let away = one
        .0
        .process()
        .wait_for_text("presence continues without its store");
    assert!(away.contains("Redis at "), "{away}");
    one.0
        .process()
        .wait_for_text("the presence store works again");
}

#[test]
fn a_server_starts_without_redis_and_finds_it_later() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    redis.kill();
    let Some(one) = Node::start(&redis, "2s") else {
        return;
    };
    let _ann = one.connect("ann");
    until("the own", || one.is_online("ann"), |online| *online);
    redis.start_again();
    let Some(two) = Node::start(&redis, "2s") else {
        return;
    };
    until("the other's", || two.is_online("ann"), |online| *online);
}

#[test]
fn a_node_that_stood_still_beyond_its_lease_is_gone_and_comes_back() {
    let Some(redis) = Redis::start() else { return };
    let Some(mut one) = Node::start(&redis, "2s") else {
        return;
    };
    let Some(two) = Node::start(&redis, "2s") else {
        return;
    };
    let _ann = one.connect("ann");
    until(
        "on the other node",
        || two.is_online("ann"),
        |online| *online,
    );
    one.0.process().freeze();
    until(
        "gone with its lease",
        || two.is_online("ann"),
        |online| !online,
    );
    one.0.process().thaw();
    until("back", || two.is_online("ann"), |online| *online);
}
