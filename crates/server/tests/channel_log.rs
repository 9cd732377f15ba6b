//! `sockeye log`: a log that was damaged is found, mended and printed.

mod support;

use std::{fs, path::Path, sync::Arc, time::Duration};

use sockeye_hub::{
    Publication, SystemClock,
    broker::{Broker as _, LogBroker, LogReport, LogSettings, PublishOptions},
};
use support::{run, run_in};
use tempfile::TempDir;

#[test]
fn a_damaged_log_is_found_mended_and_printed() {
    let directory = TempDir::new().unwrap();
    publish(&directory.path().join("data/channels"));
    let log = |command: &str| run_in(directory.path(), &["log", command, "data"], &[]);
    let whole = log("check");
    assert_eq!((whole.code, &*whole.stdout), (Some(0), "1 channel\n"));
    let dumped = log("dump").stdout;
    let second = dumped.lines().find(|line| line.contains("\"second\""));
    let position = second.unwrap().split(' ').nth(1).unwrap().to_owned();

    let segment = directory.path().join("data/channels/00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[position.parse::<usize>().unwrap() + 9] ^= 1;
    fs::write(&segment, bytes).unwrap();

    let found = log("check");
    let expected = format!("00000001.seg at byte {position}");
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stderr.contains(&expected), "{found:?}");
    let mended = log("repair");
    assert_eq!(mended.code, Some(1), "{mended:?}");
    let expected = format!("00000001.seg: bytes {position} to ");
    assert!(mended.stdout.starts_with(&expected), "{mended:?}");
    assert_eq!(log("check").code, Some(0));
    assert_eq!(log("repair").stdout, "there is nothing to repair\n");
    let report = open(&directory.path().join("data/channels")).1;
    assert_eq!(report.new_epochs, 1);
}

#[test]
fn a_server_that_finds_a_damaged_log_says_what_helps() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("data/channels");
    publish(&path);
    let dumped = run_in(directory.path(), &["log", "dump", "data"], &[]).stdout;
    let record = dumped.lines().find(|line| line.contains("\"first\""));
    let position: usize = record.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let segment = path.join("00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[position + 9] ^= 1;
    fs::write(&segment, bytes).unwrap();
    // Without its checkpoint, so that all of it is read.
    fs::remove_file(path.join("checkpoint")).unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--data", "data"];
    let refused = run_in(directory.path(), &args, &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let begin = format!("sockeye: the log in data is damaged: 00000001.seg at byte {position}: ");
    let line = refused.stderr.lines().last().unwrap();
    assert!(line.starts_with(&begin), "{line}");
    let end = "; see `sockeye log check data`, `sockeye log repair data`";
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn a_directory_without_a_log_and_one_in_use_are_refused() {
    let lone = run(&["log", "check", "nothing"]);
    assert_eq!(lone.code, Some(2));
    assert!(
        lone.stderr.contains("there is no log of channels"),
        "{lone:?}"
    );

    let directory = TempDir::new().unwrap();
    let _in_use = open(&directory.path().join("data/channels"));
    for command in ["check", "repair", "dump"] {
        let refused = run_in(directory.path(), &["log", command, "data"], &[]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.stderr.contains("in use by another process"),
            "{refused:?}"
        );
    }
}

fn open(path: &Path) -> (LogBroker, LogReport) {
    LogBroker::open(path, Arc::new(SystemClock), LogSettings::default()).unwrap()
}

/// Publishes three times.
fn publish(path: &Path) {
    let (broker, _) = open(path);
    let options = PublishOptions {
        history_size: 10,
        history_ttl: Duration::from_secs(600),
        ..PublishOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        for data in ["first", "second", "third"] {
            let publication = Publication {
                data: data.into(),
                ..Publication::default()
            };
            let published = broker.publish(&"a".into(), publication, options.clone());
            published.await.unwrap();
        }
    });
    broker.close();
}
