//! Differences between publications in place of whole ones (Fossil delta compression): the SDK has the texts that were published,
//! and few bytes were sent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{client::Client, programs, world::World};

/// Publishes documents that differ in little over two cuts: in a channel with a history, and in one that keeps the newest alone.
#[track_caller]
fn run(options: &[&str]) {
    // Compression would make whole documents small, too.
    let world = World::start_with(BTreeMap::new(), "deflate = \"off\"");
    let (Some(_), Some(mut world)) = (programs::javascript(), world) else {
        return;
    };
    let options = [options, &["--delta"]].concat();
    let tokens = world.back_end.tokens("ann", "1h");
    let mut ann = programs::start(programs::javascript(), &world.url(), &tokens, &options);
    ann.order("connect");
    ann.order("subscribe news");
    ann.order("subscribe newest:page");
    ann.wait_for("subscribed", 2);

    let before = world.delivered();
    publish(&mut world, "news", 1..=8);
    publish(&mut world, "newest:page", 1..=8);
    wait_for(&mut ann, 8);
    world.cut();
    ann.wait_for("connecting", 2);
    publish(&mut world, "news", 9..=16);
    publish(&mut world, "newest:page", 9..=16);
    world.mend();
    ann.wait_for("subscribed", 4);
    publish(&mut world, "news", 17..=24);
    publish(&mut world, "newest:page", 17..=24);
    wait_for(&mut ann, 24);

    for fact in &ann.all("subscribed")[2..] {
        assert_eq!(
            (&fact["wasRecovering"], &fact["recovered"]),
            (&json!(true), &json!(true))
        );
    }
    assert_eq!(of_channel(&ann, "news"), world.publications("news"));
    let mut newest = world.publications("newest:page");
    // Of what it missed, a client of such a channel gets the last one.
    newest.drain(8..15);
    assert_eq!(of_channel(&ann, "newest:page"), newest);

    // Whole ones: the first of each channel, one that was recovered, and the first after that.
    let whole = document(1).to_string().len() as u64;
    let sent = world.delivered() - before;
    assert!(sent > 2 * whole, "{sent} of {whole}");
    assert!(sent < 12 * whole, "{sent} of {whole}");
}

fn publish(world: &mut World, channel: &str, numbers: std::ops::RangeInclusive<usize>) {
    for number in numbers {
        world.publish(channel, document(number));
    }
}

/// Waits until a document has come in both channels.
fn wait_for(ann: &mut Client<'_>, number: usize) {
    ann.wait_for_such("publication", 2, |fact| fact["data"]["number"] == number);
}

fn of_channel(ann: &Client<'_>, channel: &str) -> Vec<Value> {
    let mut publications = ann.all("publication");
    publications.retain(|publication| publication["channel"] == channel);
    publications
}

/// A text whose characters have one to four bytes, and whose differences begin and end within such.
fn document(number: usize) -> Value {
    let words = "Grüße, 你好, \u{1f469}\u{200d}\u{1f680} ";
    let emoji = [
        "\u{1f600}",
        "\u{1f601}",
        "\u{1f680}",
        "你",
        "佡",
        "ä",
        "å",
        "a",
    ];
    json!({
        "number": number,
        "before": words.repeat(60),
        "changes": emoji[number % emoji.len()].repeat(number),
        "after": words.repeat(60),
    })
}

#[test]
fn javascript_with_json() {
    run(&["--transport", "websocket"]);
}

#[test]
fn javascript_with_protobuf() {
    run(&["--transport", "websocket", "--protobuf"]);
}

#[test]
fn javascript_over_server_sent_events() {
    run(&["--transport", "sse"]);
}
