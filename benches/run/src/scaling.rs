//! Whether two workers share anything: what a message costs with one, and with two.
//!
//! With four cores one could simply measure. With two, the load generator needs one of them; but what workers
//! share costs instructions (atomic counters, locks, notes to each other) and waits (futex calls), and both
//! can be counted anywhere.

use std::error::Error;

use crate::{
    cell::{Cell, Payload, Way},
    instructions,
    peer::Peer,
    server::Server,
    setting::Setting,
};

/// What one message costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) workers: usize,
    /// In user space.
    pub(crate) instructions: f64,
    /// Of a thousand messages.
    pub(crate) futex_calls: f64,
}

/// The costs with one worker and with two.
pub(crate) fn costs(setting: &Setting, peer: &Peer) -> Result<Vec<Cost>, Box<dyn Error>> {
    let cell = Cell::Echo {
        connections: 50,
        bytes: 20,
        in_flight: 1,
        payload: Payload::Binary,
        way: Way::Plain,
    };
    [1, 2]
        .map(|workers| {
            let peer = peer.clone().with_workers(workers);
            Ok(Cost {
                workers,
                instructions: instructions::each(setting, &cell, &peer)?,
                futex_calls: futex_calls(setting, &cell, &peer)?,
            })
        })
        .into_iter()
        .collect()
}

fn futex_calls(setting: &Setting, cell: &Cell, peer: &Peer) -> Result<f64, Box<dyn Error>> {
    let few = traced(setting, cell, peer, MESSAGES_FEW)?;
    let many = traced(setting, cell, peer, MESSAGES_MANY)?;
    Ok((many - few) * 1000.0 / (MESSAGES_MANY - MESSAGES_FEW) as f64)
}

/// All futex calls of a server that echoes so many messages.
fn traced(
    setting: &Setting,
    cell: &Cell,
    peer: &Peer,
    messages: usize,
) -> Result<f64, Box<dyn Error>> {
    let calls = setting.workshop.scratch().join("futex.out");
    let server = Server::traced(
        &setting.counted(peer),
        &cell.server_arguments(peer, setting.identity()),
        &calls,
    )?;
    instructions::drive(setting, cell, peer, server, messages)?;
    let text = std::fs::read_to_string(&calls)?;
    Ok(text.lines().filter(|line| line.contains("futex(")).count() as f64)
}

/// Messages of the shorter run.
const MESSAGES_FEW: usize = 2_000;

/// Messages of the longer run.
const MESSAGES_MANY: usize = 22_000;
