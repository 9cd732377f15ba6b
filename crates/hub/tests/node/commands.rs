//! Publishing, presence, history, procedures.

use bytes::Bytes;
use serde_json::{Value, json};
use sockeye_hub::{ErrorCode, PublishGrant, Publishing};

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn rights_are_those_of_the_channel() {
    let world = World::new();
    let mut peer = world.connect();
    for (kind, request) in [
        ("publish", json!({ "channel": "hidden:a", "data": 1 })),
        ("presence", json!({ "channel": "hidden:a" })),
        ("presence_stats", json!({ "channel": "hidden:a" })),
        ("history", json!({ "channel": "hidden:a" })),
    ] {
        assert_eq!(peer.error(kind, request), 103, "{kind}");
    }
    for kind in ["publish", "presence", "presence_stats", "history"] {
        let request = json!({ "channel": "unknown:a", "data": 1 });
        assert_eq!(peer.error(kind, request), 102, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_publication_without_data_is_refused() {
    let world = World::new();
    let mut peer = world.connect();
    assert_eq!(peer.error("publish", json!({ "channel": "news" })), 107);
}

#[tokio::test(start_paused = true)]
async fn presence_lists_connections_and_counts_users() {
    let world = World::new();
    let mut phone = world.connect_as("ann");
    let mut desk = world.connect_as("ann");
    let mut bob = world.connect_as("bob");
    for peer in [&mut phone, &mut desk, &mut bob] {
        peer.subscribe("news");
    }
    let reply = bob.call("presence", json!({ "channel": "news" }));
    let presence = reply["presence"]["presence"].as_object().unwrap();
    assert_eq!(presence.len(), 3);
    assert_eq!(presence[&**phone.client.id()]["user"], json!("ann"));
    let stats = |reply: &Value| {
        let stats = &reply["presence_stats"];
        (stats["num_clients"].clone(), stats["num_users"].clone())
    };
    let reply = bob.call("presence_stats", json!({ "channel": "news" }));
    assert_eq!(stats(&reply), (json!(3), json!(2)));
    phone.client.close();
    let reply = bob.call("presence_stats", json!({ "channel": "news" }));
    assert_eq!(stats(&reply), (json!(2), json!(2)));
}

#[tokio::test(start_paused = true)]
async fn history_is_paged_in_both_directions() {
    // HUB 4, scenario 9.
    let world = World::new();
    let mut peer = world.connect();
    for number in 1..=5 {
        peer.call("publish", json!({ "channel": "news", "data": number }));
    }
    let mut offsets = |request: Value| -> Vec<u64> {
        let reply = peer.call("history", request);
        let publications = reply["history"]["publications"].as_array().unwrap();
        publications
            .iter()
            .map(|publication| publication["offset"].as_u64().unwrap())
            .collect()
    };
    let since = |offset: u64| json!({ "offset": offset, "epoch": "" });
    assert_eq!(offsets(json!({ "channel": "news" })), [] as [u64; 0]);
    assert_eq!(
        offsets(json!({ "channel": "news", "limit": -1 })),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(offsets(json!({ "channel": "news", "limit": 2 })), [1, 2]);
    assert_eq!(
        offsets(json!({ "channel": "news", "limit": 2, "since": since(2) })),
        [3, 4]
    );
    assert_eq!(
        offsets(json!({ "channel": "news", "limit": 2, "reverse": true })),
        [5, 4]
    );
    assert_eq!(
        offsets(json!({ "channel": "news", "limit": 2, "reverse": true, "since": since(4) })),
        [3, 2]
    );
    assert_eq!(
        offsets(json!({ "channel": "news", "limit": -1, "since": since(9) })),
        [] as [u64; 0]
    );
    let reply = peer.call("history", json!({ "channel": "news" }));
    assert_eq!(reply["history"]["offset"], json!(5));
    let other = json!({ "channel": "news", "since": { "offset": 1, "epoch": "other" } });
    assert_eq!(peer.error("history", other), 112);
}

#[tokio::test(start_paused = true)]
async fn without_a_history_or_presence_there_is_none_to_ask_for() {
    let world = World::new();
    // Whatever rights the client has.
    let mut peer = world.connect();
    for kind in ["history", "presence", "presence_stats"] {
        assert_eq!(
            peer.error(kind, json!({ "channel": "plain:a" })),
            108,
            "{kind}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn procedures_and_messages_need_an_application() {
    let world = World::new();
    let mut peer = world.connect();
    assert_eq!(peer.error("rpc", json!({ "method": "sum" })), 108);
    peer.send_raw(r#"{"send":{"data":1}}"#);
    assert_eq!(peer.code(), Some(3508));
}

#[tokio::test(start_paused = true)]
async fn an_application_answers_procedures() {
    let world = World::with(|builder| {
        builder.on_rpc(|event| async move {
            match event.method.as_str() {
                "echo" => Ok(event.data),
                _ => Err(ErrorCode::MethodNotFound.into()),
            }
        })
    });
    let mut peer = world.connect();
    let reply = peer.call("rpc", json!({ "method": "echo", "data": { "a": 1 } }));
    assert_eq!(reply["rpc"]["data"], json!({ "a": 1 }));
    assert_eq!(peer.error("rpc", json!({ "method": "other" })), 104);
}

#[tokio::test(start_paused = true)]
async fn an_application_can_change_or_refuse_what_is_published() {
    let world = World::with(|builder| {
        builder.on_publish(|event| async move {
            match event.data.as_ref() {
                b"1" => Ok(Some(PublishGrant {
                    data: Some(Bytes::from_static(b"2")),
                    how: Publishing {
                        skip_history: true,
                        ..Publishing::default()
                    },
                })),
                b"3" => Err(ErrorCode::PermissionDenied.into()),
                _ => Ok(None),
            }
        })
    });
    let mut peer = world.connect();
    peer.subscribe("news");
    peer.send("publish", json!({ "channel": "news", "data": 1 }));
    assert_eq!(peer.publications(), [json!(2)]);
    assert_eq!(
        peer.error("publish", json!({ "channel": "news", "data": 3 })),
        103
    );
    // As the channel says.
    peer.send("publish", json!({ "channel": "news", "data": 4 }));
    assert_eq!(peer.publications(), [json!(4)]);
    let reply = peer.call("history", json!({ "channel": "news", "limit": -1 }));
    assert_eq!(
        reply["history"]["publications"].as_array().unwrap().len(),
        1
    );
}
