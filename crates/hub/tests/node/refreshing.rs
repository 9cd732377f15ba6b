//! The application decides on connections and subscriptions whose time is over, and what it learns about clients.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde_json::json;
use sockeye_hub::{
    ClientHeaders, ConnectionInfo, Credentials, Disconnect, ErrorCode, NodeSettings, PublishGrant,
    Publishing, Refreshed, Rejection, SubRefreshed, SubscriptionGrant, UnixMillis, wire::Encoding,
};

use crate::world::{Peer, START, World};

/// What a handler answers, one after the other. The last answer is repeated.
struct Script<T>(Mutex<(usize, Vec<T>)>);

impl<T: Clone> Script<T> {
    fn new(answers: impl IntoIterator<Item = T>) -> Arc<Self> {
        Arc::new(Self(Mutex::new((0, answers.into_iter().collect()))))
    }

    fn next(&self) -> T {
        let (asked, answers) = &mut *self.0.lock().unwrap();
        *asked += 1;
        answers[(*asked - 1).min(answers.len() - 1)].clone()
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().0
    }
}

fn at(seconds: u64) -> Option<UnixMillis> {
    Some(UnixMillis((START + seconds) * 1000))
}

/// Starts a node whose clients are ann, with a time of 10 s, and are refreshed as the script says.
fn refreshed_by(script: &Arc<Script<Result<Refreshed, Rejection>>>) -> World {
    let script = Arc::clone(script);
    World::with(|builder| {
        builder
            .on_connect(|_| async {
                Ok(Some(Credentials {
                    user: "ann".to_owned(),
                    expire_at: at(10),
                    meta: Bytes::from_static(b"1"),
                    ..Credentials::default()
                }))
            })
            .on_refresh(move |event| {
                let answer = script.next();
                assert_eq!(&*event.client.user, "ann");
                async move { answer }
            })
            .on_rpc(|event| async move { Ok(event.client.meta) })
    })
}

