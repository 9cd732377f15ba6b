//! Runs the suite in parallel shards, because most of its time is spent in its own Python.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::report::Report;
use crate::need;
use crate::process::Process;

/// The name of Sockeye in the suite's reports.
pub const AGENT: &str = "sockeye";

/// Runs the suite's client against the echo server at `url`.
#[track_caller]
pub fn against_server(name: &str, wstest: &Command, url: &str, cases: &[String]) -> Report {
    sharded(name, cases, |folder, cases| {
        let spec = json!({
            "outdir": folder,
            "servers": [{ "agent": AGENT, "url": url }],
            "cases": cases,
            "exclude-cases": [],
        });
        let mut command = suite(wstest, "fuzzingclient", folder, &spec);
        Process::start("wstest fuzzingclient", &mut command, SHARD_LIMIT).wait();
        Report::read(folder, AGENT)
    })
}

/// Runs the suite's server against an echo client: `dial(url)` is the command that dials `url` and ends
/// when the connection has.
#[track_caller]
pub fn against_client(
    name: &str,
    wstest: &Command,
    dial: impl Fn(&str) -> Command + Sync,
    cases: &[String],
) -> Report {
    sharded(name, cases, |folder, cases| {
        let (_server, address) = serve(wstest, folder, cases);
        let mut accidents = Vec::new();
        for id in cases {
            let url = format!("{address}/runCase?casetuple={id}&agent={AGENT}");
            let ended = Process::start(format!("case {id}"), &mut dial(&url), CASE_LIMIT).wait();
            // Failing the connection is what most cases want, so an exit code for that is fine. A panic (101)
            // or a signal never is.
            if ended.code.is_none_or(|code| code == 101) {
                accidents.push(format!("{id}: the client crashed\n{}", ended.transcript()));
            }
        }
        let url = format!("{address}/updateReports?agent={AGENT}");
        Process::start("the report", &mut dial(&url), CASE_LIMIT).wait();
        let mut report = Report::read(folder, AGENT);
        report.accidents = accidents;
        report
    })
}

/// Distributes the cases over the shards and joins the reports.
fn sharded(
    name: &str,
    cases: &[String],
    run: impl Fn(&Path, &[String]) -> Report + Sync,
) -> Report {
    let shards = thread::available_parallelism().map_or(2, |cores| cores.get() * SHARDS_PER_CORE);
    let shards = shards.min(SHARDS_MAX).min(cases.len());
    let reports = need::root().join("target/autobahn").join(name);
    let _ = std::fs::remove_dir_all(&reports);
    let mut whole = Report::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..shards)
            .map(|shard| {
                let folder = reports.join(shard.to_string());
                let run = &run;
                // One by one, so that the long cases of a group don't gather in one shard.
                let cases: Vec<_> = cases.iter().skip(shard).step_by(shards).cloned().collect();
                scope.spawn(move || {
                    std::fs::create_dir_all(&folder).expect("a folder for the report");
                    run(&folder, &cases)
                })
            })
            .collect();
        for shard in running {
            match shard.join() {
                Ok(report) => whole.merge(report),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    whole
}

/// Starts the suite's server on a free port.
fn serve(wstest: &Command, folder: &Path, cases: &[String]) -> (Process, String) {
    // The suite cannot say which port it was given, so it is told one that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("a free port").port();
    let address = format!("ws://127.0.0.1:{port}");
    let spec = json!({
        "outdir": folder,
        "url": address,
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    let mut command = suite(wstest, "fuzzingserver", folder, &spec);
    // Without the page that it would serve on a port of its own.
    command.args(["--webport", "0"]);
    let mut server = Process::start("wstest fuzzingserver", &mut command, SHARD_LIMIT);
    server.wait_for_text("Cases = ");
    // It prints that line before it listens, and nothing after.
    let until = Instant::now() + READY_LIMIT;
    while let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
        assert!(
            Instant::now() < until,
            "{address}: {error}\n{}",
            server.transcript()
        );
        thread::sleep(READY_POLL);
    }
    (server, address)
}

fn suite(wstest: &Command, mode: &str, folder: &Path, spec: &serde_json::Value) -> Command {
    let path: PathBuf = folder.join("spec.json");
    std::fs::write(&path, spec.to_string()).expect("a file can be written");
    let mut command = Command::new(wstest.get_program());
    command.args(wstest.get_args());
    command.args(["--mode", mode, "--spec"]).arg(path);
    command
}

/// The suite and the binary wait for each other in turn: two pairs keep one core busy.
const SHARDS_PER_CORE: usize = 2;

/// Beyond this the suite's own time limits would measure the machine.
const SHARDS_MAX: usize = 8;

/// All 517 cases take twenty minutes one after another.
const SHARD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// The suite's longest limit for a case is 480 seconds; after that it closes.
const CASE_LIMIT: Duration = Duration::from_secs(500);

/// Between the last line and the open port the suite does nothing else.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// The time between two checks: short beside a case, and long enough to leave the processor to the suite.
const READY_POLL: Duration = Duration::from_millis(20);
