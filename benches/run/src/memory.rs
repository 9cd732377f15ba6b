//! Memory of connections that do nothing.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{cell::Cell, peer::Peer, server::Server, setting::Setting};

/// Bytes of process memory for each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// When all were open.
    pub(crate) opened: f64,
    /// When each had sent and received ten messages of a kibibyte, and was silent again.
    pub(crate) burst: f64,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    pub(crate) cell: String,
    pub(crate) peer: String,
    /// Or why there is none.
    pub(crate) memory: Result<Memory, String>,
}

impl Weight {
    /// Weighs one server after the other.
    pub(crate) fn all(setting: &Setting, cell: &Cell, peers: &[Peer]) -> Vec<Self> {
        let mut weights = Vec::new();
        for peer in peers.iter().filter(|peer| cell.suits(peer)) {
            let memory = Memory::take(setting, cell, peer).map_err(|error| error.to_string());
            match &memory {
                Ok(memory) => eprintln!(
                    "  {}: {:.0} B, after a burst {:.0} B",
                    peer.name, memory.opened, memory.burst
                ),
                Err(reason) => eprintln!("  {}: {reason}", peer.name),
            }
            weights.push(Self {
                cell: cell.name(),
                peer: peer.name.clone(),
                memory,
            });
        }
        weights
    }
}

impl Memory {
    /// Opens the cell's connections, spread over as many pairs of processes as the limit of descriptors demands.
    pub(crate) fn take(setting: &Setting, cell: &Cell, peer: &Peer) -> io::Result<Self> {
        let Cell::Idle { connections, way } = *cell else {
            return Err(io::Error::other("only idle connections are weighed"));
        };
        let pairs = connections.div_ceil(CONNECTIONS_MAX);
        let share = Cell::Idle {
            connections: connections / pairs,
            way,
        };
        let binary = setting.binary(peer, cell);
        let arguments = share.server_arguments(peer, setting.identity());
        let mut servers = Vec::new();
        for _ in 0..pairs {
            servers.push(Server::start(&binary, &arguments, setting.cores)?);
        }
        let first = Cell::Idle {
            connections: 1,
            way,
        };
        for server in &servers {
            // What any server needs to have at all, such as the pages of its own code, no connection needs again.
            let mut load = Load::start(setting, &first, peer, server)?;
            load.step("opened")?;
            load.go_on()?;
            load.step("burst")?;
        }
        let before = settled(&servers)?;
        let mut loads = Vec::new();
        for server in &servers {
            loads.push(Load::start(setting, &share, peer, server)?);
        }
        for load in &mut loads {
            load.step("opened")?;
        }
        let opened = settled(&servers)?;
        for load in &mut loads {
            load.go_on()?;
            load.step("burst")?;
        }
        let burst = settled(&servers)?;
        let each = |bytes: f64| (bytes - before) / (connections / pairs * pairs) as f64;
        Ok(Self {
            opened: each(opened),
            burst: each(burst),
        })
    }
}

/// A load generator that waits between its steps.
struct Load {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Load {
    fn start(setting: &Setting, cell: &Cell, peer: &Peer, server: &Server) -> io::Result<Self> {
        let mut command = Command::new(setting.workshop.load());
        command
            .args(["--address", &server.address()])
            .args(cell.load_arguments(peer, setting.identity()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = setting.cores.for_load(|| command.spawn())?;
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { child, lines })
    }

    /// Waits until the step is done.
    fn step(&mut self, step: &str) -> io::Result<()> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        if !line.contains(step) {
            return Err(io::Error::other(format!(
                "the load generator did not get to `{step}`"
            )));
        }
        Ok(())
    }

    fn go_on(&mut self) -> io::Result<()> {
        let input = self.child.stdin.as_mut().expect("it is piped");
        input.write_all(b"\n")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// After a rest: what a server gives back, it may give back a little later.
fn settled(servers: &[Server]) -> io::Result<f64> {
    thread::sleep(REST);
    resident(servers)
}

/// Bytes of physical memory of all servers.
fn resident(servers: &[Server]) -> io::Result<f64> {
    let mut sum = 0.0;
    for server in servers {
        let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
            .ok_or_else(|| io::Error::other("no VmRSS"))?;
        sum += kibibytes * 1024.0;
    }
    Ok(sum)
}

/// Connections of one process. Many systems end at 20,000 descriptors.
const CONNECTIONS_MAX: usize = 19_000;

/// Longer than any server waits before it tidies up.
const REST: Duration = Duration::from_millis(1500);
