//! Who is measured.

/// One server, in one way of working.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// What it is called in tables: `fastwebsockets`, or `sockeye@new` for another binary of the same.
    pub(crate) name: String,
    /// The package or program, see [`Program`].
    pub(crate) program: Program,
    pub(crate) style: Option<&'static str>,
    pub(crate) can: &'static [Can],
    /// Threads that serve, if it is told.
    pub(crate) workers: Option<usize>,
}

/// What has to be built and started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// A package of this workspace, and a binary of the same name.
    Package(&'static str),
    /// The C++ server.
    Uwebsockets,
    /// A script for Node.
    Node,
}

/// What a server can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Can {
    /// It echoes bytes and knows no WebSocket.
    Raw,
    /// It echoes messages.
    Echo,
    /// It has a room.
    Broadcast,
    /// It compresses, with shared compressors and with a context for each connection.
    Deflate,
    /// It talks TLS.
    Tls,
}

impl Peer {
    /// Finds a peer by its name; `NAME@LABEL` is another binary of `NAME`.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let kind = name.split('@').next().unwrap_or(name);
        let (_, program, style, can) = PEERS.iter().find(|(known, ..)| *known == kind)?;
        Some(Self {
            name: name.to_owned(),
            program: *program,
            style: *style,
            can,
            workers: None,
        })
    }

    /// All that there are.
    pub(crate) fn all() -> Vec<Self> {
        PEERS
            .iter()
            .filter_map(|(name, ..)| Self::find(name))
            .collect()
    }

    /// The same, with so many threads.
    pub(crate) fn with_workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// A WebSocket server in Rust, ours or another one.
    pub(crate) fn is_rust_websocket(&self) -> bool {
        matches!(self.program, Package(_)) && self.can(Echo)
    }

    pub(crate) fn can(&self, what: Can) -> bool {
        self.can.contains(&what)
    }
}

use Can::{Broadcast, Deflate, Echo, Raw, Tls};
use Program::{Node, Package, Uwebsockets};

/// Name, program, style, abilities. The order is that of the tables.
#[rustfmt::skip]
const PEERS: &[(&str, Program, Option<&str>, &[Can])] = &[
    (RAW, Package("peer-raw-epoll"), None, &[Raw]),
    ("raw-tokio", Package("peer-raw-tokio"), None, &[Raw]),
    (REFERENCE, Uwebsockets, None, &[Echo, Broadcast, Deflate, Tls]),
    (OURS, Package("peer-sockeye"), Some("endpoint"), &[Echo, Broadcast, Deflate, Tls]),
    (OURS_LOOP, Package("peer-sockeye"), Some("loop"), &[Echo, Deflate, Tls]),
    ("fastwebsockets", Package("peer-fastwebsockets"), None, &[Echo]),
    ("tokio-websockets", Package("peer-tokio-websockets"), None, &[Echo]),
    ("sockudo-ws", Package("peer-sockudo-ws"), None, &[Echo]),
    ("yawc", Package("peer-yawc"), None, &[Echo]),
    ("tungstenite-tuned", Package("peer-tungstenite"), Some("tuned"), &[Echo]),
    ("tungstenite", Package("peer-tungstenite"), Some("plain"), &[Echo]),
    ("npm-ws", Node, None, &[Echo, Deflate, Tls]),
    (CHANNEL, Package("peer-tungstenite"), Some("broadcast"), &[Broadcast]),
];

/// Sockeye in callback style.
pub(crate) const OURS: &str = "sockeye";

/// Sockeye in loop style.
pub(crate) const OURS_LOOP: &str = "sockeye-loop";

/// "tokio broadcast channel, one task per client".
pub(crate) const CHANNEL: &str = "tokio-broadcast";

/// The peer that everything is compared with.
pub(crate) const REFERENCE: &str = "uwebsockets";

/// The socket itself.
pub(crate) const RAW: &str = "raw-epoll";
