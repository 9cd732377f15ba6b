//! Conformance: the Autobahn test suite against the real binary, both roles.
//!
//! Not part of a plain `cargo test`, because it takes minutes: `make conformance` runs all 517 cases,
//! `make test` every group of them.

use std::env;
use std::time::{Duration, Instant};

use sockeye_checks::autobahn::{Report, Selection, against_client, against_server, select};
use sockeye_checks::{Process, Server, need, sockeye};

#[test]
#[ignore = "minutes long: make conformance"]
fn server_passes_every_case() {
    let Some(wstest) = need::wstest() else { return };
    let limit = Duration::from_secs(60 * 60);
    let listen = ["--listen", "127.0.0.1:0"];
    let Some(server) = Server::start_for(&listen, limit) else {
        return;
    };
    let cases = select(&wstest, selection());
    let start = Instant::now();
    let report = against_server("server", &wstest, &server.url("/echo"), &cases);
    passes("server", &report, &cases, start);
}

#[test]
#[ignore = "minutes long: make conformance"]
fn client_passes_every_case() {
    let Some(wstest) = need::wstest() else { return };
    if need::binary().is_none() {
        return;
    }
    let cases = select(&wstest, selection());
    let dial = |url: &str| sockeye("connect", &["--echo", url]).expect("the binary is there");
    let start = Instant::now();
    let report = against_client("client", &wstest, dial, &cases);
    passes("client", &report, &cases, start);
}

/// A check that cannot fail proves nothing: an echo server that adds to what it got, and that looks at UTF-8 only when a
/// message is complete, must be found out.
#[test]
#[ignore = "goes with the others: make conformance"]
fn a_server_that_breaks_the_rules_is_found_out() {
    let Some(wstest) = need::wstest() else { return };
    let Some(mut shouting) = need::node("shout.mjs") else {
        return;
    };
    let mut server = Process::start("shout.mjs", &mut shouting, Duration::from_secs(120));
    let address = server.wait_for_text("ws://");
    let cases = ["1.1.1", "1.1.2", "6.4.1"].map(str::to_owned);
    let report = against_server("shout", &wstest, &address, &cases);
    let complaints = report.complaints(&cases);
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(complaints[0].starts_with("1.1.2: FAILED, closing WRONG CODE."));
    assert!(complaints[1].starts_with("6.4.1: NON-STRICT, closing OK."));
}

#[track_caller]
fn passes(role: &str, report: &Report, cases: &[String], start: Instant) {
    let seconds = start.elapsed().as_secs();
    println!(
        "Autobahn, {role} role: {} cases in {seconds} s",
        cases.len()
    );
    println!("  {}", report.summary());
    let complaints = report.complaints(cases);
    let count = complaints.len();
    assert!(
        count == 0,
        "{role} role, {count} complaints:\n{}",
        complaints.join("\n")
    );
}

/// Returns which cases to run: all with `CHECKS_CASES=all`, which `make conformance` sets.
fn selection() -> Selection {
    match env::var("CHECKS_CASES").as_deref() {
        Ok("all") => Selection::All,
        _ => Selection::EveryGroup,
    }
}
