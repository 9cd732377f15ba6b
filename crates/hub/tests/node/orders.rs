//! What a back end orders.

use bytes::Bytes;
use serde_json::json;
use sockeye_hub::{
    ApiError, Disconnect, HistoryQuery, Limit, Publishing, Refreshing, Subscribing, UnixMillis,
    UserFilter, VERSION_EPOCH_BYTES_MAX,
};

use crate::world::{START, World};

#[tokio::test(start_paused = true)]
async fn a_back_end_subscribes_and_unsubscribes_a_user() {
    let world = World::new();
    let (ann, bob) = (world.connect_as("ann"), world.connect_as("bob"));
    let all = UserFilter::default();
    let subscribing = Subscribing::default();
    let node = &world.node;
    node.subscribe("ann", "news", &all, subscribing)
        .await
        .unwrap();
    let pushes = ann.pushes();
    assert_eq!(pushes[0]["channel"], json!("news"));
    assert_eq!(pushes[0]["subscribe"]["recoverable"], json!(true));
    node.publish("news", "1", Publishing::default())
        .await
        .unwrap();
    assert_eq!(ann.publications(), [json!(1)]);
    node.unsubscribe("ann", "news", &all).unwrap();
    assert_eq!(ann.pushes()[0]["unsubscribe"]["code"], json!(2000));
    node.publish("news", "2", Publishing::default())
        .await
        .unwrap();
    assert!(ann.publications().is_empty() && bob.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_versions_counter_has_a_limit() {
    let world = World::new();
    let publish = |bytes| {
        let how = Publishing {
            version: 1,
            version_epoch: "e".repeat(bytes),
            ..Publishing::default()
        };
        world.node.publish("news", "1", how)
    };
    publish(VERSION_EPOCH_BYTES_MAX).await.unwrap();
    let refused = publish(VERSION_EPOCH_BYTES_MAX + 1).await;
    assert!(matches!(refused, Err(ApiError::BadRequest(_))));
}

#[tokio::test(start_paused = true)]
async fn a_back_end_ends_connections_of_a_user_but_some() {
    let world = World::new();
    let (one, two) = (world.connect_as("ann"), world.connect_as("ann"));
    let but_two = UserFilter {
        except: vec![two.client.id().to_string()],
        ..UserFilter::default()
    };
    world
        .node
        .disconnect("ann", &but_two, &Disconnect::FORCE_DISCONNECT);
    assert_eq!((one.code(), two.code()), (Some(3503), None));
    let none = UserFilter {
        client: Some("another".to_owned()),
        ..UserFilter::default()
    };
    world
        .node
        .disconnect("ann", &none, &Disconnect::FORCE_DISCONNECT);
    assert_eq!(two.code(), None);
}

#[tokio::test(start_paused = true)]
async fn a_back_end_refreshes_a_connection_or_lets_it_expire() {
    let world = World::new();
    let mut ann = world.connect_as("ann");
    let all = UserFilter::default();
    let in_a_minute = UnixMillis((START + 60) * 1000);
    let until = |expire_at| Refreshing {
        expire_at: Some(expire_at),
        info: Bytes::from_static(b"\"new\""),
    };
    world.node.refresh("ann", &all, &until(in_a_minute));
    assert_eq!(ann.pushes()[0]["refresh"]["ttl"], json!(60));
    ann.subscribe("news");
    let presence = world.node.presence("news").unwrap();
    assert_eq!(presence[0].conn_info[..], b"\"new\""[..]);
    world.node.refresh("ann", &all, &until(UnixMillis(1)));
    assert_eq!(ann.code(), Some(3005));
}

#[tokio::test(start_paused = true)]
async fn a_key_makes_a_publication_one_publication() {
    let world = World::new();
    let mut peer = world.connect();
    peer.subscribe("news");
    let publishing = Publishing {
        idempotency_key: Some("key".to_owned()),
        ..Publishing::default()
    };
    let node = &world.node;
    let first = node.publish("news", "1", publishing.clone()).await.unwrap();
    let second = node.publish("news", "1", publishing).await.unwrap();
    assert_eq!(first.position, second.position);
    assert_eq!(peer.publications(), [json!(1)]);
}

#[tokio::test(start_paused = true)]
async fn history_can_be_read_and_dropped_and_the_position_stays() {
    // HUB 4, scenario 8.
    let world = World::new();
    let node = &world.node;
    for number in 1..=3 {
        let data = number.to_string();
        node.publish("news", data, Publishing::default())
            .await
            .unwrap();
    }
    let all = || HistoryQuery {
        limit: Limit::All,
        ..HistoryQuery::default()
    };
    let before = node.history("news", all()).await.unwrap();
    assert_eq!(before.publications.len(), 3);
    node.remove_history("news").await.unwrap();
    let after = node.history("news", all()).await.unwrap();
    assert!(after.publications.is_empty());
    assert_eq!(after.position, before.position);
    // A client at the top has missed nothing, one below it has.
    let epoch = after.position.epoch.as_str();
    for (offset, recovered) in [(3, json!(true)), (2, json!(null))] {
        let mut peer = world.connect();
        let request =
            json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": offset });
        let reply = peer.call("subscribe", request);
        assert_eq!(reply["subscribe"]["recovered"], recovered);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_channel_does_not_have_is_an_error() {
    let world = World::new();
    let node = &world.node;
    let query = HistoryQuery::default();
    let published = node.publish("unknown:a", "1", Publishing::default()).await;
    assert_eq!(published.unwrap_err(), ApiError::UnknownChannel);
    assert_eq!(
        node.history("plain:a", query).await.unwrap_err(),
        ApiError::NotAvailable
    );
    assert_eq!(
        node.presence("plain:a").unwrap_err(),
        ApiError::NotAvailable
    );
    assert!(matches!(
        node.publish("", "1", Publishing::default()).await,
        Err(ApiError::BadRequest(_))
    ));
}
