//! One flow of each page in Firefox.

use std::time::Duration;

use sockeye_checks::{Process, Server, need};

#[test]
fn one_flow_of_each_page_works_in_firefox() {
    let Some(firefox) = need::firefox() else {
        return;
    };
    let Some(mut command) = need::node("firefox.mjs") else {
        return;
    };
    let Some(server) = Server::start(&["--dev"]) else {
        return;
    };
    command
        .arg(firefox)
        .arg(server.url("").replace("ws://", "http://"));
    let mut process = Process::start("Firefox", &mut command, LIMIT);
    for flow in ["welcome", "chat", "login"] {
        process.wait_for_text(&format!("{flow} works"));
    }
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
}

/// A cold start takes half a minute on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);
