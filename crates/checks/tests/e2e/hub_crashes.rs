//! The hub is killed again and again while publishers and a subscriber use it, and has lost nothing.

use std::{env, time::Duration};

use serde_json::{Value, json};
use sockeye_checks::{Port, PowerCut, Process, Server, need, sockeye};

use crate::conversation::{facts, the};

const CONFIGURATION: &str = r#"
[http_api]
key = "s3cret"

[client]
insecure = true
recovery_max_publication_limit = 100000

[channel.without_namespace]
history_size = 100000
history_ttl = "1h"
force_recovery = true
"#;

/// Each publication that was accepted reaches the subscriber once, in the order of the offsets, and no subscription begins
/// anew: the SDK recovers each time. A publisher whose publication was not answered publishes it again with its key.
fn nothing_is_lost(sync: &str, end: End) {
    let Some(mut peer) = need::node("hub_crashes.mjs") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let data = directory.path().join("data");
    let port = Port::reserve();
    let address = port.addr().to_string();
    let arguments = [
        "--listen",
        &address,
        "--config",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--log-sync",
        sync,
    ];
    let mut power_cut = None;
    if end == End::PowerCut {
        let Some(prepared) = PowerCut::prepare(directory.path(), &data.join("channels")) else {
            return;
        };
        power_cut = Some(prepared);
    }
    let Some(mut server) = start(&arguments, power_cut.as_ref()) else {
        return;
    };
    peer.arg(format!("http://{address}"))
        .args(["--api-key", "s3cret", "--publishers", "4"]);
    let mut peer = Process::start("the SDK", &mut peer, LIMIT);
    let mut accepted = 0;
    let kills = kills();
    let mut unsynced = 0;
    for kill in 0..kills {
        let enough = accepted + PUBLICATIONS;
        accepted = peer.wait_for("publications that are accepted", |line| {
            let fact: Value = serde_json::from_str(&line.text).ok()?;
            fact["count"].as_u64().filter(|count| *count >= enough)
        });
        server.process().kill();
        drop(server);
        if let Some(power_cut) = &mut power_cut {
            unsynced += power_cut.cut(kill);
        }
        server = start(&arguments, power_cut.as_ref()).unwrap();
    }
    peer.write_line("end");
    let ended = peer.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let end = the(&facts, "end");
    println!("{kills} kills, {unsynced} changes not synced: {end}");
    assert_eq!(end["seen"], end["accepted"], "{end}");
    assert_eq!(end["distinct"], end["accepted"], "{end}");
    assert_eq!(
        json!([
            end["missing"],
            end["misplaced"],
            end["epochs"],
            end["unrecovered"]
        ]),
        json!([0, 0, 1, 0]),
        "{end}"
    );
    assert_eq!(end["inOrder"], json!(true), "{end}");
    assert!(end["recoveries"].as_u64().unwrap() >= kills / 2, "{end}");
}

/// What ends the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// `kill -9`: the kernel has what was written.
    Kill,
    /// The kernel loses a part of what was not synced, too.
    PowerCut,
}

fn start(arguments: &[&str], power_cut: Option<&PowerCut>) -> Option<Server> {
    let mut command = sockeye("serve", arguments)?;
    if let Some(power_cut) = power_cut {
        power_cut.watch(&mut command);
    }
    Some(Server::start_command(command, LIMIT))
}

#[test]
fn kill_9_loses_nothing_that_was_accepted() {
    nothing_is_lost("interval", End::Kill);
}

#[test]
fn kill_9_loses_nothing_that_was_accepted_and_synced() {
    nothing_is_lost("each", End::Kill);
}

#[test]
fn a_power_cut_loses_nothing_that_was_accepted_and_synced() {
    nothing_is_lost("each", End::PowerCut);
}

/// How often the server is killed: `make crashes KILLS=100`.
fn kills() -> u64 {
    let kills = env::var("KILLS").ok();
    kills.map_or(4, |text| text.parse().expect("KILLS is a number"))
}

/// Between two kills.
const PUBLICATIONS: u64 = 200;

/// A time that no run lasts, a hundred kills included.
const LIMIT: Duration = Duration::from_secs(900);