/// Answers pings, so that the client lives.
fn pong(peer: &mut Peer) {
    if peer.take().contains(&json!({})) {
        peer.send_raw("{}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_application_refreshes_stays_with_what_it_says() {
    let answer = Refreshed {
        expire_at: at(3600),
        info: Some(Bytes::from_static(br#"{"name":"Ann"}"#)),
        meta: Some(Bytes::from_static(b"2")),
    };
    let script = Script::new([Ok(answer)]);
    let world = refreshed_by(&script);
    let mut peer = world.open();
    let reply = peer.call("connect", json!({}));
    // A client that isn't told doesn't try itself.
    assert_eq!(reply["connect"].get("expires"), None, "{reply}");
    peer.subscribe("news");
    assert_eq!(peer.call("rpc", json!({}))["rpc"]["data"], json!(1));
    world.pass(Duration::from_secs(9)).await;
    assert_eq!(script.asked(), 0);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!((script.asked(), peer.code()), (1, None));
    assert_eq!(peer.call("rpc", json!({}))["rpc"]["data"], json!(2));
    let reply = peer.call("presence", json!({ "channel": "news" }));
    let info = &reply["presence"]["presence"][&**peer.client.id()];
    assert_eq!(info["conn_info"], json!({ "name": "Ann" }));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_application_does_not_refresh_ends_with_3005() {
    for (answer, code) in [
        (
            Ok(Refreshed {
                expire_at: at(0),
                ..Refreshed::default()
            }),
            3005,
        ),
        (Err(Disconnect::new(4500, "banned").unwrap().into()), 4500),
    ] {
        let script = Script::new([answer]);
        let world = refreshed_by(&script);
        let peer = world.connect();
        world.pass(Duration::from_secs(11)).await;
        assert_eq!((script.asked(), peer.code()), (1, Some(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_error_the_application_is_asked_again_when_the_close_delay_is_over() {
    let fine = Ok(Refreshed {
        expire_at: at(3600),
        ..Refreshed::default()
    });
    let script = Script::new([Err(ErrorCode::Internal.into()), fine]);
    let world = refreshed_by(&script);
    let mut peer = world.connect();
    world.pass(Duration::from_secs(11)).await;
    assert_eq!(script.asked(), 1);
    world.pass(Duration::from_secs(20)).await;
    pong(&mut peer);
    assert_eq!((script.asked(), peer.code()), (1, None));
    world.pass(Duration::from_secs(7)).await;
    assert_eq!((script.asked(), peer.code()), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_refreshes_where_the_server_does_is_ended_with_3501() {
    let world = refreshed_by(&Script::new([Ok(Refreshed::default())]));
    let mut peer = world.connect();
    let token = crate::world::token(&json!({ "sub": "ann" }));
    peer.send("refresh", json!({ "token": token }));
    assert_eq!(peer.code(), Some(3501));
}

/// Starts a node whose subscriptions in `asked` have a time of 10 s, and are refreshed as the script says.
fn subscriptions_refreshed_by(script: &Arc<Script<Result<SubRefreshed, Rejection>>>) -> World {
    let script = Arc::clone(script);
    World::with(|builder| {
        builder
            .on_subscribe(|event| async move {
                let is_asked = event.namespace == "asked";
                Ok(Some(SubscriptionGrant {
                    expire_at: at(10).filter(|_| is_asked),
                    ..SubscriptionGrant::default()
                }))
            })
            .on_sub_refresh(move |event| {
                let answer = script.next();
                assert_eq!((&*event.channel, &*event.namespace), ("asked:a", "asked"));
                async move { answer }
            })
    })
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_the_application_refreshes_stays() {
    let answer = SubRefreshed {
        expire_at: at(3600),
        info: Some(Bytes::from_static(b"7")),
    };
    let script = Script::new([Ok(answer)]);
    let world = subscriptions_refreshed_by(&script);
    let mut peer = world.connect();
    let reply = peer.subscribe("asked:a");
    assert_eq!(reply.get("expires"), None, "{reply}");
    world.pass(Duration::from_secs(11)).await;
    assert_eq!(script.asked(), 1);
    let reply = peer.call("presence", json!({ "channel": "asked:a" }));
    let info = &reply["presence"]["presence"][&**peer.client.id()];
    assert_eq!(info["chan_info"], json!(7));
    world.pass(Duration::from_secs(20)).await;
    assert_eq!((script.asked(), peer.code()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_the_application_does_not_refresh_ends_with_2501() {
    let over = SubRefreshed {
        expire_at: at(0),
        info: None,
    };
    let world = subscriptions_refreshed_by(&Script::new([Ok(over)]));
    let mut peer = world.connect();
    peer.subscribe("asked:a");
    peer.subscribe("watched:b");
    world.pass(Duration::from_secs(11)).await;
    let pushes = peer.pushes();
    let ended: Vec<_> = pushes
        .iter()
        .filter(|push| push.get("unsubscribe").is_some())
        .collect();
    let [push] = &ended[..] else {
        panic!("one end: {pushes:?}")
    };
    assert_eq!(
        (&push["channel"], &push["unsubscribe"]["code"]),
        (&json!("asked:a"), &json!(2501))
    );
    assert_eq!((peer.code(), world.node.info().num_subs), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_a_subscription_that_has_ended_does_not_touch_its_successor() {
    let grants = Script::new([at(10), at(3600)]);
    let asked = Script::new([()]);
    let counted = Arc::clone(&asked);
    let world = World::with(|builder| {
        builder
            .on_subscribe(move |_| {
                let expire_at = grants.next();
                async move {
                    Ok(Some(SubscriptionGrant {
                        expire_at,
                        ..SubscriptionGrant::default()
                    }))
                }
            })
            .on_sub_refresh(move |_| {
                counted.next();
                async {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    Ok(SubRefreshed {
                        expire_at: at(0),
                        info: None,
                    })
                }
            })
    });
    let mut peer = world.connect();
    peer.subscribe("asked:a");
    // The application is asked, and takes its time.
    world.pass(Duration::from_secs(11)).await;
    assert_eq!(asked.asked(), 1);
    peer.call("unsubscribe", json!({ "channel": "asked:a" }));
    peer.subscribe("asked:a");
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.rest().await;
    assert!(
        peer.pushes()
            .iter()
            .all(|push| push.get("unsubscribe").is_none())
    );
    assert_eq!((peer.code(), world.node.info().num_subs), (None, 1));
    assert_eq!(asked.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_refreshes_a_subscription_where_the_server_does_is_ended_with_3501() {
    let world = subscriptions_refreshed_by(&Script::new([Ok(SubRefreshed::default())]));
    let mut peer = world.connect();
    peer.subscribe("asked:a");
    peer.send(
        "sub_refresh",
        json!({ "channel": "asked:a", "token": "a.b.c" }),
    );
    assert_eq!(peer.code(), Some(3501));
}

#[tokio::test(start_paused = true)]
async fn header_fields_that_are_kept_reach_the_handlers_by_who_set_them() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (at_connect, later) = (Arc::clone(&seen), Arc::clone(&seen));
    let world = World::with(|builder| {
        let mut settings = NodeSettings::default();
        settings.kept_headers = vec!["x-trace".to_owned(), "x-token".to_owned()];
        builder
            .settings(settings)
            .on_connect(move |event| {
                at_connect.lock().unwrap().push(Some(event.headers));
                async { Ok(Some(Credentials::default())) }
            })
            .on_rpc(move |event| {
                later.lock().unwrap().push(event.client.headers);
                async { Ok(Bytes::new()) }
            })
    });
    let fields = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let info = ConnectionInfo {
        headers: fields(&[("x-trace", "of the request"), ("cookie", "a=1")]),
        credentials: None,
    };
    let mut peer = world.open_as(Encoding::Json, info);
    let brought = json!({ "X-Trace": "of the client", "X-Token": "t" });
    peer.call("connect", json!({ "headers": brought }));
    peer.call("rpc", json!({}));
    let mut plain = world.connect();
    plain.call("rpc", json!({}));
    let emulated = fields(&[("x-trace", "of the client"), ("x-token", "t")]);
    let headers = |request: &[(&str, &str)]| {
        Some(Arc::new(ClientHeaders {
            request: fields(request),
            emulated: emulated.clone(),
        }))
    };
    assert_eq!(
        *seen.lock().unwrap(),
        [
            headers(&[("x-trace", "of the request"), ("cookie", "a=1")]),
            headers(&[("x-trace", "of the request")]),
            Some(Arc::default()),
            None,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_application_is_asked_about_what_can_be_published_and_says_how() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let world = World::with(|builder| {
        builder.on_publish(move |event| {
            seen.lock().unwrap().push((event.namespace, event.channel));
            async {
                Ok(Some(PublishGrant {
                    data: Some(Bytes::from_static(b"2")),
                    how: Publishing {
                        skip_history: true,
                        tags: [("kind".to_owned(), "new".to_owned())]
                            .into_iter()
                            .collect(),
                        ..Publishing::default()
                    },
                }))
            }
        })
    });
    let mut peer = world.connect();
    peer.subscribe("watched:a");
    peer.take();
    assert_eq!(
        peer.error("publish", json!({ "channel": "watched:a" })),
        107
    );
    peer.send("publish", json!({ "channel": "watched:a", "data": 1 }));
    let pushes = peer.pushes();
    let publication = &pushes[0]["pub"];
    assert_eq!(
        (&publication["data"], &publication["tags"]),
        (&json!(2), &json!({ "kind": "new" }))
    );
    assert_eq!(publication.get("offset"), None);
    assert_eq!(
        *asked.lock().unwrap(),
        [("watched".to_owned(), "watched:a".to_owned())]
    );
}
