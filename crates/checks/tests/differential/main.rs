//! The hub beside the real server: the same exchanges with both, and the answers compared.
//!
//! Not part of a plain `cargo test`, because it needs the real server (Centrifugo, built with Go): `make differential`.
//!
//! ```text
//!   scripts/*.txt ──> exchange ──> conversation with the referee ──> transcript ──┐
//!                             └──> conversation with ours ─────────> transcript ──┴──> differences, rows of the docs
//! ```
//!
//! A line of a script is one exchange; [`script`] says how it is written. What differs on purpose names its row in the table
//! "Differences from Centrifugo" of `docs/reference/hub.md`. The test fails on a difference without a row, on a row that
//! no longer differs, and on a row that no exchange shows.

mod comparison;
mod conversation;
mod expand;
mod http;
mod peer;
mod protobuf;
mod script;
mod servers;
mod transcript;
mod websocket;

use std::collections::BTreeSet;
use std::env;

use comparison::Verdict;
use sockeye_checks::need;

/// How rows of the docs begin that no exchange can show, with the reason.
const ROWS_WITHOUT_EXCHANGE: &[(&str, &str)] = &[
    (
        "numbers in place of channels' names",
        "only the commercial version has them",
    ),
    ("`publish_debounce`", "only the commercial version has it"),
    (
        "tokens with ES512",
        "the macros of the scripts sign with a shared secret alone",
    ),
    (
        "delta compression",
        "the configurations allow it where there is history, and publish with it",
    ),
    (
        "differences between texts",
        "each server's differences lead to the same text, and the texts are what is compared",
    ),
    (
        "`slow_reader` of a channel",
        "there is no such setting to compare with",
    ),
    (
        "maps without a stream",
        "which changes come while a client reads is a matter of time",
    ),
    ("maps: pages", "such a page is too long for a script"),
    ("recovery, and all recoveries of a connect", LARGE),
    ("history of more bytes than that", LARGE),
    ("presence of more bytes than that", LARGE),
    ("the filters of a client take more", LARGE),
    ("histories, presence and channels in one answer", LARGE),
    ("maps: `score`", HOOKS),
    ("hooks: ", HOOKS),
    ("`sub_refresh` by a hook", HOOKS),
];

/// Why large answers are compared elsewhere.
const LARGE: &str = "so much is too long for a script";

/// Why hooks are compared elsewhere.
const HOOKS: &str = "the application that is asked would be a third server";

#[test]
#[ignore = "needs the real server: make differential"]
fn the_hub_answers_as_the_real_server_does() {
    let Some(referee) = servers::referee() else {
        return;
    };
    // For work on a script: only exchanges whose place or text contains this.
    let wanted = env::var("CHECKS_EXCHANGES").ok();
    let mut exchanges = script::read_all();
    if let Some(wanted) = &wanted {
        exchanges.retain(|exchange| exchange.describe().contains(wanted));
    }
    let Some(servers) = servers::start(&referee, &exchanges) else {
        return;
    };
    let verdicts = comparison::compare_all(&servers.pairs, &exchanges);
    let mut complaints: Vec<String> = verdicts.iter().filter_map(Verdict::complaint).collect();
    if wanted.is_none() {
        complaints.extend(rows_without_exchange(&verdicts));
    }
    println!("{}", comparison::summary(&verdicts));
    let count = complaints.len();
    assert!(count == 0, "{count} complaints:\n{}", complaints.join("\n"));
}

/// Compares the rows of the docs with those that the exchanges name.
fn rows_without_exchange(verdicts: &[Verdict<'_>]) -> Vec<String> {
    let page = need::root().join("docs/reference/hub.md");
    let page = std::fs::read_to_string(page).expect("the page of the hub");
    let rows = script::rows_of(&page);
    let shown: BTreeSet<&str> = verdicts
        .iter()
        .filter_map(|verdict| verdict.exchange.row.as_deref())
        .collect();
    let excused = |row: &str| {
        ROWS_WITHOUT_EXCHANGE
            .iter()
            .any(|(begin, _)| row.starts_with(begin))
    };
    let unshown = rows
        .iter()
        .filter(|row| !shown.contains(row.as_str()) && !excused(row))
        .map(|row| format!("docs/reference/hub.md: no exchange shows the row {row:?}"));
    let unknown = shown
        .iter()
        .filter(|row| !rows.iter().any(|known| known == *row))
        .chain(
            ROWS_WITHOUT_EXCHANGE
                .iter()
                .map(|(begin, _)| begin)
                .filter(|begin| !rows.iter().any(|known| known.starts_with(**begin))),
        )
        .map(|row| format!("docs/reference/hub.md has no row {row:?}"));
    unshown.chain(unknown).collect()
}
