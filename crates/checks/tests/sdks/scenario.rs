//! What each SDK does and must see.

use serde_json::json;

use crate::{back_end::SERVER_SIDE, client::Client, procedures::Procedures, world::World};

/// Starts a client: the server's URL, the URL of its tokens.
pub(crate) type Start<'a, 'b> = &'a dyn Fn(&str, &str) -> Client<'b>;

/// The whole scenario.
pub(crate) fn run(world: &mut World, start: Start<'_, '_>) {
    let mut ann = start(&world.url(), &world.back_end.tokens("ann", "1h"));
    talks(world, &mut ann);
    asks(world, &mut ann);
    hears_of_others(world, &mut ann, start);
    is_subscribed_by_the_server(world, &mut ann);
    recovers_what_it_missed(world, &mut ann);
    comes_back_when_told_to(world, &mut ann);
    learns_that_the_history_is_gone(world, &mut ann);
    leaves(world, &mut ann);
    brings_a_new_token(world, start);
    calls_procedures(world, start);
}

/// Subscribes, publishes, and gets its own publications and those of the back end.
pub(crate) fn talks(world: &mut World, ann: &mut Client<'_>) {
    ann.order("connect");
    ann.wait_for("connected", 1);
    ann.order("subscribe news");
    ann.wait_for("subscribed", 1);
    for number in 1..=3 {
        let data = json!({ "number": number });
        assert_eq!(ann.ask(&format!("publish news {data}"))["code"], 0);
        world.note("news", data, "ann");
    }
    world.publish("news", json!({ "number": 4 }));
    ann.wait_for("publication", 4);
    assert_eq!(ann.all("publication"), world.publications("news"));
    // A namespace that isn't configured.
    assert_eq!(ann.ask("publish unknown:a 1")["code"], 102);
    // Nobody answers procedures here.
    assert_eq!(ann.ask("rpc repeat 1")["code"], 108);
}

fn asks(world: &World, ann: &mut Client<'_>) {
    let subscribed = json!([{ "channel": "news", "wasRecovering": false, "recovered": false }]);
    assert_eq!(json!(ann.all("subscribed")), subscribed);
    let history = ann.ask("history news");
    assert_eq!(history["publications"], json!(world.data("news")));
    assert_eq!(history["offset"], json!(world.data("news").len()));
    assert_eq!(ann.ask("presence news")["users"], json!(["ann"]));
    let stats = ann.ask("stats news");
    assert_eq!((&stats["clients"], &stats["users"]), (&json!(1), &json!(1)));
    assert_eq!(ann.ask("history unknown:a")["code"], 102);
}

fn hears_of_others(world: &World, ann: &mut Client<'_>, start: Start<'_, '_>) {
    let mut bob = start(&world.url(), &world.back_end.tokens("bob", "1h"));
    bob.order("connect");
    bob.order("subscribe news");
    ann.wait_for_such("join", 1, |fact| fact["user"] == "bob");
    bob.wait_for("subscribed", 1);
    bob.order("disconnect");
    ann.wait_for_such("leave", 1, |fact| fact["user"] == "bob");
    assert_eq!(ann.ask("presence news")["users"], json!(["ann"]));
}

fn is_subscribed_by_the_server(world: &mut World, ann: &mut Client<'_>) {
    ann.wait_for_such("server_subscribed", 1, |fact| {
        fact["channel"] == SERVER_SIDE
    });
    world.publish(SERVER_SIDE, json!("by the token"));
    world.order("subscribe", &json!({ "user": "ann", "channel": "more" }));
    ann.wait_for_such("server_subscribed", 1, |fact| fact["channel"] == "more");
    world.publish("more", json!("by the API"));
    ann.wait_for("server_publication", 2);
    world.order("unsubscribe", &json!({ "user": "ann", "channel": "more" }));
    ann.wait_for_such("server_unsubscribed", 1, |fact| fact["channel"] == "more");
    world.publish("more", json!("for nobody"));
    world.publish(SERVER_SIDE, json!("after it"));
    ann.wait_for("server_publication", 3);
    let mut expected = world.publications(SERVER_SIDE);
    expected.insert(1, world.publications("more")[0].clone());
    // Two channels have no order between them.
    let by_channel = |publications: Vec<serde_json::Value>| {
        let mut texts: Vec<String> = publications.iter().map(ToString::to_string).collect();
        texts.sort();
        texts
    };
    assert_eq!(
        by_channel(ann.all("server_publication")),
        by_channel(expected)
    );
}

