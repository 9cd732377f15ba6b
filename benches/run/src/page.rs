//! The page for people: `docs/benchmarks.md`.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

use crate::{
    peer::{OURS, OURS_LOOP, Peer, RAW, REFERENCE},
    plan::{Part, Plan},
    record::Record,
    rounds::Outcome,
    table::{self, figure},
    verdict::verdict,
};

/// Everything that was recorded of the plan.
pub(crate) fn page(
    plan: &Plan,
    record: &Record,
    absent: &BTreeMap<String, String>,
) -> std::io::Result<String> {
    let outcomes = record.outcomes()?;
    let mut text = String::from(HEAD);
    let _ = writeln!(text, "Measured with `{}` on {}.\n", plan.command, machine());
    for (peer, reason) in absent {
        let _ = writeln!(text, "- {peer} is absent: {reason}");
    }
    text.push_str(READING);
    for part in &plan.parts {
        let _ = writeln!(text, "\n## {}\n", part.title);
        if part.is_idle() {
            let mut weights = record.weights()?;
            let cells: Vec<String> = part.cells.iter().map(crate::cell::Cell::name).collect();
            weights.retain(|weight| cells.contains(&weight.cell));
            text.push_str(&table::memory(&weights));
        } else if part.is_grid() {
            grid(&mut text, part, &outcomes);
        } else {
            tables(&mut text, part, &outcomes);
        }
    }
    let counts = record.counts()?;
    if !counts.is_empty() {
        text.push_str("\n## Instructions for each message, in user space\n\n");
        text.push_str(&table::instructions(&counts));
    }
    Ok(text)
}

fn tables(text: &mut String, part: &Part, outcomes: &BTreeMap<String, Outcome>) {
    for outcome in part
        .cells
        .iter()
        .filter_map(|cell| outcomes.get(&cell.name()))
    {
        let _ = writeln!(text, "### {}\n", outcome.name);
        text.push_str(&table::cell(outcome, &part.peers));
        let _ = writeln!(text, "\n{}\n", verdict(outcome, &part.peers));
    }
}

/// One line for each cell: a table for each would be a book.
fn grid(text: &mut String, part: &Part, outcomes: &BTreeMap<String, Outcome>) {
    text.push_str(
        "Per second uWebSockets' messages, then everybody's ratio to it.\n\n\
         | cell | uWebSockets | raw epoll | Sockeye | of raw | Sockeye, loop | best other Rust peer | verdict |\n\
         |---|---:|---:|---:|---:|---:|---:|---|\n",
    );
    for outcome in part
        .cells
        .iter()
        .filter_map(|cell| outcomes.get(&cell.name()))
    {
        let ratio = |peer| figure(outcome.ratio(peer, REFERENCE, |one| one.per_second), 3);
        let best = best_other(outcome, &part.peers);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            outcome.name,
            figure(outcome.median_of(REFERENCE, |one| one.per_second), 0),
            ratio(RAW),
            ratio(OURS),
            figure(outcome.ratio(OURS, RAW, |one| one.per_second), 3),
            ratio(OURS_LOOP),
            best.map_or(String::new(), |(name, ratio)| format!("{name} {ratio:.3}")),
            verdict(outcome, &part.peers),
        );
    }
}

/// The fastest Rust server that isn't ours, with its ratio.
fn best_other<'p>(outcome: &Outcome, peers: &'p [Peer]) -> Option<(&'p str, f64)> {
    let others = peers
        .iter()
        .filter(|peer| !peer.name.starts_with(OURS) && peer.is_rust_websocket());
    others
        .filter_map(|peer| {
            let ratio = outcome.ratio(&peer.name, REFERENCE, |one| one.per_second)?;
            Some((peer.name.as_str(), ratio))
        })
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// Processor, cores, system, congestion control, date.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    let date = date.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    });
    let of_kernel = |name| {
        let value = fs::read_to_string(format!("/proc/sys/{name}"));
        value.unwrap_or_default().trim().to_owned()
    };
    let system = of_kernel("kernel/osrelease");
    // Large messages depend on it, also without a network: with bbr they wait for timers.
    let control = of_kernel("net/ipv4/tcp_congestion_control");
    format!("{model}, {cores} cores, Linux {system}, TCP {control}, {date}")
}

