//! Publications per second of a hundred publishers: in memory, on the disk, beside NATS JetStream and Redis.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    machine, page,
    process::{Core, Server, spawn},
    publishers::Published,
};

/// How it is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Durable {
    /// The binary `sockeye`
    #[arg(long, default_value = "target/release/sockeye")]
    sockeye: PathBuf,

    /// The binary `nats-server`, 2.10 or newer: older ones can't sync always
    #[arg(long, default_value = ".work/bin/nats-server")]
    nats: PathBuf,

    /// Rounds, in each of which every server is measured once
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Seconds of one measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,

    /// Only the servers whose names contain this; writes no page
    #[arg(long, default_value = "")]
    only: String,

    /// The first of some free ports
    #[arg(long, default_value_t = 21_400)]
    port: u16,
}

/// A server as it is measured.
struct Peer {
    name: &'static str,
    protocol: &'static str,
    command: fn(&Durable, &Path) -> io::Result<Command>,
}

/// One measurement.
struct Outcome {
    per_second: f64,
    /// Bytes on the disk for each byte that was published; `None` for what keeps nothing.
    written: Option<f64>,
    files: Option<f64>,
    processor_us: f64,
}

const PEERS: [Peer; 6] = [
    Peer {
        name: "Sockeye, memory",
        protocol: "hub",
        command: |it, work| sockeye(it, work, None),
    },
    Peer {
        name: "Sockeye, `none`",
        protocol: "hub",
        command: |it, work| sockeye(it, work, Some("none")),
    },
    Peer {
        name: "Sockeye, `interval`",
        protocol: "hub",
        command: |it, work| sockeye(it, work, Some("interval")),
    },
    Peer {
        name: "Sockeye, `each`",
        protocol: "hub",
        command: |it, work| sockeye(it, work, Some("each")),
    },
    Peer {
        name: "NATS JetStream, `sync_interval: always`",
        protocol: "nats",
        command: nats,
    },
    Peer {
        name: "Redis, `appendfsync always`",
        protocol: "redis",
        command: redis,
    },
];

/// Measures all, and writes the part of the page.
pub(crate) fn measure(work: &Path, durable: &Durable, into: Option<&Path>) -> io::Result<()> {
    let mut outcomes: BTreeMap<usize, Vec<Outcome>> = BTreeMap::new();
    for round in 0..durable.rounds {
        for (index, peer) in PEERS.iter().enumerate() {
            if !peer.name.contains(&durable.only) {
                continue;
            }
            let outcome = once(work, durable, peer)?;
            eprintln!(
                "round {round}: {}: {:.0}/s, {:.1} µs of CPU each",
                peer.name, outcome.per_second, outcome.processor_us
            );
            outcomes.entry(index).or_default().push(outcome);
        }
    }
    if outcomes.len() < PEERS.len() {
        return Ok(());
    }
    let ratios = |one: usize, other: usize| {
        let pairs = outcomes[&one].iter().zip(&outcomes[&other]);
        page::median(
            pairs
                .map(|(one, other)| one.per_second / other.per_second)
                .collect(),
        )
    };
    let mut text = String::from(
        "| server | accepted per second | × memory | server CPU each | files grow by, for each byte published | written to the disk, the same |\n\
         |---|---|---|---|---|---|\n",
    );
    for (index, peer) in PEERS.iter().enumerate() {
        let all = &outcomes[&index];
        let middle = |value: fn(&Outcome) -> f64| page::median(all.iter().map(value).collect());
        let share = |value: f64| match value.is_nan() {
            true => "–".to_owned(),
            false => format!("{value:.2}"),
        };
        _ = writeln!(
            text,
            "| {} | {} | {:.2} | {:.1} µs | {} | {} |",
            peer.name,
            page::count(middle(|it| it.per_second) as u64),
            ratios(index, 0),
            middle(|it| it.processor_us),
            share(middle(|it| it.files.unwrap_or(f64::NAN))),
            share(middle(|it| it.written.unwrap_or(f64::NAN))),
        );
    }
    _ = writeln!(
        text,
        "\n`interval` is **{:.2} ×** memory; `each` is **{:.2} ×** NATS JetStream and **{:.2} ×** Redis. 100 publishers, each with one \
         publication of 128 B on its way and a channel of its own; medians of {} rounds, ratios within a round; the server has one \
         core, the publishers the other. {}.",
        ratios(2, 0),
        ratios(3, 4),
        ratios(3, 5),
        durable.rounds,
        machine::description(),
    );
    page::replace(into, "durable", &text)
}

fn once(work: &Path, durable: &Durable, peer: &Peer) -> io::Result<Outcome> {
    let directory = work.join("durable");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    let mut command = (peer.command)(durable, &directory)?;
    let server = Server::start(work, "server", durable.port, &mut command)?;
    let begun = machine::processor_time(server.process())?;
    let written_before = machine::written_bytes(server.process())?;
    let mut load = Command::new(std::env::current_exe()?);
    load.args(["publish", "--protocol", peer.protocol])
        .args(["--port", &server.port.to_string()])
        .args(["--seconds", &durable.seconds.to_string()])
        .stdout(Stdio::piped());
    let output = spawn(Core::Load, &mut load)?.wait_with_output()?;
    let published: Published = serde_json::from_slice(&output.stdout)
        .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))?;
    let used = machine::processor_time(server.process())?.saturating_sub(begun);
    let written = machine::written_bytes(server.process())? - written_before;
    let bytes = (published.all * BYTES) as f64;
    let files = files(&directory)?;
    Ok(Outcome {
        per_second: published.count as f64 / published.seconds,
        written: (files > 0).then(|| written as f64 / bytes),
        files: (files > 0).then(|| files as f64 / bytes),
        processor_us: used.as_secs_f64() * 1e6 / published.all as f64,
    })
}

/// Returns the bytes of all files below a directory.
fn files(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => files(&entry.path())?,
            false if entry.file_name() == "configuration" => 0,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}

fn sockeye(durable: &Durable, work: &Path, sync: Option<&str>) -> io::Result<Command> {
    let file = work.join("configuration");
    fs::write(&file, SOCKEYE)?;
    let mut command = Command::new(&durable.sockeye);
    command
        .args(["serve", "--workers", "1", "--listen"])
        .arg(format!("127.0.0.1:{}", durable.port))
        .arg("--config")
        .arg(&file);
    if let Some(sync) = sync {
        command
            .arg("--data")
            .arg(work.join("data"))
            .args(["--log-sync", sync]);
    }
    Ok(command)
}

fn nats(durable: &Durable, work: &Path) -> io::Result<Command> {
    let file = work.join("configuration");
    let store = work.join("jetstream");
    let text = format!(
        "host: 127.0.0.1\nport: {}\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
        durable.port,
        store.display()
    );
    fs::write(&file, text)?;
    let mut command = Command::new(&durable.nats);
    command.env("GOMAXPROCS", "1").arg("-c").arg(&file);
    Ok(command)
}

fn redis(durable: &Durable, work: &Path) -> io::Result<Command> {
    let mut command = Command::new("redis-server");
    command
        .args([
            "--port",
            &durable.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--dir",
        ])
        .arg(work)
        .args([
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ]);
    Ok(command)
}

/// Bytes of a publication, as the publishers' default.
const BYTES: u64 = 128;

const SOCKEYE: &str = r#"
[client]
insecure = true
[channel.without_namespace]
history_size = 100
history_ttl = "1h"
allow_publish_for_client = true
"#;
