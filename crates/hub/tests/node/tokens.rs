//! Tokens of connections and subscriptions, and their expiry.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Peer, START, World, token};

fn connect(world: &World, claims: &Value) -> (Peer, Value) {
    let mut peer = world.open();
    let reply = peer.call("connect", json!({ "token": token(claims) }));
    (peer, reply)
}

#[tokio::test(start_paused = true)]
async fn a_token_says_who_the_client_is() {
    let world = World::new();
    let claims = json!({ "sub": "ann", "exp": START + 60, "info": { "name": "Ann" } });
    let (mut peer, reply) = connect(&world, &claims);
    assert_eq!(reply["connect"]["expires"], json!(true));
    assert_eq!(reply["connect"]["ttl"], json!(60));
    peer.subscribe("news");
    let reply = peer.call("presence", json!({ "channel": "news" }));
    let info = &reply["presence"]["presence"][&**peer.client.id()];
    assert_eq!(info["conn_info"], json!({ "name": "Ann" }));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_valid_ends_the_client_and_one_that_has_expired_does_not() {
    let world = World::new();
    let mut peer = world.open();
    peer.send("connect", json!({ "token": "a.b.c" }));
    assert_eq!(peer.code(), Some(3500));
    let mut peer = world.open();
    let token = token(&json!({ "sub": "ann", "exp": START - 60 }));
    assert_eq!(peer.error("connect", json!({ "token": token })), 109);
    assert_eq!(peer.code(), None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_token_is_not_refreshed_is_ended_with_3005() {
    let world = World::new();
    let (mut lazy, _) = connect(&world, &json!({ "sub": "ann", "exp": START + 10 }));
    let (mut eager, _) = connect(&world, &json!({ "sub": "bob", "exp": START + 10 }));
    world.pass(Duration::from_secs(9)).await;
    let fresh = token(&json!({ "sub": "bob", "exp": START + 3600 }));
    let reply = eager.call("refresh", json!({ "token": fresh }));
    assert_eq!(reply["refresh"]["ttl"], json!(3591));
    for _ in 0..3 {
        world.pass(Duration::from_secs(8)).await;
        for peer in [&mut lazy, &mut eager] {
            if peer.take().contains(&json!({})) {
                peer.send_raw("{}");
            }
        }
    }
    assert_eq!(
        lazy.code(),
        None,
        "refreshing late is possible for 25 seconds"
    );
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(lazy.code(), Some(3005));
    assert_eq!(eager.code(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_with_a_wrong_token_has_its_code() {
    // HUB 4, scenarios 23 and 24.
    for (claims, code) in [
        (json!({ "sub": "bob" }), 3500),
        (json!({ "sub": "ann", "exp": START - 60 }), 3005),
        (json!({ "sub": "ann", "expire_at": START - 60 }), 3005),
        (json!({ "sub": "ann", "channels": ["news"] }), 3010),
    ] {
        let world = World::new();
        let mut peer = world.connect_as("ann");
        peer.send("refresh", json!({ "token": token(&claims) }));
        assert_eq!(peer.code(), Some(code), "{claims}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_token_opens_a_private_channel() {
    let world = World::new();
    let mut peer = world.connect_as("ann");
    let mut subscribe = |claims: &Value| {
        let request = json!({ "channel": "$secret", "token": token(claims) });
        let reply = peer.call("subscribe", request);
        peer.call("unsubscribe", json!({ "channel": "$secret" }));
        reply
    };
    let good = json!({ "sub": "ann", "channel": "$secret", "exp": START + 30, "info": 7 });
    let reply = subscribe(&good);
    assert_eq!(reply["subscribe"]["ttl"], json!(30), "{reply}");
    let expired = json!({ "sub": "ann", "channel": "$secret", "exp": START - 60 });
    assert_eq!(subscribe(&expired)["error"]["code"], json!(109));
    for wrong in [
        json!({ "sub": "bob", "channel": "$secret" }),
        json!({ "sub": "ann", "channel": "$other" }),
        json!({ "sub": "ann", "channel": "$secret", "client": "other" }),
    ] {
        let mut peer = world.connect_as("ann");
        let request = json!({ "channel": "$secret", "token": token(&wrong) });
        peer.send("subscribe", request);
        assert_eq!(peer.code(), Some(3500), "{wrong}");
    }
    let mut peer = world.connect_as("ann");
    let request = json!({ "channel": "$secret", "token": "a.b.c" });
    assert_eq!(peer.error("subscribe", request), 103);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_not_refreshed_ends_with_2501() {
    let world = World::new();
    let claims = |exp: u64| json!({ "sub": "ann", "channel": "$secret", "exp": exp });
    let (mut lazy, mut eager) = (world.connect_as("ann"), world.connect_as("ann"));
    for peer in [&mut lazy, &mut eager] {
        let request = json!({ "channel": "$secret", "token": token(&claims(START + 10)) });
        peer.call("subscribe", request);
    }
    let request = json!({ "channel": "$secret", "token": token(&claims(START + 3600)) });
    let reply = eager.call("sub_refresh", request);
    assert_eq!(reply["sub_refresh"]["expires"], json!(true), "{reply}");
    let mut pushes = Vec::new();
    for _ in 0..4 {
        world.pass(Duration::from_secs(9)).await;
        for peer in [&lazy, &eager] {
            let frames = peer.take();
            if frames.contains(&json!({})) {
                peer.send_raw("{}");
            }
            pushes.extend(frames.into_iter().filter(|frame| frame["push"].is_object()));
        }
    }
    assert_eq!(pushes.len(), 1, "{pushes:?}");
    assert_eq!(pushes[0]["push"]["unsubscribe"]["code"], json!(2501));
    assert_eq!(world.node.info().num_subs, 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_refresh_of_a_subscription_has_its_code() {
    // HUB 4, scenario 26.
    let world = World::new();
    let mut peer = world.connect_as("ann");
    let good = token(&json!({ "sub": "ann", "channel": "$secret" }));
    let request = json!({ "channel": "$secret", "token": good });
    assert_eq!(peer.error("sub_refresh", request.clone()), 103);
    peer.call("subscribe", request);
    let expired = token(&json!({ "sub": "ann", "channel": "$secret", "exp": START - 60 }));
    peer.send(
        "sub_refresh",
        json!({ "channel": "$secret", "token": expired }),
    );
    assert_eq!(peer.code(), Some(3006));
}

#[tokio::test(start_paused = true)]
async fn the_connect_command_may_name_channels_that_the_client_could_subscribe_to() {
    let world = World::new();
    let mut peer = world.open();
    let subs = json!({ "news": {}, "closed:a": {}, "$private": {}, "talk#bob": {} });
    let request = json!({ "token": token(&json!({ "sub": "ann" })), "subs": subs });
    let reply = peer.call("connect", request);
    let subscribed: Vec<&String> = reply["connect"]["subs"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(subscribed, ["news"]);

    let mut peer = world.open();
    peer.send("connect", json!({ "subs": { "unknown:a": {} } }));
    assert_eq!(peer.code(), Some(3501));
}

#[tokio::test(start_paused = true)]
async fn a_new_token_need_not_name_what_a_back_end_has_subscribed() {
    let world = World::new();
    let mut ann = world.open();
    let claims = json!({ "sub": "ann", "channels": ["a", ""] });
    ann.call("connect", json!({ "token": token(&claims) }));
    let (all, how) = Default::default();
    world.node.subscribe("ann", "b", &all, how).await.unwrap();
    assert_eq!(ann.pushes().len(), 1);
    let reply = ann.call("refresh", json!({ "token": token(&claims) }));
    assert_eq!(reply["refresh"], json!({}));
    // The one of the old token is missing.
    let other = json!({ "sub": "ann", "channels": ["b"] });
    ann.send("refresh", json!({ "token": token(&other) }));
    assert_eq!(ann.code(), Some(3010));
}
