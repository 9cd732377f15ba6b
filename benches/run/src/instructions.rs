//! Instructions for each message in user space: they don't wobble.

use std::{error::Error, fs, process::Command};

use crate::{
    cell::{Cell, Payload, Way},
    peer::Peer,
    server::Server,
    setting::Setting,
};

/// What one server needs for one message.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    pub(crate) peer: String,
    /// In the order of [`CELLS`]; `None` where it could not be counted.
    pub(crate) instructions: Vec<Option<f64>>,
}

/// Counts all cells of all peers.
pub(crate) fn count(setting: &Setting, peers: &[Peer]) -> Vec<Count> {
    let mut counts = Vec::new();
    for peer in peers {
        let mut instructions = Vec::new();
        for (name, bytes, in_flight, payload) in CELLS {
            let cell = Cell::Echo {
                connections: CONNECTIONS,
                bytes,
                in_flight,
                payload,
                way: Way::Plain,
            };
            let each = each(setting, &cell, peer);
            match &each {
                Ok(each) => eprintln!("  {}, {name}: {each:.0} instructions", peer.name),
                Err(error) => eprintln!("  {}, {name}: {error}", peer.name),
            }
            instructions.push(each.ok());
        }
        counts.push(Count {
            peer: peer.name.clone(),
            instructions,
        });
    }
    counts
}

/// What is counted: name, payload bytes, messages in flight, kind.
pub(crate) const CELLS: [(&str, usize, usize, Payload); 3] = [
    ("20 B alone", 20, 1, Payload::Binary),
    ("20 B, 16 in flight", 20, 16, Payload::Binary),
    ("1 KiB non-ASCII, 16 in flight", 1024, 16, Payload::NonAscii),
];

/// What more messages cost more, so that neither the start nor the handshakes count.
pub(crate) fn each(setting: &Setting, cell: &Cell, peer: &Peer) -> Result<f64, Box<dyn Error>> {
    let few = total(setting, cell, peer, MESSAGES_FEW)?;
    let many = total(setting, cell, peer, MESSAGES_MANY)?;
    Ok((many - few) / (MESSAGES_MANY - MESSAGES_FEW) as f64)
}

/// Sends so many messages to a server that is being watched, and ends it.
pub(crate) fn drive(
    setting: &Setting,
    cell: &Cell,
    peer: &Peer,
    server: Server,
    messages: usize,
) -> Result<(), Box<dyn Error>> {
    let output = Command::new(setting.workshop.load())
        .args(["--address", &server.address()])
        .args(["--count", &messages.to_string()])
        .args(cell.load_arguments(peer, setting.identity()))
        .output()?;
    server.end()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(())
}

/// All instructions of a server that echoes so many messages.
fn total(
    setting: &Setting,
    cell: &Cell,
    peer: &Peer,
    messages: usize,
) -> Result<f64, Box<dyn Error>> {
    let counts = setting.workshop.scratch().join("callgrind.out");
    let server = Server::counted(
        &setting.counted(peer),
        &cell.server_arguments(peer, setting.identity()),
        &counts,
    )?;
    drive(setting, cell, peer, server, messages)?;
    let text = fs::read_to_string(&counts)?;
    let mut lines = text.lines();
    let total = lines.find_map(|line| line.strip_prefix("summary: "));
    Ok(total.ok_or("callgrind left no count")?.trim().parse()?)
}

/// Enough that a wait for readiness is shared by many.
const CONNECTIONS: usize = 50;

/// Messages of the shorter run: the caches and pools of every server are full by then.
const MESSAGES_FEW: usize = 10_000;

/// Messages of the longer run.
const MESSAGES_MANY: usize = 50_000;
