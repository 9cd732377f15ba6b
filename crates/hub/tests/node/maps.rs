//! Maps, as a client sees them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use sockeye_hub::{
    HistoryQuery, Limit, MapCondition, MapLimits, MapPublishing, MapStateQuery, MapSuppression,
    Node, NodeSettings, Publishing, SystemClock,
    broker::{LogBroker, LogSettings},
    namespace::{
        ChannelConfig, ChannelOptions, ClientKeySource, DeltaType, MapMode, MapOptions, Namespace,
        Namespaces, SubscriptionType,
    },
};

use crate::{
    scripted_broker::{Script, ScriptedBroker},
    world::{Peer, World},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns the options of maps with pages of two entries.
pub(crate) fn map(mode: MapMode) -> ChannelOptions {
    ChannelOptions {
        subscription_type: SubscriptionType::Map,
        map: MapOptions {
            mode: Some(mode),
            key_ttl: if mode.has_expiry() {
                MINUTE
            } else {
                Duration::ZERO
            },
            stream_size: 5,
            default_page_size: 2,
            min_page_size: 1,
            max_page_size: 4,
            allow_publish_for_client: true,
            allow_publish_for_anonymous: true,
            allow_remove_for_subscriber: true,
            allow_remove_for_anonymous: true,
            ..MapOptions::default()
        },
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_tags_filter: true,
        allowed_delta_types: vec![DeltaType::Fossil],
        ..ChannelOptions::default()
    }
}

pub(crate) fn namespaces() -> Namespaces {
    let of = |subscription_type, mode| ChannelOptions {
        subscription_type,
        ..map(mode)
    };
    let mut watched = map(MapMode::Persistent);
    watched.map_clients_presence_channel_prefix = "clients:".to_owned();
    watched.map_users_presence_channel_prefix = "users:".to_owned();
    let mut own = map(MapMode::Persistent);
    own.map.client_key = Some(ClientKeySource::ClientId);
    own.map.remove_client_on_unsubscribe = true;
    let mut by_user = map(MapMode::Ephemeral);
    by_user.map.client_key = Some(ClientKeySource::UserId);
    let closed = ChannelOptions {
        subscription_type: SubscriptionType::Map,
        map: MapOptions {
            mode: Some(MapMode::Persistent),
            ..MapOptions::default()
        },
        ..ChannelOptions::default()
    };
    let namespaces = [
        ("short", map(MapMode::Ephemeral)),
        ("lasting", map(MapMode::Recoverable)),
        ("kept", map(MapMode::Persistent)),
        (
            "clients",
            of(SubscriptionType::MapClients, MapMode::Ephemeral),
        ),
        ("users", of(SubscriptionType::MapUsers, MapMode::Ephemeral)),
        ("watched", watched),
        ("own", own),
        ("by_user", by_user),
        ("closed", closed),
    ];
    let namespaces = namespaces.into_iter().map(|(name, options)| Namespace {
        name: name.to_owned(),
        options,
    });
    Namespaces::new(ChannelConfig {
        namespaces: namespaces.collect(),
        ..ChannelConfig::default()
    })
    .expect("a valid configuration")
}

pub(crate) fn world() -> World {
    World::begin(namespaces(), |builder| builder.settings(settings()))
}

pub(crate) fn settings() -> NodeSettings {
    let mut settings = NodeSettings::default();
    settings.allow_anonymous_connect_without_token = true;
    // These clients answer no pings.
    settings.ping_interval = Duration::from_secs(24 * 3_600);
    settings
}

async fn set(world: &World, channel: &str, key: &str, data: &str) {
    let tags = [("sort", &key[..1])].into_iter().collect();
    let how = MapPublishing {
        tags,
        ..MapPublishing::default()
    };
    let data = data.to_owned();
    world
        .node
        .map_publish(channel, key, data, how)
        .await
        .unwrap();
}

async fn remove(world: &World, channel: &str, key: &str) {
    world.node.map_remove(channel, key, None).await.unwrap();
}

fn state(channel: &str) -> Value {
    json!({ "channel": channel, "type": 1, "phase": 2 })
}

/// Returns the request with other fields.
fn with(mut request: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

fn ask(peer: &mut Peer, request: Value) -> Value {
    let mut reply = peer.call("subscribe", request);
    assert!(reply["subscribe"].is_object(), "{reply}");
    reply["subscribe"].take()
}

/// Returns key and data of publications.
fn entries(publications: &Value) -> Vec<(String, Value)> {
    let publications = publications.as_array().into_iter().flatten();
    publications
        .map(|it| (it["key"].as_str().unwrap().to_owned(), it["data"].clone()))
        .collect()
}

fn pairs(pairs: &[(&str, Value)]) -> Vec<(String, Value)> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, data)| ((*key).to_owned(), data.clone()))
        .collect()
}