/// The wire is cut twice: once with much missed, once with nothing.
fn recovers_what_it_missed(world: &mut World, ann: &mut Client<'_>) {
    let missed = [(5..=60).collect(), Vec::new()];
    for (times, numbers) in (1..).zip::<[Vec<u32>; 2]>(missed) {
        world.cut();
        ann.wait_for("connecting", times + 1);
        for number in numbers {
            world.publish("news", json!({ "number": number }));
            world.publish(SERVER_SIDE, json!(number));
        }
        world.mend();
        ann.wait_for("subscribed", times + 1);
        world.publish("news", json!({ "back": times }));
        world.publish(SERVER_SIDE, json!({ "back": times }));
        ann.wait_for_such("publication", 1, |fact| fact["data"]["back"] == times);
        ann.wait_for_such("server_publication", 1, |fact| {
            fact["data"]["back"] == times
        });
    }
    assert_eq!(ann.all("publication"), world.publications("news"));
    let mut direct = ann.all("server_publication");
    direct.retain(|publication| publication["channel"] == SERVER_SIDE);
    assert_eq!(direct, world.publications(SERVER_SIDE));
    let recovered = json!({ "channel": "news", "wasRecovering": true, "recovered": true });
    assert_eq!(ann.all("subscribed")[1..], [recovered.clone(), recovered]);
}

/// The back end ends the connection with a code after which an SDK comes back. It misses nothing.
fn comes_back_when_told_to(world: &mut World, ann: &mut Client<'_>) {
    let times = ann.all("subscribed").len();
    let ending = json!({ "code": 4000, "reason": "come back" });
    world.order(
        "disconnect",
        &json!({ "user": "ann", "disconnect": ending }),
    );
    for number in 61..=65 {
        world.publish("news", json!({ "number": number }));
    }
    let subscribed = ann.wait_for("subscribed", times + 1);
    assert_eq!(
        (&subscribed["wasRecovering"], &subscribed["recovered"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(ann.all("connecting").last().unwrap()["code"], 4000);
    ann.wait_for_such("publication", 1, |fact| fact["data"]["number"] == 65);
    assert_eq!(ann.all("publication"), world.publications("news"));
}

/// A server with its history in memory is killed. The SDK is told that it can't have what it missed, and goes on.
fn learns_that_the_history_is_gone(world: &mut World, ann: &mut Client<'_>) {
    ann.forget();
    world.restart();
    let subscribed = ann.wait_for("subscribed", 1);
    assert_eq!(
        (&subscribed["wasRecovering"], &subscribed["recovered"]),
        (&json!(true), &json!(false))
    );
    world.publish("news", json!("a new history"));
    ann.wait_for("publication", 1);
    assert_eq!(ann.all("publication"), world.publications("news"));
}

/// Unsubscribes, and is then ended by the back end with a code after which an SDK stays away.
fn leaves(world: &mut World, ann: &mut Client<'_>) {
    ann.order("unsubscribe news");
    assert_eq!(ann.wait_for("unsubscribed", 1)["code"], 0);
    // Without a WebSocket each command is a request of its own, and this one may overtake the one before.
    while ann.ask("stats news")["clients"] != 0 {}
    world.publish("news", json!("for nobody"));
    let ending = json!({ "code": 4500, "reason": "stay away" });
    world.order(
        "disconnect",
        &json!({ "user": "ann", "disconnect": ending }),
    );
    assert_eq!(ann.wait_for("disconnected", 1)["code"], 4500);
    assert_eq!(ann.all("publication").len(), 1);
}

/// A token lives for two seconds. The third one is asked for only if the server has taken the second one.
fn brings_a_new_token(world: &World, start: Start<'_, '_>) {
    let mut dora = start(&world.url(), &world.back_end.tokens("dora", "2s"));
    dora.order("connect");
    dora.wait_for("token", 3);
    assert_eq!(dora.all("connected").len(), 1);
    assert_eq!(dora.ask("stats news")["code"], 0);
}

/// Procedures are those of a program that embeds the hub.
pub(crate) fn calls_procedures(world: &World, start: Start<'_, '_>) {
    let procedures = Procedures::start(&world.back_end.url(""));
    let mut ann = start(&procedures.url(), &world.back_end.tokens("ann", "1h"));
    ann.order("connect");
    ann.wait_for("connected", 1);
    let argument = json!({ "words": ["你好", ""] });
    let answer = ann.ask(&format!("rpc repeat {argument}"));
    assert_eq!(
        answer["data"],
        json!({ "method": "repeat", "argument": argument })
    );
    assert_eq!(ann.ask("rpc unknown 1")["code"], 104);
}
