//! Connecting, pings, and the ends.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use sockeye_hub::{
    Disconnect, ErrorCode, NodeSettings,
    wire::{Command, ConnectRequest, Encoding},
};

use crate::world::{World, token};

#[tokio::test(start_paused = true)]
async fn a_client_is_told_who_it_is_and_how_it_is_pinged() {
    let world = World::new();
    let mut peer = world.open();
    let reply = peer.call("connect", json!({ "name": "js" }));
    let connect = &reply["connect"];
    assert_eq!(connect["client"], json!(&**peer.client.id()));
    assert_eq!(
        (&connect["ping"], &connect["pong"]),
        (&json!(25), &json!(true))
    );
    assert!(
        connect["version"]
            .as_str()
            .is_some_and(|version| !version.is_empty())
    );
    // Only for transports whose commands come by separate requests.
    assert!(connect["session"].is_null() && connect["node"].is_null());
}

#[tokio::test(start_paused = true)]
async fn who_breaks_the_order_of_commands_is_ended_with_3501() {
    let world = World::new();
    let frames = [
        // Before connect.
        r#"{"id":1,"subscribe":{"channel":"a"}}"#,
        r#"{"id":1,"rpc":{}}"#,
        // Without an id.
        r#"{"connect":{}}"#,
        // Not a command.
        "{",
        "",
        r#"{"id":1}"#,
        r#"{"id":1,"unheard_of":{}}"#,
        // A pong that nobody asked for.
        "{}",
        // Twice.
        "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"connect\":{}}",
        "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"\"}}",
        "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"refresh\":{}}",
        "{\"id\":1,\"connect\":{}}\n{\"id\":0,\"rpc\":{}}",
        // Only the server pings.
        "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"ping\":{}}",
    ];
    for frame in frames {
        let peer = world.open();
        peer.send_raw(frame);
        assert_eq!(peer.code(), Some(3501), "{frame}");
    }
    assert_eq!(world.node.info().num_clients, 0);
}

