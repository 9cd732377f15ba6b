//! Filters by tags over channels with a history, with the SDK of JavaScript, unchanged.

use serde_json::json;
use sockeye_checks::{Process, Server, need};

use crate::conversation::{LIMIT, facts, the};

const CONFIGURATION: &str = r#"
[http_api]
key = "s3cret"

[client]
insecure = true

[channel.without_namespace]
history_size = 100
history_ttl = "300s"
force_recovery = true
allow_tags_filter = true

[[channel.namespaces]]
name = "score"
history_size = 1
history_ttl = "300s"
force_recovery = true
force_recovery_mode = "cache"
auto_cache_recover = true
allow_tags_filter = true
"#;

/// Where the server has its histories.
#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    InMemory,
    /// In a log on the disk.
    Kept,
}

fn run(more: &[&str], history: History) {
    let Some(mut peer) = need::node("tag_filters.mjs") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sockeye.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let data = directory.path().join("data");
    let mut arguments = vec!["--config", file.to_str().unwrap()];
    if history == History::Kept {
        arguments.extend(["--data", data.to_str().unwrap()]);
    }
    let Some(server) = Server::start(&arguments) else {
        return;
    };
    peer.arg(format!("http://127.0.0.1:{}", server.port()))
        .args(["--api-key", "s3cret"])
        .args(more);
    let ended = Process::start("the SDK", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    let live = the(&facts, "live");
    assert_eq!(live["publications"], json!([[1, 1], [3, 3]]));
    let recovered = the(&facts, "recovered");
    assert_eq!(
        recovered["publications"],
        json!([[1, 1], [3, 3], [6, 6], [8, 8]])
    );
    assert_eq!(recovered["begun"], json!([[false, false], [true, true]]));
    let again = the(&facts, "again");
    assert_eq!(
        again["publications"],
        json!([[1, 1], [3, 3], [6, 6], [8, 8], [11, 11]])
    );
    // No gap was seen where others' publications are: the subscription would have begun once more.
    assert_eq!(
        again["begun"],
        json!([[false, false], [true, true], [true, true]])
    );
    assert_eq!(
        the(&facts, "not the newest")["publications"],
        json!([[3, 3]])
    );
    assert_eq!(the(&facts, "the newest")["publications"], json!([[3, 3]]));
    the(&facts, "end");
}

#[test]
fn a_page_gets_what_its_filter_wants_live_recovered_and_cached() {
    run(&[], History::InMemory);
}

#[test]
fn a_filter_looks_at_what_a_log_has_kept() {
    run(&[], History::Kept);
}

#[test]
fn a_page_with_protobuf_gets_what_its_filter_wants() {
    run(&["--protobuf"], History::InMemory);
}
