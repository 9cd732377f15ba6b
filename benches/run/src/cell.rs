//! What is measured: one cell of the tables.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    peer::{Can, Peer},
    workshop::Flavour,
};

/// One question that is asked of several servers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// What is sent comes back.
    Echo {
        connections: usize,
        bytes: usize,
        in_flight: usize,
        payload: Payload,
        way: Way,
    },
    /// What one sends comes to all.
    Broadcast {
        receivers: usize,
        bytes: usize,
        in_flight: usize,
    },
    /// Connect, upgrade, close.
    Handshakes { outstanding: usize },
    /// Nothing; a burst of messages; nothing again.
    Idle { connections: usize, way: Way },
}

/// What messages consist of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Payload {
    #[default]
    Binary,
    Ascii,
    NonAscii,
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// As they are
    #[default]
    Plain,
    Tls,
    /// Compressed, no context is taken over
    DeflateShared,
    /// Compressed, with a context for each connection
    DeflateOwn,
}

/// Certificate and key, for the cells that need them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'p> {
    pub(crate) certificate: &'p Path,
    pub(crate) key: &'p Path,
}

impl Cell {
    /// In words, and without a comma: it stands in a CSV file.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Echo {
                connections,
                bytes,
                in_flight,
                payload,
                way,
            } => {
                let payload = match payload {
                    Payload::Binary => "",
                    Payload::Ascii => " ASCII",
                    Payload::NonAscii => " non-ASCII",
                };
                format!(
                    "echo {} x {}{payload} x {in_flight}{}",
                    grouped(*connections),
                    size(*bytes),
                    way.suffix()
                )
            }
            Self::Broadcast {
                receivers,
                bytes,
                in_flight,
            } => format!(
                "broadcast {} to {} x {in_flight}",
                size(*bytes),
                grouped(*receivers)
            ),
            Self::Handshakes { outstanding } => format!("handshakes x {outstanding}"),
            Self::Idle { connections, way } => {
                format!("idle {}{}", grouped(*connections), way.suffix())
            }
        }
    }

    /// Bytes of payload that are under way at the same time.
    pub(crate) fn bytes_under_way(&self) -> usize {
        match self {
            Self::Echo {
                connections,
                bytes,
                in_flight,
                ..
            } => connections * bytes * in_flight,
            Self::Broadcast { .. } | Self::Handshakes { .. } | Self::Idle { .. } => 0,
        }
    }

    pub(crate) fn way(&self) -> Way {
        match self {
            Self::Echo { way, .. } | Self::Idle { way, .. } => *way,
            Self::Broadcast { .. } | Self::Handshakes { .. } => Way::Plain,
        }
    }

    /// Whether the peer has something to say here.
    pub(crate) fn suits(&self, peer: &Peer) -> bool {
        let knows_way = match self.way() {
            Way::Plain => true,
            Way::Tls => peer.can(Can::Tls),
            Way::DeflateShared | Way::DeflateOwn => peer.can(Can::Deflate),
        };
        let knows_task = match self {
            Self::Broadcast { .. } => peer.can(Can::Broadcast),
            Self::Handshakes { .. } | Self::Idle { .. } => peer.can(Can::Echo),
            Self::Echo { .. } => peer.can(Can::Echo) || peer.can(Can::Raw),
        };
        knows_way && knows_task
    }

    /// What the load generator is asked.
    pub(crate) fn load_arguments(&self, peer: &Peer, identity: Identity<'_>) -> Vec<String> {
        let mut line = match self.way() {
            Way::Tls => format!("--tls-ca {} ", identity.certificate.display()),
            _ => String::new(),
        };
        line += &match self {
            Self::Echo {
                connections,
                bytes,
                in_flight,
                payload,
                ..
            } => {
                let payload = match payload {
                    Payload::Binary => "binary",
                    Payload::Ascii => "ascii",
                    Payload::NonAscii => "non-ascii",
                };
                format!(
                    "echo --connections {connections} --bytes {bytes} --in-flight {in_flight} --payload {payload}"
                )
            }
            Self::Broadcast {
                receivers,
                bytes,
                in_flight,
            } => {
                format!("broadcast --receivers {receivers} --bytes {bytes} --in-flight {in_flight}")
            }
            Self::Handshakes { outstanding } => format!("handshakes --outstanding {outstanding}"),
            Self::Idle { connections, .. } => format!("idle --connections {connections}"),
        };
        line += match self.way() {
            Way::DeflateShared => " --deflate shared",
            Way::DeflateOwn => " --deflate own",
            Way::Plain | Way::Tls => "",
        };
        if peer.can(Can::Raw) {
            line += " --raw";
        }
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// What the server is asked.
    pub(crate) fn server_arguments(&self, peer: &Peer, identity: Identity<'_>) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |word: &str| words.push(word.to_owned());
        if let Some(style) = peer.style {
            add("--style");
            add(style);
        }
        if let Some(workers) = peer.workers {
            add("--workers");
            add(&workers.to_string());
        }
        match self.way() {
            Way::Plain => {}
            Way::Tls => {
                add("--tls");
                add(&identity.certificate.display().to_string());
                add(&identity.key.display().to_string());
            }
            Way::DeflateShared => {
                add("--deflate");
                add("shared");
            }
            Way::DeflateOwn => {
                add("--deflate");
                add("own");
            }
        }
        words
    }
}

impl Way {
    /// How the servers have to be compiled.
    pub(crate) fn flavour(self) -> Flavour {
        match self {
            Self::Tls => Flavour::Tls,
            Self::Plain | Self::DeflateShared | Self::DeflateOwn => Flavour::Plain,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls => " TLS",
            Self::DeflateShared => " deflate shared",
            Self::DeflateOwn => " deflate own",
        }
    }
}

/// `1 KiB` and so on.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

/// `10 000`: without a comma, for the sake of CSV files.
fn grouped(number: usize) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    format!("{} {:03}", number / 1000, number % 1000)
}