fn live(peer: &Peer) -> Vec<Value> {
    let pushes = peer.pushes();
    pushes.iter().map(|push| push["pub"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_small_map_is_in_the_answer_and_its_changes_follow() {
    let world = world();
    set(&world, "kept:a", "x", "1").await;
    let mut peer = world.connect();
    let answer = ask(&mut peer, state("kept:a"));
    assert_eq!(answer["type"], 1);
    assert_eq!(answer["phase"], Value::Null);
    assert_eq!(
        (&answer["recoverable"], &answer["offset"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(entries(&answer["state"]), pairs(&[("x", json!(1))]));
    set(&world, "kept:a", "x", "2").await;
    remove(&world, "kept:a", "x").await;
    let changes = live(&peer);
    assert_eq!(changes[0]["data"], 2);
    assert_eq!(
        (&changes[0]["key"], &changes[0]["offset"]),
        (&json!("x"), &json!(2))
    );
    assert_eq!(
        changes[1],
        json!({ "key": "x", "offset": 3, "removed": true, "tags": { "sort": "x" } })
    );
    assert_eq!(peer.error("subscribe", state("kept:a")), 105);
}

#[tokio::test(start_paused = true)]
async fn pages_stand_for_one_moment_and_the_stream_has_what_came_later() {
    let world = world();
    for (key, data) in [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")] {
        set(&world, "kept:a", key, data).await;
    }
    let mut peer = world.connect();
    let first = ask(&mut peer, state("kept:a"));
    assert_eq!(
        (&first["phase"], &first["cursor"]),
        (&json!(2), &json!("b"))
    );
    assert_eq!(
        entries(&first["state"]),
        pairs(&[("a", json!(1)), ("b", json!(1))])
    );
    // One before the cursor, one behind it, a new one, and one that goes.
    set(&world, "kept:a", "a", "2").await;
    set(&world, "kept:a", "d", "2").await;
    set(&world, "kept:a", "f", "2").await;
    remove(&world, "kept:a", "c").await;
    let position = json!({ "offset": first["offset"], "epoch": first["epoch"] });
    let next = with(state("kept:a"), &position);
    let last = ask(&mut peer, with(next, &json!({ "cursor": "b", "limit": 4 })));
    assert_eq!(last["phase"], Value::Null, "{last}");
    assert_eq!(entries(&last["state"]), pairs(&[("e", json!(1))]));
    let changes = entries(&last["publications"]);
    let expected = [
        ("a", json!(2)),
        ("d", json!(2)),
        ("f", json!(2)),
        ("c", Value::Null),
    ];
    assert_eq!(changes, pairs(&expected));
    assert_eq!(last["offset"], 9);
    assert_eq!(last["recovered"], Value::Null);
    set(&world, "kept:a", "g", "3").await;
    assert_eq!(live(&peer)[0]["offset"], 10);
}

#[tokio::test(start_paused = true)]
async fn a_map_that_changes_fast_is_caught_up_with_in_pages_of_its_stream() {
    let world = world();
    set(&world, "kept:a", "a", "0").await;
    set(&world, "kept:a", "b", "0").await;
    set(&world, "kept:a", "c", "0").await;
    let mut peer = world.connect();
    let first = ask(&mut peer, state("kept:a"));
    for number in 1..=5 {
        set(&world, "kept:a", "a", &number.to_string()).await;
    }
    let at = |offset: u64| json!({ "offset": offset, "epoch": first["epoch"] });
    let page = ask(
        &mut peer,
        with(with(state("kept:a"), &at(3)), &json!({ "cursor": "b" })),
    );
    assert_eq!(
        (&page["phase"], &page["offset"]),
        (&json!(2), &json!(3)),
        "{page}"
    );
    let stream = with(state("kept:a"), &json!({ "phase": 1 }));
    let page = ask(&mut peer, with(stream.clone(), &at(3)));
    assert_eq!((&page["phase"], &page["offset"]), (&json!(1), &json!(5)));
    assert_eq!(
        entries(&page["publications"]),
        pairs(&[("a", json!(1)), ("a", json!(2))])
    );
    let page = ask(&mut peer, with(stream.clone(), &at(5)));
    assert_eq!(page["offset"], 7);
    let last = ask(&mut peer, with(stream, &at(7)));
    assert_eq!((&last["phase"], &last["offset"]), (&Value::Null, &json!(8)));
    assert_eq!(entries(&last["publications"]), pairs(&[("a", json!(5))]));
}

#[tokio::test(start_paused = true)]
async fn without_a_stream_what_comes_while_pages_are_read_is_kept() {
    let world = world();
    for key in ["a", "b", "c"] {
        set(&world, "short:a", key, "1").await;
    }
    let mut peer = world.connect();
    let first = ask(&mut peer, state("short:a"));
    assert_eq!(first["cursor"], "b");
    set(&world, "short:a", "a", "2").await;
    remove(&world, "short:a", "b").await;
    assert!(live(&peer).is_empty());
    let mut last = peer.send(
        "subscribe",
        with(state("short:a"), &json!({ "cursor": "b" })),
    );
    let frames = peer.take();
    last -= 1;
    assert_eq!(frames[0]["id"], last + 1);
    let answer = &frames[0]["subscribe"];
    assert_eq!(
        (&answer["recoverable"], &answer["offset"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(entries(&answer["state"]), pairs(&[("c", json!(1))]));
    let came: Vec<Value> = frames[1..]
        .iter()
        .map(|it| it["push"]["pub"].clone())
        .collect();
    assert_eq!(came[0]["data"], 2);
    assert_eq!(
        came[1],
        json!({ "key": "b", "removed": true, "tags": { "sort": "b" } })
    );
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_told_what_it_missed_or_reads_anew() {
    let world = world();
    set(&world, "kept:a", "a", "1").await;
    let mut peer = world.connect();
    let answer = ask(&mut peer, state("kept:a"));
    peer.client.close();
    set(&world, "kept:a", "a", "2").await;
    remove(&world, "kept:a", "a").await;
    let back = |offset: u64, epoch: &Value| {
        let position = json!({ "phase": 1, "recover": true, "offset": offset, "epoch": epoch });
        with(state("kept:a"), &position)
    };
    let mut peer = world.connect();
    let recovered = ask(&mut peer, back(1, &answer["epoch"]));
    assert_eq!(
        (&recovered["recovered"], &recovered["was_recovering"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        entries(&recovered["publications"]),
        pairs(&[("a", json!(2)), ("a", Value::Null)])
    );
    for _ in 0..6 {
        set(&world, "kept:a", "b", "3").await;
    }
    let mut peer = world.connect();
    // The stream keeps five changes.
    assert_eq!(peer.error("subscribe", back(1, &answer["epoch"])), 112);
    assert_eq!(peer.error("subscribe", back(9, &json!("another"))), 112);
    assert_eq!(peer.error("subscribe", back(99, &answer["epoch"])), 112);
    assert_eq!(ask(&mut peer, back(9, &answer["epoch"]))["recovered"], true);
}

#[tokio::test(start_paused = true)]
async fn subscriptions_that_make_no_sense_are_refused() {
    let world = world();
    for key in ["a", "b", "c"] {
        set(&world, "kept:a", key, "1").await;
        set(&world, "short:a", key, "1").await;
    }
    let mut peer = world.connect();
    let stream = json!({ "phase": 1 });
    for (request, code) in [
        (json!({ "channel": "kept:a" }), 103),
        (with(state("kept:a"), &json!({ "type": 2 })), 103),
        (with(state("kept:a"), &json!({ "type": 4 })), 103),
        (state("closed:a"), 103),
        (state("news"), 103),
        (state("nowhere:a"), 102),
        (with(state("kept:a"), &json!({ "cursor": "b" })), 103),
        (with(state("kept:a"), &stream), 103),
        (with(state("short:a"), &stream), 107),
        (with(state("kept:a"), &json!({ "phase": 3 })), 107),
        (
            with(state("kept:a"), &json!({ "epoch": "another", "offset": 1 })),
            112,
        ),
        (
            with(
                state("kept:a"),
                &json!({ "tf": { "key": "a", "cmp": "?" } }),
            ),
            107,
        ),
    ] {
        assert_eq!(peer.error("subscribe", request.clone()), code, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn changes_that_make_no_sense_are_refused() {
    let world = world();
    let mut peer = world.connect();
    for (request, code) in [
        (json!({ "channel": "kept:a", "data": 1 }), 107),
        (
            json!({ "channel": "news", "type": 1, "key": "a", "data": 1 }),
            103,
        ),
        (
            json!({ "channel": "closed:a", "type": 1, "key": "a", "data": 1 }),
            103,
        ),
        (json!({ "channel": "kept:a", "type": 1, "data": 1 }), 107),
        (
            json!({ "channel": "kept:a", "type": 1, "key": "x".repeat(1_025), "data": 1 }),
            107,
        ),
        // Only subscribers may.
        (
            json!({ "channel": "kept:a", "type": 1, "key": "a", "removed": true }),
            103,
        ),
        (
            json!({ "channel": "by_user:a", "type": 1, "key": "a", "data": 1 }),
            103,
        ),
    ] {
        assert_eq!(peer.error("publish", request.clone()), code, "{request}");
    }
    assert_eq!(
        peer.error("history", json!({ "channel": "kept:a", "limit": 1 })),
        108
    );
    assert!(
        world
            .node
            .publish("kept:a", "1", Publishing::default())
            .await
            .is_err()
    );
    assert!(
        world
            .node
            .map_publish("news", "a", "1", MapPublishing::default())
            .await
            .is_err()
    );
    assert!(
        world
            .node
            .map_publish("kept:a", "", "1", MapPublishing::default())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_pages_is_forgotten_and_one_that_is_late_is_ended() {
    let world = world();
    for key in ["a", "b", "c"] {
        set(&world, "short:a", key, "1").await;
    }
    let mut idle = world.connect();
    ask(&mut idle, state("short:a"));
    let mut gone = world.connect();
    ask(&mut gone, state("short:a"));
    let mut left = world.connect();
    ask(&mut left, state("short:a"));
    assert_eq!(world.node.channels().len(), 1);
    left.call("unsubscribe", json!({ "channel": "short:a" }));
    gone.client.close();
    assert_eq!(world.node.channels()[0].1, 1);
    let mut late = world.connect();
    ask(&mut late, state("short:a"));
    world.clock.advance(Duration::from_secs(5));
    late.send(
        "subscribe",
        with(state("short:a"), &json!({ "cursor": "b" })),
    );
    assert_eq!(late.code(), Some(3008));
    world.pass(Duration::from_secs(1)).await;
    assert!(world.node.channels().is_empty());
    let request = with(state("short:a"), &json!({ "cursor": "b" }));
    assert_eq!(idle.error("subscribe", request), 103);
}

#[tokio::test(start_paused = true)]
async fn filters_apply_to_entries_and_changes_and_the_position_moves_on() {
    let world = world();
    for key in ["a1", "b1", "a2"] {
        set(&world, "kept:a", key, "1").await;
    }
    let mut peer = world.connect();
    let filter = json!({ "tf": { "key": "sort", "cmp": "eq", "val": "a" }, "limit": 4 });
    let answer = ask(
        &mut peer,
        with(
            state("kept:a"),
            &with(filter.clone(), &json!({ "delta": "fossil" })),
        ),
    );
    assert_eq!(
        entries(&answer["state"]),
        pairs(&[("a1", json!(1)), ("a2", json!(1))])
    );
    // A difference could be from what was not for it.
    assert_eq!(answer["delta"], Value::Null);
    set(&world, "kept:a", "b2", "1").await;
    set(&world, "kept:a", "a1", "2").await;
    remove(&world, "kept:a", "b1").await;
    let changes = live(&peer);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["offset"], 5);
    peer.client.close();
    set(&world, "kept:a", "b3", "1").await;
    let mut peer = world.connect();
    let back = json!({ "phase": 1, "recover": true, "offset": 5, "epoch": answer["epoch"] });
    let answer = ask(&mut peer, with(with(state("kept:a"), &filter), &back));
    assert_eq!(
        (&answer["recovered"], &answer["offset"]),
        (&json!(true), &json!(7))
    );
    assert_eq!(answer["publications"], Value::Null);
    remove(&world, "kept:a", "a1").await;
    assert_eq!(live(&peer)[0]["offset"], 8);
}

#[tokio::test(start_paused = true)]
async fn differences_are_from_the_entry_before() {
    let world = world();
    let long =
        |number: u32| format!("{{\"text\":\"a line that stays the same\",\"number\":{number}}}");
    set(&world, "kept:a", "a", &long(1)).await;
    let mut peer = world.connect();
    let delta = json!({ "delta": "fossil" });
    let answer = ask(&mut peer, with(state("kept:a"), &delta));
    assert_eq!(answer["delta"], true);
    assert_eq!(answer["state"][0]["data"], long(1));
    set(&world, "kept:a", "b", &long(2)).await;
    set(&world, "kept:a", "a", &long(3)).await;
    set(&world, "kept:a", "b", &long(4)).await;
    remove(&world, "kept:a", "a").await;
    set(&world, "kept:a", "a", &long(5)).await;
    let changes = live(&peer);
    let is_delta: Vec<bool> = changes.iter().map(|it| it["delta"] == true).collect();
    assert_eq!(is_delta, [false, true, true, false, false]);
    assert_eq!(
        (&changes[0]["data"], &changes[4]["data"]),
        (&json!(long(2)), &json!(long(5)))
    );
    // What SDKs parse as JSON.
    assert_eq!(changes[3]["data"], "null");
    let mut peer = world.connect();
    let back = json!({
        "phase": 1, "recover": true, "offset": 2, "epoch": answer["epoch"], "limit": 4,
    });
    let answer = ask(&mut peer, with(with(state("kept:a"), &delta), &back));
    let recovered = answer["publications"].as_array().unwrap();
    let is_delta: Vec<bool> = recovered.iter().map(|it| it["delta"] == true).collect();
    assert_eq!(is_delta, [false, false, false, false]);
    set(&world, "kept:a", "a", &long(6)).await;
    assert_eq!(live(&peer)[0]["delta"], true);
}

#[tokio::test(start_paused = true)]
async fn entries_expire_by_a_change_unless_they_are_set_again() {
    let world = world();
    for channel in ["short:a", "lasting:a"] {
        set(&world, channel, "a", "1").await;
        let mut peer = world.connect();
        let answer = ask(&mut peer, state(channel));
        world.pass(MINUTE / 2).await;
        set(&world, channel, "a", "2").await;
        world.pass(MINUTE / 2 + Duration::from_secs(1)).await;
        assert_eq!(live(&peer).len(), 1);
        world.pass(MINUTE / 2).await;
        let changes = live(&peer);
        assert_eq!(
            (&changes[0]["key"], &changes[0]["removed"]),
            (&json!("a"), &json!(true))
        );
        assert_eq!(world.node.map_len(channel).await, Ok(0));
        if channel == "lasting:a" {
            assert_eq!(changes[0]["offset"], 3);
            let state = world
                .node
                .map_state(channel, MapStateQuery::default())
                .await
                .unwrap();
            assert_eq!(state.position.epoch.as_str(), answer["epoch"]);
        }
    }
    // Nobody asks for it, and it is not there.
    set(&world, "lasting:b", "a", "1").await;
    world.clock.advance(MINUTE);
    assert_eq!(world.node.map_len("lasting:b").await, Ok(0));
    assert_eq!(world.node.map_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn back_ends_set_under_conditions_versions_and_keys() {
    let world = world();
    let node = &world.node;
    let publish = async |data: &'static str, how: MapPublishing| {
        let changed = node.map_publish("kept:a", "k", data, how).await.unwrap();
        (changed.position.offset, changed.suppressed)
    };
    let only = |condition| MapPublishing {
        condition,
        ..MapPublishing::default()
    };
    let version = |version, version_epoch: &str| MapPublishing {
        version,
        version_epoch: version_epoch.to_owned(),
        ..MapPublishing::default()
    };
    let once = || MapPublishing {
        idempotency_key: Some("once".to_owned()),
        ..MapPublishing::default()
    };
    let missing = Some(MapSuppression::KeyNotFound);
    assert_eq!(
        publish("1", only(MapCondition::IfExists)).await,
        (0, missing)
    );
    assert_eq!(publish("1", only(MapCondition::IfNew)).await, (1, None));
    let exists = Some(MapSuppression::KeyExists);
    assert_eq!(publish("1", only(MapCondition::IfNew)).await, (1, exists));
    assert_eq!(publish("2", only(MapCondition::IfExists)).await, (2, None));
    let old = Some(MapSuppression::Version);
    assert_eq!(publish("3", version(5, "")).await, (3, None));
    assert_eq!(publish("4", version(5, "")).await, (3, old));
    assert_eq!(publish("4", MapPublishing::default()).await, (4, None));
    assert_eq!(publish("5", version(5, "")).await, (4, old));
    assert_eq!(publish("5", version(1, "other")).await, (5, None));
    assert_eq!(publish("6", once()).await, (6, None));
    assert_eq!(
        publish("7", once()).await,
        (6, Some(MapSuppression::Idempotency))
    );
    let removed = node.map_remove("kept:a", "k", None).await.unwrap();
    assert_eq!((removed.position.offset, removed.suppressed), (7, None));
    let removed = node.map_remove("kept:a", "k", None).await.unwrap();
    assert_eq!(removed.suppressed, missing);
    assert!(
        node.map_publish("short:a", "k", "1", version(1, ""))
            .await
            .is_err()
    );
    let query = HistoryQuery {
        limit: Limit::All,
        ..HistoryQuery::default()
    };
    let stream = node.map_stream("kept:a", query).await.unwrap();
    let last = stream.publications.last().unwrap();
    assert!(last.change.as_ref().unwrap().removed);
    set(&world, "kept:a", "x", "1").await;
    set(&world, "kept:a", "y", "1").await;
    let mut peer = world.connect();
    ask(&mut peer, state("kept:a"));
    node.map_clear("kept:a").await.unwrap();
    let changes = live(&peer);
    assert_eq!(
        entries(&json!(changes)),
        pairs(&[("x", Value::Null), ("y", Value::Null)])
    );
    assert_eq!(node.map_len("kept:a").await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_map_of_clients_follows_subscriptions_and_one_of_users_outlives_them_for_a_while() {
    let world = world();
    let mut watcher = world.connect();
    let clients = with(state("clients:watched:a"), &json!({ "type": 2 }));
    assert_eq!(ask(&mut watcher, clients)["state"], Value::Null);
    let users = with(state("users:watched:a"), &json!({ "type": 3 }));
    ask(&mut watcher, users);
    let (mut one, mut two) = (world.connect_as("ann"), world.connect_as("ann"));
    ask(&mut one, state("watched:a"));
    ask(&mut two, state("watched:a"));
    let id = |peer: &Peer| peer.client.id().to_string();
    let seen = live(&watcher);
    let keys: Vec<&str> = seen.iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert_eq!(keys, [&id(&one), "ann", &id(&two)]);
    assert_eq!(seen[0]["info"]["user"], "ann");
    assert_eq!(seen[1]["info"], Value::Null);
    // Neither goes as long as they are subscribed.
    world.pass(MINUTE * 3).await;
    assert!(live(&watcher).is_empty());
    one.call("unsubscribe", json!({ "channel": "watched:a" }));
    two.client.close();
    let seen = live(&watcher);
    let keys: Vec<&str> = seen.iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert_eq!(keys, [&id(&one), &id(&two)]);
    assert!(seen.iter().all(|it| it["removed"] == true));
    world.pass(MINUTE / 2).await;
    assert!(live(&watcher).is_empty());
    world.pass(MINUTE).await;
    let seen = live(&watcher);
    assert_eq!(
        (&seen[0]["key"], &seen[0]["removed"]),
        (&json!("ann"), &json!(true))
    );
    assert_eq!(world.node.map_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_broker_is_far_behind_with_a_map_no_subscription_begins_that_it_follows() {
    let here = ChannelOptions {
        subscription_type: SubscriptionType::MapClients,
        ..map(MapMode::Recoverable)
    };
    let room = ChannelOptions {
        map_clients_presence_channel_prefix: "here:".to_owned(),
        allow_subscribe_for_anonymous: true,
        allow_subscribe_for_client: true,
        ..ChannelOptions::default()
    };
    let namespaces = [("here", here), ("room", room)].map(|(name, options)| Namespace {
        name: name.to_owned(),
        options,
    });
    let namespaces = Namespaces::new(ChannelConfig {
        namespaces: namespaces.into(),
        ..ChannelConfig::default()
    });
    let script = Script::new();
    let broker = ScriptedBroker(Arc::clone(&script));
    let world = World::begin(namespaces.unwrap(), |builder| {
        builder.settings(settings()).broker(broker)
    });
    let mut stays = world.connect();
    stays.subscribe("room:1");
    world.rest().await;
    assert_eq!(world.node.map_len("here:room:1").await, Ok(1));
    script.delay(MINUTE);
    let mut comes_and_goes = world.connect();
    let channel = || json!({ "channel": "room:1" });
    let mut begun = 0;
    let refused = loop {
        let reply = comes_and_goes.call("subscribe", channel());
        if !reply["subscribe"].is_object() {
            break reply;
        }
        begun += 1;
        comes_and_goes.call("unsubscribe", channel());
    };
    assert_eq!(refused["error"]["code"], 100);
    assert_eq!(refused["error"]["temporary"], true);
    // Two orders each; the first one is under way.
    assert_eq!(begun, 65_536 / 2 + 1);
    script.delay(Duration::ZERO);
    tokio::time::sleep(MINUTE * 2).await;
    comes_and_goes.subscribe("room:1");
    world.rest().await;
    assert_eq!(world.node.map_len("here:room:1").await, Ok(2));
    drop(stays);
}

#[tokio::test(start_paused = true)]
async fn a_clients_own_entry_has_its_id_and_goes_with_it() {
    let world = world();
    let mut peer = world.connect();
    ask(&mut peer, state("own:a"));
    let publish = json!({ "channel": "own:a", "type": 1, "key": "chosen", "data": { "x": 1 } });
    assert!(peer.call("publish", publish)["publish"].is_object());
    let state = world.node.map_state(
        "own:a",
        MapStateQuery {
            limit: 9,
            ..Default::default()
        },
    );
    let state = state.await.unwrap();
    let change = state.entries[0].change.as_ref().unwrap();
    assert_eq!(change.key, *peer.client.id());
    peer.client.close();
    assert_eq!(world.node.map_len("own:a").await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn what_maps_hold_and_what_did_not_happen_is_counted() {
    let world = world();
    set(&world, "kept:a", "a", "1").await;
    set(&world, "kept:a", "b", "1").await;
    set(&world, "kept:a", "b", "2").await;
    set(&world, "short:a", "a", "1").await;
    remove(&world, "kept:a", "nobody").await;
    for _ in 0..2 {
        let how = MapPublishing {
            condition: MapCondition::IfNew,
            ..MapPublishing::default()
        };
        let published = world.node.map_publish("kept:a", "a", "2", how).await;
        assert!(published.unwrap().suppressed.is_some());
    }
    let metrics = world.node.metrics();
    assert_eq!((metrics.num_maps, metrics.num_map_entries), (2, 3));
    assert_eq!(metrics.map_bytes, world.node.map_bytes());
    let suppressions = metrics.map_suppressions.iter();
    let suppressions: Vec<_> = suppressions
        .map(|it| (it.change, it.reason, it.count))
        .collect();
    assert_eq!(
        suppressions,
        [("publish", "key_exists", 2), ("remove", "key_not_found", 1)]
    );
    world.pass(MINUTE * 2).await;
    world.node.map_clear("kept:a").await.unwrap();
    let metrics = world.node.metrics();
    assert_eq!((metrics.num_maps, metrics.num_map_entries), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn maps_have_limits() {
    let mut settings = settings();
    settings.channel_limit = 2;
    settings.map_limits = MapLimits {
        keys_max: 2,
        bytes_max: 2_000,
    };
    let node = Node::builder(namespaces()).settings(settings).start();
    let publish = async |channel: &str, key: &str, data: String| {
        node.map_publish(channel, key, data, MapPublishing::default())
            .await
            .is_ok()
    };
    assert!(publish("kept:a", "a", "1".into()).await);
    assert!(publish("kept:a", "b", "1".into()).await);
    assert!(!publish("kept:a", "c", "1".into()).await);
    assert!(publish("kept:a", "b", "2".into()).await);
    assert!(!publish("kept:b", "a", "1".repeat(2_000)).await);
    let bytes = node.map_bytes();
    assert!(bytes < 2_000);
    node.map_clear("kept:a").await.unwrap();
    assert_eq!(node.map_bytes(), 0);
    assert!(publish("kept:a", "c", "1".into()).await);
}

#[tokio::test]
async fn with_a_log_maps_survive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let start = || {
        let (log, _) =
            LogBroker::open(&path, Arc::new(SystemClock), LogSettings::default()).unwrap();
        let node = Node::builder(namespaces()).broker(log.clone()).start();
        (node, log)
    };
    let all = || MapStateQuery {
        limit: 99,
        ..MapStateQuery::default()
    };
    let publish = async |node: &Node, channel: &str, key: &str, data: String| {
        let changed = node
            .map_publish(channel, key, data, MapPublishing::default())
            .await;
        changed.unwrap().position
    };
    let (node, log) = start();
    // More than the stream keeps.
    for number in 0..9 {
        publish(&node, "kept:a", &format!("k{number}"), number.to_string()).await;
    }
    publish(&node, "kept:a", "k0", "\"again\"".into()).await;
    node.map_remove("kept:a", "k1", None).await.unwrap();
    publish(&node, "lasting:a", "k", "1".into()).await;
    publish(&node, "short:a", "k", "1".into()).await;
    let before = node.map_state("kept:a", all()).await.unwrap();
    drop(node);
    log.close();

    let (node, log) = start();
    let after = node.map_state("kept:a", all()).await.unwrap();
    assert_eq!(after, before);
    assert_eq!(after.entries.len(), 8);
    assert_eq!(after.entries[0].data, "\"again\"");
    assert_eq!(node.map_len("lasting:a").await, Ok(1));
    assert_eq!(node.map_len("short:a").await, Ok(0));
    let next = publish(&node, "kept:a", "k2", "1".into()).await;
    assert_eq!(next.offset, before.position.offset + 1);
    assert_eq!(next.epoch, before.position.epoch);
    node.map_clear("kept:a").await.unwrap();
    drop(node);
    log.close();

    let (node, log) = start();
    assert_eq!(node.map_len("kept:a").await, Ok(0));
    drop(node);
    log.close();
}
