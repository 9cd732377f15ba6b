//! Tables for people, in Markdown.

use std::fmt::Write as _;

use crate::{
    instructions::{CELLS, Count},
    measurement::{Latency, Measurement},
    memory::Weight,
    peer::{Peer, RAW, REFERENCE},
    rounds::Outcome,
    scaling::Cost,
};

/// One cell, a line for each peer.
pub(crate) fn cell(outcome: &Outcome, peers: &[Peer]) -> String {
    let mut text = String::from(
        "| server | per second | x uwebsockets | x raw-epoll | server ns each | cost x uwebsockets | load busy | B each | p50 µs | p99 µs |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for peer in peers {
        let name = &peer.name;
        let Some(rate) = outcome.median_of(name, |one| one.per_second) else {
            if let Some(reason) = outcome.failed.get(name) {
                let _ = writeln!(text, "| {name} | {reason} | | | | | | | | |");
            }
            continue;
        };
        let ratio = |to| figure(outcome.ratio(name, to, |one| one.per_second), 3);
        let median = |value: fn(&Measurement) -> f64| outcome.median_of(name, value);
        let latency = |value: fn(Latency) -> f64| {
            figure(
                outcome.median_of(name, |one| one.latency.map_or(f64::NAN, value)),
                0,
            )
        };
        let remark = if outcome.is_disturbed(name) {
            " (disturbed)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {name}{remark} | {rate:.0} | {} | {} | {} | {} | {} | {} | {} | {} |",
            ratio(REFERENCE),
            ratio(RAW),
            figure(median(|one| one.server_ns), 0),
            figure(outcome.ratio(name, REFERENCE, |one| one.server_ns), 3),
            figure(median(|one| one.load_busy), 2),
            figure(median(|one| one.wire_bytes.unwrap_or(f64::NAN)), 0),
            latency(|latency| latency.p50),
            latency(|latency| latency.p99),
        );
    }
    text
}

/// A line for each peer, a column for each cell.
pub(crate) fn instructions(counts: &[Count]) -> String {
    let mut text = String::from("| server |");
    for (name, ..) in CELLS {
        let _ = write!(text, " {name} |");
    }
    let _ = writeln!(text, "\n|---|{}", "---:|".repeat(CELLS.len()));
    for count in counts {
        let _ = write!(text, "| {} |", count.peer);
        for instructions in &count.instructions {
            let _ = write!(text, " {} |", figure(*instructions, 0));
        }
        text.push('\n');
    }
    text
}

/// A line for each peer and cell.
pub(crate) fn memory(weights: &[Weight]) -> String {
    let mut text = String::from(
        "| connections | server | bytes each, opened | bytes each, after a burst |\n|---|---|---:|---:|\n",
    );
    for weight in weights {
        let Weight { cell, peer, memory } = weight;
        let _ = match memory {
            Ok(memory) => writeln!(
                text,
                "| {cell} | {peer} | {:.0} | {:.0} |",
                memory.opened, memory.burst
            ),
            Err(reason) => writeln!(text, "| {cell} | {peer} | {reason} | |"),
        };
    }
    text
}

/// A line for each number of workers.
pub(crate) fn costs(costs: &[Cost]) -> String {
    let mut text = String::from(
        "| workers | instructions for each message | futex calls for a thousand messages |\n|---:|---:|---:|\n",
    );
    for cost in costs {
        let Cost {
            workers,
            instructions,
            futex_calls,
        } = cost;
        let _ = writeln!(text, "| {workers} | {instructions:.0} | {futex_calls:.1} |");
    }
    text
}

/// Nothing, where there is nothing.
pub(crate) fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}
