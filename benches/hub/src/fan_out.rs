//! Deliveries, recoveries and idle clients, beside Centrifugo.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    machine, page,
    process::{Core, Server, spawn},
};

/// How it is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FanOut {
    /// The binary `sockeye`, which is a server and the load generator
    #[arg(long, default_value = "target/release/sockeye")]
    sockeye: PathBuf,

    /// The binary `centrifugo`
    #[arg(long, default_value = ".work/bin/centrifugo")]
    centrifugo: PathBuf,

    /// Rounds, in each of which every server is measured once
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Seconds of one measurement
    #[arg(long, default_value_t = 4)]
    seconds: u32,

    /// Only the cells whose names contain this
    #[arg(long, default_value = "")]
    only: String,

    /// The first of some free ports
    #[arg(long, default_value_t = 21_420)]
    port: u16,
}

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Sockeye,
    Centrifugo,
    /// Our `/websocket/ws`, where what one sends goes to all: no protocol, no channel.
    Room,
}

/// What is measured.
struct Cell {
    name: String,
    /// Of `sockeye bench`.
    arguments: Vec<String>,
    /// Whether the publications go through the HTTP API.
    publishing: Publishing,
    counted: &'static str,
    has_room: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Publishing {
    Client,
    Api,
}

/// One measurement.
#[derive(Clone, Debug)]
struct Outcome {
    /// Deliveries or recoveries for each second of the server's processor time.
    for_each_cpu_second: f64,
    per_second: f64,
    /// Milliseconds. From publishing to the last delivery, or of a recovery.
    p99: f64,
    /// Bytes of process memory for each client.
    memory: f64,
}

/// Measures all, and writes the part of the page.
pub(crate) fn measure(work: &Path, fan_out: &FanOut, into: Option<&Path>) -> io::Result<()> {
    fs::create_dir_all(work)?;
    let mut text = String::from(
        "| what | server | per second of server CPU | × Centrifugo | per second | p99 | × Centrifugo | memory for each client |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for cell in cells(fan_out)
        .iter()
        .filter(|cell| cell.name.contains(&fan_out.only))
    {
        let mut peers = vec![Peer::Sockeye, Peer::Centrifugo];
        peers.extend(cell.has_room.then_some(Peer::Room));
        let mut outcomes: BTreeMap<Peer, Vec<Outcome>> = BTreeMap::new();
        for round in 0..fan_out.rounds {
            for peer in &peers {
                let outcome = once(work, fan_out, cell, *peer)?;
                eprintln!("{}, round {round}: {peer:?} {outcome:?}", cell.name);
                outcomes.entry(*peer).or_default().push(outcome);
            }
        }
        for peer in &peers {
            row(&mut text, &cell.name, *peer, &outcomes);
        }
    }
    _ = writeln!(
        text,
        "\nMedians of {} rounds, ratios within a round. The server has one core (`--workers 1`, `GOMAXPROCS=1`), `sockeye bench` the other; \
         a fresh server for each measurement. {}.",
        fan_out.rounds,
        machine::description(),
    );
    page::replace(into, "fan-out", &text)
}

fn row(text: &mut String, cell: &str, peer: Peer, outcomes: &BTreeMap<Peer, Vec<Outcome>>) {
    let middle =
        |value: fn(&Outcome) -> f64| page::median(outcomes[&peer].iter().map(value).collect());
    let ratio = |value: fn(&Outcome) -> f64| {
        let pairs = outcomes[&peer].iter().zip(&outcomes[&Peer::Centrifugo]);
        page::median(
            pairs
                .map(|(one, other)| value(one) / value(other))
                .collect(),
        )
    };
    let name = match peer {
        Peer::Sockeye => "Sockeye",
        Peer::Centrifugo => "Centrifugo",
        Peer::Room => "Sockeye's room",
    };
    _ = writeln!(
        text,
        "| {cell} | {name} | {} | **{:.2}** | {} | {:.1} ms | {:.2} | {:.1} KiB |",
        page::count(middle(|it| it.for_each_cpu_second) as u64),
        ratio(|it| it.for_each_cpu_second),
        page::count(middle(|it| it.per_second) as u64),
        middle(|it| it.p99),
        ratio(|it| it.p99),
        middle(|it| it.memory) / 1024.0,
    );
}

fn cells(fan_out: &FanOut) -> Vec<Cell> {
    let seconds = format!("{}s", fan_out.seconds);
    let mut cells = vec![];
    let mut add = |name: String, more: &str, publishing, counted, has_room| {
        let mut arguments: Vec<String> = more.split_whitespace().map(str::to_owned).collect();
        arguments.extend(["-d".to_owned(), seconds.clone()]);
        cells.push(Cell {
            name,
            arguments,
            publishing,
            counted,
            has_room,
        });
    };
    for subscribers in [1_000, 10_000] {
        for in_flight in [1, 16] {
            for (encoding, flag) in [("JSON", ""), ("Protobuf", "--binary")] {
                add(
                    format!(
                        "1 channel, {} subscribers, {in_flight} in flight, {encoding}",
                        page::count(subscribers)
                    ),
                    &format!("-c {subscribers} -p {in_flight} -s 100 -w 1s {flag}"),
                    Publishing::Client,
                    "deliveries",
                    true,
                );
            }
        }
    }
    add(
        "1 channel, 1,000 subscribers, 50 publications/s, JSON".to_owned(),
        "-c 1000 --rate 50 -s 100 -w 1s",
        Publishing::Client,
        "deliveries",
        true,
    );
    for (encoding, flag) in [("JSON", ""), ("Protobuf", "--binary")] {
        add(
            format!("10,000 clients with 10 of 10,000 channels, API in batches of 100, {encoding}"),
            &format!(
                "-c 10000 --channels 10000 --subscriptions 10 -p 200 --batch 100 -s 100 -w 1s --patience 60s {flag}"
            ),
            Publishing::Api,
            "deliveries",
            false,
        );
        add(
            format!("2,000 clients connect, subscribe, recover 10 missed, {encoding}"),
            &format!(
                "-m recover -c 2000 --missed 10 -s 100 --channel history: --patience 60s {flag}"
            ),
            Publishing::Client,
            "recoveries",
            false,
        );
    }
    cells
}

fn once(work: &Path, fan_out: &FanOut, cell: &Cell, peer: Peer) -> io::Result<Outcome> {
    let port = fan_out.port;
    let mut command = match peer {
        Peer::Sockeye | Peer::Room => sockeye(work, fan_out)?,
        Peer::Centrifugo => centrifugo(work, fan_out)?,
    };
    let server = Server::start(work, "server", port, &mut command)?;
    let memory_before = machine::resident_bytes(&server.process().to_string())?;
    let mut load = Command::new(&fan_out.sockeye);
    let path = match peer {
        Peer::Room => "/websocket/ws",
        _ => "/connection/websocket",
    };
    load.arg("bench")
        .arg(format!("ws://127.0.0.1:{port}{path}"));
    if peer == Peer::Room {
        load.args(["-m", "fan-out"]);
    }
    load.args(&cell.arguments)
        .args(["--json", "--threads", "1", "--server-pid"])
        .arg(server.process().to_string())
        .stdout(Stdio::piped());
    if cell.publishing == Publishing::Api {
        load.arg("--api")
            .arg(format!("http://127.0.0.1:{port}/api"))
            .args(["--api-key", "s3cret"]);
    }
    let output = spawn(Core::Load, &mut load)?.wait_with_output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| io::Error::other(format!("{} on {peer:?}: {error}", cell.name)))?;
    if !output.status.success() {
        eprintln!("{} on {peer:?}: {}", cell.name, report["troubles"]);
    }
    let number = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    let counted = |what: &str| number(&format!("/{}/{what}", cell.counted));
    let last = match cell.counted {
        "recoveries" => "/recoveries/time_us/p99",
        _ => "/publications/time_us/p99",
    };
    Ok(Outcome {
        for_each_cpu_second: counted("count") / number("/server/seconds"),
        per_second: counted("per_second"),
        p99: number(last) / 1e3,
        memory: (number("/server/memory_bytes") - memory_before as f64)
            / number("/asked/connections"),
    })
}

fn sockeye(work: &Path, fan_out: &FanOut) -> io::Result<Command> {
    let file = work.join("sockeye.toml");
    fs::write(&file, SOCKEYE)?;
    let mut command = Command::new(&fan_out.sockeye);
    command
        .args(["serve", "--workers", "1", "--listen"])
        .arg(format!("127.0.0.1:{}", fan_out.port))
        .arg("--config")
        .arg(&file);
    Ok(command)
}

fn centrifugo(work: &Path, fan_out: &FanOut) -> io::Result<Command> {
    let file = work.join("centrifugo.json");
    fs::write(&file, CENTRIFUGO.replace("PORT", &fan_out.port.to_string()))?;
    let mut command = Command::new(&fan_out.centrifugo);
    command.env("GOMAXPROCS", "1").arg("--config").arg(&file);
    Ok(command)
}

const SOCKEYE: &str = r#"
[http_api]
key = "s3cret"
[client]
insecure = true
[channel.without_namespace]
allow_publish_for_client = true
allow_subscribe_for_client = true
[[channel.namespaces]]
name = "history"
history_size = 100
history_ttl = "300s"
force_recovery = true
allow_publish_for_client = true
allow_subscribe_for_client = true
"#;

const CENTRIFUGO: &str = r#"{
"http_server": {"address": "127.0.0.1", "port": "PORT"}, "log": {"level": "error"},
"http_api": {"key": "s3cret"},
"client": {"insecure": true, "allowed_origins": ["*"]},
"channel": {
  "without_namespace": {"allow_publish_for_client": true, "allow_subscribe_for_client": true},
  "namespaces": [{"name": "history", "history_size": 100, "history_ttl": "300s", "force_recovery": true,
    "allow_publish_for_client": true, "allow_subscribe_for_client": true}]
}}"#;