#[tokio::test(start_paused = true)]
async fn without_credentials_there_is_no_connection() {
    let world = World::with(|builder| builder.settings(NodeSettings::default()));
    let peer = world.open();
    peer.send_raw(r#"{"id":1,"connect":{}}"#);
    assert_eq!(peer.code(), Some(3501));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_ended_with_3502() {
    let world = World::new();
    let peer = world.open();
    world.pass(Duration::from_millis(9_900)).await;
    assert_eq!(peer.code(), None);
    world.pass(Duration::from_millis(200)).await;
    assert_eq!(peer.code(), Some(3502));
}

#[tokio::test(start_paused = true)]
async fn a_client_is_pinged_and_lost_if_it_does_not_answer() {
    let world = World::new();
    let (lively, silent) = (world.connect(), world.connect());
    for _ in 0..3 {
        world.pass(Duration::from_secs(25)).await;
        assert_eq!(lively.take(), [json!({})]);
        lively.send_raw("{}");
        world.pass(Duration::from_secs(8)).await;
    }
    assert_eq!(silent.code(), Some(3012));
    assert_eq!(lively.code(), None);
    assert_eq!(world.node.info().num_clients, 1);
}

/// HUB 4, scenario 35: the code comes in the answer to connect, so that no client comes back at once.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_application_is_the_clients_answer() {
    let world = World::with(|builder| {
        builder.on_connect(|event| async move {
            match event.data.as_ref() {
                br#""later""# => Err(ErrorCode::TooManyRequests.into()),
                br#""never""# => Err(Disconnect::new(4500, "go away").unwrap().into()),
                _ => Ok(Some(sockeye_hub::Credentials {
                    user: "ann".to_owned(),
                    data: Bytes::from_static(br#"{"hello":"ann"}"#),
                    ..Default::default()
                })),
            }
        })
    });
    let mut later = world.open();
    assert_eq!(later.error("connect", json!({ "data": "later" })), 111);
    // After a refusal nothing else is possible.
    later.send("subscribe", json!({ "channel": "a" }));
    assert_eq!(later.code(), Some(3501));
    let mut never = world.open();
    never.send("connect", json!({ "data": "never" }));
    assert_eq!(never.code(), Some(4500));
    let mut ann = world.open();
    let reply = ann.call("connect", json!({}));
    assert_eq!(reply["connect"]["data"], json!({ "hello": "ann" }));
    assert_eq!(world.node.info().num_users, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_while_it_is_decided_on_leaves_nothing() {
    // HUB 4, scenario 16.
    let world = World::with(|builder| {
        builder.on_connect(|_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Some(sockeye_hub::Credentials {
                subscriptions: vec![("news".to_owned(), Default::default())],
                ..Default::default()
            }))
        })
    });
    let mut peer = world.open();
    peer.send("connect", json!({}));
    world.rest().await;
    peer.client.close();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let info = world.node.info();
    assert_eq!((info.num_clients, info.num_users), (0, 0));
    assert_eq!((info.num_subs, info.num_channels), (0, 0));
    assert!(peer.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_user_has_so_many_connections() {
    let world = World::with(|builder| {
        let mut settings = NodeSettings::default();
        settings.user_connection_limit = 2;
        builder.settings(settings)
    });
    let _first = world.connect_as("ann");
    let second = world.connect_as("ann");
    let mut third = world.open();
    let token = crate::world::token(&json!({ "sub": "ann" }));
    third.send("connect", json!({ "token": token }));
    assert_eq!(third.code(), Some(3504));
    second.client.close();
    world.connect_as("ann");
    world.connect_as("bob");
}

#[tokio::test(start_paused = true)]
async fn the_application_hears_who_has_gone_and_why() {
    let (sender, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let world = World::with(|builder| {
        builder.on_disconnect(move |event| {
            let code = event.disconnect.map(|disconnect| disconnect.code());
            sender.send((event.client.user.to_string(), code)).unwrap();
        })
    });
    world.connect_as("ann").client.close();
    world
        .connect_as("bob")
        .client
        .disconnect(Disconnect::SHUTDOWN);
    let bob = ("bob".to_owned(), Some(3001));
    assert_eq!(gone.recv().await, Some(("ann".to_owned(), None)));
    assert_eq!(gone.recv().await, Some(bob));
    assert!(gone.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_replaces_the_users_others_where_there_may_be_one() {
    let world = World::with(|builder| {
        let mut settings = NodeSettings::default();
        settings.single_connection = true;
        settings.allow_anonymous_connect_without_token = true;
        builder.settings(settings)
    });
    let first = world.connect_as("ann");
    let bob = world.connect_as("bob");
    let second = world.connect_as("ann");
    assert_eq!((first.code(), second.code()), (Some(3504), None));
    let third = world.connect_as("ann");
    assert_eq!(
        (second.code(), third.code(), bob.code()),
        (Some(3504), None, None)
    );
    // Anonymous clients are not one user.
    let (one, other) = (world.connect(), world.connect());
    assert_eq!((one.code(), other.code()), (None, None));
    assert_eq!(world.node.info().num_clients, 4);
}

#[tokio::test(start_paused = true)]
async fn a_channel_of_the_server_has_a_value_also_where_there_is_nothing_to_say() {
    let world = World::new();
    let peer = world.open_with(Encoding::Protobuf);
    let command = Command {
        id: 1,
        connect: Some(ConnectRequest {
            token: token(&json!({ "sub": "ann", "channels": ["plain:a"] })),
            ..ConnectRequest::default()
        }),
        ..Command::default()
    };
    let mut frame = Vec::new();
    Encoding::Protobuf
        .encode_command(&command, &mut frame)
        .unwrap();
    peer.client.handle_frame(frame.into());
    let reply = peer.frames().remove(0);
    // An entry of the map: the key (field 1, 7 bytes), and then the value (field 2, no bytes).
    let entry = [&b"\x0a\x07plain:a"[..], b"\x12\x00"].concat();
    let found = reply.windows(entry.len()).any(|bytes| bytes == entry);
    assert!(found, "{reply:?}");
}
