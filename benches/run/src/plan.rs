//! What a full run and a quick one measure.

use crate::{
    cell::{Cell, Payload, Way},
    measurement::Window,
    peer::Peer,
    rounds::Rounds,
};

/// Cells, in the order in which they are measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What a user types for it.
    pub(crate) command: &'static str,
    pub(crate) parts: Vec<Part>,
    /// Whose instructions are counted.
    pub(crate) counted: Vec<Peer>,
}

/// Cells that stand in one table.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) title: &'static str,
    pub(crate) cells: Vec<Cell>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) rounds: Rounds,
}

impl Plan {
    /// Most of an hour.
    pub(crate) fn full() -> Self {
        let rounds = rounds(1.0, 5);
        let parts = vec![
            part(CHOSEN, chosen(), Peer::all(), rounds),
            part(
                LARGE_CROWD,
                vec![echo(10_000, 20, 1, Payload::Binary, Way::Plain)],
                Peer::all(),
                rounds,
            ),
            part(BROADCAST, broadcasts(), Peer::all(), rounds),
            part(
                HANDSHAKES,
                vec![Cell::Handshakes { outstanding: 32 }],
                Peer::all(),
                rounds,
            ),
            part(OTHER_WAYS, other_ways(), Peer::all(), rounds),
            part(IDLE, idle(), Peer::all(), rounds),
            part(
                IDLE_CROWD,
                vec![Cell::Idle {
                    connections: 100_000,
                    way: Way::Plain,
                }],
                named("uwebsockets,sockeye,sockeye-loop"),
                rounds,
            ),
            part(
                GRID,
                grid(),
                named(
                    "raw-epoll,uwebsockets,sockeye,sockeye-loop,fastwebsockets,sockudo-ws,yawc,tungstenite-tuned",
                ),
                self::rounds(1.0, 3),
            ),
        ];
        Self {
            command: "make bench",
            parts,
            counted: named(
                "uwebsockets,sockeye,sockeye-loop,fastwebsockets,sockudo-ws,yawc,tokio-websockets,tungstenite-tuned",
            ),
        }
    }

    /// Minutes.
    pub(crate) fn quick() -> Self {
        let rounds = rounds(0.7, 3);
        let peers = || named("raw-epoll,uwebsockets,sockeye,sockeye-loop,fastwebsockets");
        let rooms = named("uwebsockets,sockeye,tokio-broadcast");
        let broadcast = vec![broadcast(1000, 1), broadcast(1000, 16)];
        let idle = vec![Cell::Idle {
            connections: 10_000,
            way: Way::Plain,
        }];
        let parts = vec![
            part(CHOSEN, chosen(), peers(), rounds),
            part(BROADCAST, broadcast, rooms, rounds),
            part(
                HANDSHAKES,
                vec![Cell::Handshakes { outstanding: 32 }],
                peers(),
                rounds,
            ),
            part(
                OTHER_WAYS,
                other_ways(),
                named("uwebsockets,sockeye"),
                rounds,
            ),
            part(IDLE, idle, peers(), rounds),
        ];
        Self {
            command: "make bench QUICK=1",
            parts,
            counted: named("uwebsockets,sockeye,sockeye-loop,fastwebsockets"),
        }
    }
}

impl Part {
    /// Whether memory is measured here, and not speed.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.cells.first(), Some(Cell::Idle { .. }))
    }

    /// Whether it is too large for a table of each cell.
    pub(crate) fn is_grid(&self) -> bool {
        self.title == GRID
    }
}

fn part(title: &'static str, cells: Vec<Cell>, peers: Vec<Peer>, rounds: Rounds) -> Part {
    Part {
        title,
        cells,
        peers,
        rounds,
    }
}

fn rounds(seconds: f64, rounds: usize) -> Rounds {
    Rounds {
        window: Window::Time {
            warm_up: 0.3,
            measured: seconds,
        },
        rounds,
    }
}

fn named(names: &str) -> Vec<Peer> {
    names.split(',').filter_map(Peer::find).collect()
}

fn echo(connections: usize, bytes: usize, in_flight: usize, payload: Payload, way: Way) -> Cell {
    Cell::Echo {
        connections,
        bytes,
        in_flight,
        payload,
        way,
    }
}

fn broadcast(receivers: usize, in_flight: usize) -> Cell {
    Cell::Broadcast {
        receivers,
        bytes: 125,
        in_flight,
    }
}

/// What people ask for first: small messages alone, small ones in a stream, text, large ones.
fn chosen() -> Vec<Cell> {
    let binary = |connections, bytes, in_flight| {
        echo(connections, bytes, in_flight, Payload::Binary, Way::Plain)
    };
    vec![
        binary(200, 20, 1),
        binary(1000, 20, 1),
        binary(200, 125, 16),
        echo(50, 1 << 10, 16, Payload::Ascii, Way::Plain),
        echo(50, 1 << 10, 16, Payload::NonAscii, Way::Plain),
        binary(20, 16 << 10, 16),
        binary(10, 1 << 20, 1),
    ]
}

fn broadcasts() -> Vec<Cell> {
    vec![
        broadcast(1000, 1),
        broadcast(10_000, 1),
        broadcast(1000, 16),
    ]
}

fn other_ways() -> Vec<Cell> {
    vec![
        echo(200, 125, 1, Payload::Binary, Way::Tls),
        echo(20, 16 << 10, 4, Payload::Binary, Way::Tls),
        echo(100, 1 << 10, 1, Payload::Ascii, Way::DeflateShared),
        echo(100, 1 << 10, 1, Payload::Ascii, Way::DeflateOwn),
    ]
}

fn idle() -> Vec<Cell> {
    let ways = [Way::Plain, Way::DeflateOwn, Way::Tls];
    ways.map(|way| Cell::Idle {
        connections: 10_000,
        way,
    })
    .to_vec()
}

fn grid() -> Vec<Cell> {
    let mut cells = Vec::new();
    for connections in [1, 10, 200, 1000] {
        for bytes in [20, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20] {
            for in_flight in [1, 16] {
                cells.push(echo(
                    connections,
                    bytes,
                    in_flight,
                    Payload::Binary,
                    Way::Plain,
                ));
            }
        }
    }
    cells
}

const CHOSEN: &str = "Echo";
const LARGE_CROWD: &str = "Echo on ten thousand connections";
const BROADCAST: &str = "Broadcast: one message to everybody";
const HANDSHAKES: &str = "Handshakes: connect, upgrade, close";
const OTHER_WAYS: &str = "TLS and compression";
const IDLE: &str = "Memory of idle connections";
const IDLE_CROWD: &str = "Memory of a hundred thousand idle connections";
const GRID: &str = "Echo, the whole grid";
