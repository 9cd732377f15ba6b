//! Smoke: every kind of measurement for a moment. Nothing is said about speed; what is said is that it
//! runs and that what comes back is right.

use std::error::Error;

use crate::{
    cell::{Cell, Payload, Way},
    measurement::{Measurement, Window},
    memory::Memory,
    peer::Peer,
    setting::Setting,
};

/// Measures everything of the raw socket and of Sockeye, in both styles. What fails is an error.
pub(crate) fn run(setting: &Setting) -> Result<(), Box<dyn Error>> {
    let mut measured = 0;
    for name in PEERS {
        let peer = Peer::find(name).ok_or("a peer of ours has another name now")?;
        for cell in cells().iter().filter(|cell| cell.suits(&peer)) {
            let failed = |error| format!("{name}, {}: {error}", cell.name());
            if let Cell::Idle { .. } = cell {
                let memory = Memory::take(setting, cell, &peer).map_err(failed)?;
                println!("{name}, {}: {:.0} B each", cell.name(), memory.opened);
            } else {
                Measurement::once(setting, cell, &peer, WINDOW).map_err(failed)?;
                println!("{name}, {}: runs", cell.name());
            }
            measured += 1;
        }
    }
    println!("bench: {measured} passed, 0 failed");
    Ok(())
}

fn cells() -> Vec<Cell> {
    let echo = |bytes, in_flight, payload, way| Cell::Echo {
        connections: 5,
        bytes,
        in_flight,
        payload,
        way,
    };
    let mut cells = vec![
        echo(20, 1, Payload::Binary, Way::Plain),
        echo(125, 16, Payload::Ascii, Way::Plain),
        echo(1 << 10, 16, Payload::NonAscii, Way::Plain),
        echo(16 << 10, 16, Payload::Binary, Way::Plain),
        echo(1 << 20, 2, Payload::Binary, Way::Plain),
        Cell::Broadcast {
            receivers: 10,
            bytes: 125,
            in_flight: 4,
        },
        Cell::Handshakes { outstanding: 4 },
    ];
    for way in [Way::Tls, Way::DeflateShared, Way::DeflateOwn] {
        cells.push(echo(1 << 10, 4, Payload::Ascii, way));
    }
    cells.push(Cell::Idle {
        connections: 50,
        way: Way::Plain,
    });
    cells
}

/// What has to be built for it.
const PEERS: [&str; 3] = ["raw-epoll", "sockeye", "sockeye-loop"];

/// Enough that every message of a cycle passes at least once, and no clock is asked.
const WINDOW: Window = Window::Count(200);
