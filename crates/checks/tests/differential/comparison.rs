//! Both conversations, and how they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::conversation::{Transcript, talk};
use super::script::{Encoding, Exchange};
use super::servers::Pair;

/// What came out for one exchange.
pub(crate) struct Verdict<'a> {
    pub(crate) exchange: &'a Exchange,
    /// Empty: the servers answer alike.
    differences: Vec<String>,
}

impl Verdict<'_> {
    /// Returns what is wrong: a difference without a row of the docs, or a row without a difference.
    pub(crate) fn complaint(&self) -> Option<String> {
        let what = self.exchange.describe();
        match (&self.exchange.row, self.differences.is_empty()) {
            (None, false) => Some(format!("{what}\n{}", self.differences.join("\n"))),
            (Some(_), true) => Some(format!("{what}\n    the servers no longer differ here")),
            _ => None,
        }
    }
}

/// Returns the counts.
pub(crate) fn summary(verdicts: &[Verdict<'_>]) -> String {
    let runs: usize = verdicts
        .iter()
        .map(|verdict| verdict.exchange.encodings.len())
        .sum();
    let rows = verdicts
        .iter()
        .filter_map(|verdict| verdict.exchange.row.as_deref());
    let rows: Vec<&str> = rows.collect();
    let distinct: BTreeSet<&str> = rows.iter().copied().collect();
    format!(
        "{} exchanges ({runs} with each encoding of its own): {} differ on purpose, by {} rows of docs/reference/hub.md",
        verdicts.len(),
        rows.len(),
        distinct.len()
    )
}

/// Has all exchanges with both servers.
pub(crate) fn compare_all<'a>(
    pairs: &BTreeMap<String, Pair>,
    exchanges: &'a [Exchange],
) -> Vec<Verdict<'a>> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(exchange) = exchanges.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = compare(&pairs[&exchange.server], exchange);
                    verdicts
                        .lock()
                        .expect("no thread panics here")
                        .push(verdict);
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().expect("no thread panics here");
    verdicts.sort_by_key(|verdict| {
        let (file, line) = verdict.exchange.place.split_once(':').expect("a line");
        (file.to_owned(), line.parse::<usize>().expect("a number"))
    });
    verdicts
}

fn compare<'a>(pair: &Pair, exchange: &'a Exchange) -> Verdict<'a> {
    let encodings = exchange.encodings.iter();
    let differences = encodings.filter_map(|encoding| difference(pair, exchange, *encoding));
    Verdict {
        exchange,
        differences: differences.collect(),
    }
}

/// Returns the difference in one encoding. Only what is still there with more patience is one: a message may be late.
fn difference(pair: &Pair, exchange: &Exchange, encoding: Encoding) -> Option<String> {
    let mut found = None;
    for patience in PATIENCE {
        let tag = || format!("k{:05}", TAG.fetch_add(1, Ordering::Relaxed));
        let tag = tag();
        let (theirs, counts) = talk(pair.referee, exchange, encoding, &tag, patience, None);
        let (ours, _) = talk(pair.ours, exchange, encoding, &tag, patience, Some(&counts));
        found = show_difference(&theirs, &ours);
        if found.is_none() || exchange.row.is_some() {
            break;
        }
    }
    found.map(|lines| format!("    in {encoding:?}:\n{lines}"))
}

fn show_difference(theirs: &Transcript, ours: &Transcript) -> Option<String> {
    let peers: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let empty = Vec::new();
    let mut lines = Vec::new();
    for peer in peers {
        let [theirs, ours] = [theirs, ours].map(|all| all.get(peer).unwrap_or(&empty));
        if theirs == ours {
            continue;
        }
        let same = theirs
            .iter()
            .zip(ours)
            .take_while(|(one, other)| one == other)
            .count();
        lines.push(format!("      {peer}, after {same} that are equal:"));
        for (name, all) in [("theirs", theirs), ("ours", ours)] {
            for line in all.iter().skip(same).take(SHOWN_MAX) {
                let shown: String = line.chars().take(LINE_CHARS_MAX).collect();
                lines.push(format!("        {name:<6} {shown}"));
            }
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Numbers the exchanges' own channels and users.
static TAG: AtomicUsize = AtomicUsize::new(1);

/// Exchanges at the same time. Most of their time is waiting.
const THREADS: usize = 6;

/// How long nothing may come until a step counts as answered, from attempt to attempt.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
];

/// Messages that are shown of each side.
const SHOWN_MAX: usize = 6;

/// Characters that are shown of a message.
const LINE_CHARS_MAX: usize = 700;
