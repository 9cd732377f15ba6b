//! Who receives what.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::json;
use sockeye_hub::{
    Publishing,
    wire::{Command, ConnectRequest, Encoding, Reply, SubscribeRequest},
};

use crate::world::{Peer, World};

fn send(peer: &Peer, command: &Command) {
    let mut frame = Vec::new();
    peer.encoding.encode_command(command, &mut frame).unwrap();
    peer.client.handle_frame(frame.into());
}

fn replies(peer: &Peer) -> Vec<Reply> {
    let frames = peer.frames().into_iter();
    frames
        .flat_map(|frame| peer.encoding.decode_replies(frame))
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Opens a Protobuf connection that is subscribed to a channel.
fn protobuf_subscriber(world: &World, channel: &str) -> Peer {
    let peer = world.open_with(Encoding::Protobuf);
    send(
        &peer,
        &Command {
            id: 1,
            connect: Some(ConnectRequest::default()),
            ..Command::default()
        },
    );
    send(
        &peer,
        &Command {
            id: 2,
            subscribe: Some(SubscribeRequest {
                channel: channel.to_owned(),
                ..SubscribeRequest::default()
            }),
            ..Command::default()
        },
    );
    let replies = replies(&peer);
    assert!(replies[0].connect.is_some() && replies[1].subscribe.is_some());
    peer
}

#[tokio::test(start_paused = true)]
async fn a_publication_reaches_both_encodings() {
    let world = World::new();
    let protobuf = protobuf_subscriber(&world, "news");
    let mut json = world.connect();
    json.subscribe("news");
    let published = json.call(
        "publish",
        json!({ "channel": "news", "data": { "a": [1, "ü"] } }),
    );
    assert!(published["publish"].is_object(), "{published}");
    let push = replies(&protobuf).remove(0).push.unwrap();
    let publication = push.r#pub.unwrap();
    assert_eq!((&*push.channel, publication.offset), ("news", 1));
    assert_eq!(&publication.data[..], r#"{"a":[1,"ü"]}"#.as_bytes());
    assert_eq!(
        publication.info.unwrap().client,
        json.client.id().to_string()
    );
}

#[tokio::test(start_paused = true)]
async fn a_binary_publication_ends_json_clients_with_3506_and_no_others() {
    // HUB 4, scenario 28.
    let world = World::new();
    let protobuf = protobuf_subscriber(&world, "plain:a");
    let mut json = world.connect();
    json.subscribe("plain:a");
    let mut elsewhere = world.connect();
    elsewhere.subscribe("plain:b");
    let binary = Bytes::from_static(b"\xff\x00");
    world
        .node
        .publish("plain:a", binary.clone(), Publishing::default())
        .await
        .unwrap();
    assert_eq!(json.code(), Some(3506));
    assert_eq!(elsewhere.code(), None);
    let push = replies(&protobuf).remove(0).push.unwrap();
    assert_eq!(push.r#pub.unwrap().data, binary);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_ended_with_3008_and_recovers() {
    // HUB 4, scenario 33.
    let world = World::new();
    let (mut slow, mut quick) = (world.connect(), world.connect());
    let epoch = slow.subscribe("news")["epoch"].clone();
    quick.subscribe("news");
    let publish = |number: u32| {
        let publishing = Publishing::default();
        let data = number.to_string();
        let node = world.node.clone();
        async move { node.publish("news", data, publishing).await.unwrap() }
    };
    publish(1).await;
    slow.inbox.is_full.store(true, Ordering::Relaxed);
    publish(2).await;
    publish(3).await;
    assert_eq!(slow.code(), Some(3008));
    assert_eq!(slow.publications(), [json!(1)]);
    assert_eq!(quick.publications(), [json!(1), json!(2), json!(3)]);
    slow.client.close();
    let mut slow = world.connect();
    let request = json!({ "channel": "news", "recover": true, "epoch": epoch, "offset": 1 });
    let reply = slow.call("subscribe", request);
    let missed = reply["subscribe"]["publications"].as_array().unwrap();
    assert_eq!(missed.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_publishers_at_once_are_delivered_in_the_order_of_offsets() {
    // HUB 4, scenario 12.
    const PUBLICATIONS: u64 = 500;
    let world = World::new();
    let mut peers: Vec<_> = (0..4).map(|_| world.connect()).collect();
    for peer in &mut peers {
        peer.subscribe("news");
    }
    let publishers: Vec<_> = (0..4)
        .map(|_| {
            let node = world.node.clone();
            tokio::spawn(async move {
                for _ in 0..PUBLICATIONS {
                    node.publish("news", "1", Publishing::default())
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    for peer in &peers {
        let pushes = peer.pushes().into_iter();
        let offsets: Vec<u64> = pushes
            .map(|push| push["pub"]["offset"].as_u64().unwrap())
            .collect();
        assert_eq!(offsets, (1..=4 * PUBLICATIONS).collect::<Vec<_>>());
    }
}
