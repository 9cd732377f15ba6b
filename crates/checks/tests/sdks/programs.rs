//! The SDKs that run as programs.

use std::{collections::BTreeMap, process::Command, time::Duration};

use sockeye_checks::{Process, need};

use crate::{
    client::Client,
    scenario::{self, calls_procedures, talks},
    world::World,
};

/// Lets one SDK go through the scenario.
#[track_caller]
fn run(program: impl Fn() -> Option<Command>, options: &[&str]) {
    let (Some(_), Some(mut world)) = (program(), World::start(BTreeMap::new())) else {
        return;
    };
    scenario::run(&mut world, &|url, tokens| {
        start(program(), url, tokens, options)
    });
}

pub(crate) fn start(
    program: Option<Command>,
    url: &str,
    tokens: &str,
    options: &[&str],
) -> Client<'static> {
    let mut program = program.expect("it was there");
    program.args([url, tokens]).args(options);
    Client::new(Process::start("the SDK", &mut program, LIMIT))
}

pub(crate) fn javascript() -> Option<Command> {
    need::node("sdk.mjs")
}

#[test]
fn javascript_over_websocket() {
    run(javascript, &["--transport", "websocket"]);
}

#[test]
fn javascript_over_websocket_with_protobuf() {
    let options = ["--transport", "websocket", "--protobuf"];
    run(javascript, &options);
}

#[test]
fn javascript_over_an_http_stream() {
    run(javascript, &["--transport", "http_stream"]);
}

#[test]
fn javascript_over_an_http_stream_with_protobuf() {
    let options = ["--transport", "http_stream", "--protobuf"];
    run(javascript, &options);
}

#[test]
fn javascript_over_server_sent_events() {
    run(javascript, &["--transport", "sse"]);
}

#[test]
fn python_with_json() {
    run(|| need::python("sdk.py"), &[]);
}

#[test]
fn python_with_protobuf() {
    run(|| need::python("sdk.py"), &["--protobuf"]);
}

#[test]
fn go_with_json() {
    run(need::go_sdk, &[]);
}

#[test]
fn go_with_protobuf() {
    run(need::go_sdk, &["--protobuf"]);
}

#[test]
fn java_with_protobuf() {
    run(need::java_sdk, &[]);
}

/// tokio-centrifuge knows nothing of histories and recovery: it talks, comes back after a cut and a restart, and calls procedures.
#[track_caller]
fn rust(options: &[&str]) {
    let (Some(_), Some(mut world)) = (need::rust_sdk(), World::start(BTreeMap::new())) else {
        return;
    };
    let start = |url: &str, tokens: &str| start(need::rust_sdk(), url, tokens, options);
    let mut ann = start(&world.url(), &world.back_end.tokens("ann", "1h"));
    talks(&mut world, &mut ann);
    world.cut();
    ann.wait_for("connecting", 2);
    world.mend();
    ann.wait_for("subscribed", 2);
    world.publish("news", "back".into());
    ann.wait_for("publication", 5);
    assert_eq!(ann.all("publication"), world.publications("news"));
    ann.forget();
    world.restart();
    ann.wait_for("subscribed", 1);
    world.publish("news", "a new history".into());
    ann.wait_for("publication", 1);
    assert_eq!(ann.all("publication"), world.publications("news"));
    calls_procedures(&world, &start);
}

#[test]
fn rust_with_json() {
    rust(&[]);
}

#[test]
fn rust_with_protobuf() {
    rust(&["--protobuf"]);
}

/// Seconds are enough; the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