const HEAD: &str = "# Benchmarks\n\n\
    This page is written by `make bench`. `make bench QUICK=1` prints a shorter one in minutes; one cell by hand:\n\n\
    ```sh\n\
    cd benches\n\
    cargo run --release -p bench-run -- echo --connections 200 --bytes 20 --in-flight 1 \\\n    \
    --peers raw-epoll,uwebsockets,sockeye --seconds 2 --rounds 5\n\
    ```\n\n\
    ![Echo, each server's rate as a multiple of uWebSockets' rate](benchmarks/echo.svg)\n\n";

const READING: &str = "\nHow to read it:\n\n\
    - The server has one core, the load generator another one, and they talk over the loopback device. In each round every server of a cell is measured\n  \
    once, one after the other; what counts is the median of the rounds' ratios, not the rates.\n\
    - The load generator sends frames that were encoded before, and compares every byte of the replies (of messages from 8 KiB on every eighth read, and\n  \
    the length of all). A server with a wrong reply has no figure. Where `load busy` is near 1 the load generator was the bottleneck, and the\n  \
    true distance is larger: `server ns each`, the server's processor time for one message, shows it. That figure is too high for a server that\n  \
    is faster than the load generator, because it waits for its sockets more often and finds fewer of them ready.\n\
    - Ahead means by more than the noise: the median of the rounds' ratios to Sockeye differs from 1 by more than half the distance between the\n  \
    least and the greatest of them (with five rounds, the least and the greatest but one), and by more than 2 %. Everything else is level.\n\
    - `x 16` in a cell's name: that many messages are in flight on each connection.\n\
    - uWebSockets is its C++ library, compiled with `-O3 -flto -march=native`. raw-epoll and raw-tokio echo bytes and don't speak WebSocket. tungstenite is\n  \
    tokio-tungstenite as it comes, tungstenite-tuned has small read buffers; it, sockudo-ws, tokio-websockets and yawc flush once for all messages\n  \
    of one read. tokio-broadcast is one task per client on tokio's broadcast channel.\n\
    - Sockeye's server has a second thread beside its worker, so that the kernel counts each use of a socket. raw-epoll, uWebSockets and\n  \
    the servers on tokio have one thread.\n\
    - Sockeye polls for the next message for up to 30 µs before it sleeps, where that has found one so far (`Settings::busy_poll`). The others\n  \
    sleep and are woken for every message where there are few connections.\n\
    - Where a gibibyte and more is in flight the measurements are three times as long.\n\
    - A measurement during which another process used a core is repeated, up to three times, and then marked.\n\
    - Memory: what each connection adds to the server's resident memory. The server has served one connection before, so that\n  \
    what it needs only once, such as the pages of its own code, doesn't count.\n\n\
    The figures of every round: [speed.csv](benchmarks/speed.csv), [memory.csv](benchmarks/memory.csv), [instructions.csv](benchmarks/instructions.csv).\n";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Everything but the line that tells when and where it was measured.
    fn without_machine(page: &str) -> String {
        let lines = page
            .lines()
            .filter(|line| !line.starts_with("Measured with"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// `BLESS=1` writes the page anew after a change of its words.
    #[test]
    fn the_published_page_is_made_of_the_published_figures() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let record = Record::in_folder(&docs.join("benchmarks")).unwrap();
        let made = page(&Plan::full(), &record, &BTreeMap::new()).unwrap();
        let path = docs.join("benchmarks.md");
        let published = fs::read_to_string(&path).unwrap();
        if std::env::var_os("BLESS").is_some() {
            let measured = |page: &str| -> String {
                let mut lines = page.lines();
                let line = lines.find(|line| line.starts_with("Measured with"));
                line.unwrap().to_owned()
            };
            let text = made.replace(&measured(&made), &measured(&published));
            fs::write(&path, text).unwrap();
            return;
        }
        let (made, published) = (without_machine(&made), without_machine(&published));
        let mut lines = made.lines().zip(published.lines());
        assert_eq!(lines.find(|(made, published)| made != published), None);
        assert_eq!(made.len(), published.len());
    }
}
