//! Both servers, from the same configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sockeye_checks::{Port, Process, Server, need, sockeye};

use super::script::Exchange;

/// The running servers.
pub(crate) struct Servers {
    /// By the name of their configuration.
    pub(crate) pairs: BTreeMap<String, Pair>,
    /// They end when this is dropped.
    _processes: Vec<(Process, Server)>,
}

/// The addresses of the real server and of ours, with the same configuration.
pub(crate) struct Pair {
    pub(crate) referee: SocketAddr,
    pub(crate) ours: SocketAddr,
}

/// The real server: the one that `CHECKS_REFEREE` names, or the one that `make differential` builds.
pub(crate) fn referee() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHECKS_REFEREE") {
        return Some(path.into());
    }
    let path = need::root().join(".work/bin/centrifugo");
    match path.exists() {
        true => Some(path),
        false => need::missing("the real server, Centrifugo", "make differential, with Go"),
    }
}

/// Starts a pair for each configuration that the exchanges name.
pub(crate) fn start(referee: &Path, exchanges: &[Exchange]) -> Option<Servers> {
    let names = exchanges.iter().map(|exchange| exchange.server.as_str());
    let names: BTreeSet<&str> = names.collect();
    let mut servers = Servers {
        pairs: BTreeMap::new(),
        _processes: Vec::new(),
    };
    for name in names {
        let (pair, processes) = start_pair(referee, name)?;
        servers.pairs.insert(name.to_owned(), pair);
        servers._processes.push(processes);
    }
    Some(servers)
}

fn start_pair(referee: &Path, name: &str) -> Option<(Pair, (Process, Server))> {
    let directory = need::root().join("crates/checks/tests/differential/servers");
    let file = directory.join(format!("{name}.json"));
    let ours = start_ours(&file)?;
    let ours_addr = SocketAddr::from(([127, 0, 0, 1], ours.port()));
    let port = Port::reserve();
    let mut command = Command::new(referee);
    command
        .arg("--config")
        .arg(&file)
        .env("CENTRIFUGO_HTTP_SERVER_ADDRESS", "127.0.0.1")
        .env(
            "CENTRIFUGO_HTTP_SERVER_PORT",
            port.addr().port().to_string(),
        );
    let mut process = Process::start(format!("the referee ({name})"), &mut command, LIMIT);
    // It says that it serves before it does.
    process.wait_for_text("serving ");
    process.wait_for_port(port.addr());
    let pair = Pair {
        referee: port.addr(),
        ours: ours_addr,
    };
    Some((pair, (process, ours)))
}

/// Starts ours with the configuration, translated by `sockeye config import`.
fn start_ours(file: &Path) -> Option<Server> {
    let import = sockeye("config", &["import"])?.arg(file).output();
    let import = import.expect("the configuration is translated");
    let notes = String::from_utf8_lossy(&import.stderr);
    // What has no counterpart is the point of some exchanges.
    eprint!("{}: {notes}", file.display());
    let directory = tempfile::tempdir().expect("a directory");
    let translated = directory.path().join("sockeye.toml");
    std::fs::write(&translated, import.stdout).expect("the configuration is written");
    let translated = translated.to_str().expect("a path in UTF-8");
    let arguments = ["--listen", "127.0.0.1:0", "--config", translated];
    Server::start_for(&arguments, LIMIT)
}

/// For all exchanges.
const LIMIT: Duration = Duration::from_secs(1800);
