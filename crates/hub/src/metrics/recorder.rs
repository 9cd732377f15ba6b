//! Where clients, shards and the node count.

use std::time::Duration;

use super::{
    cells::Cells,
    histogram::{BROADCAST_BOUNDS, COMMAND_BOUNDS, Histogram, LAG_BOUNDS},
    label::{
        FrameKind, ItemKind, MapChangeKind, NameLabel, TRANSPORTS_MAX, TransportLabel,
        TransportNames,
    },
    snapshot::{
        CodeCount, CommandMetrics, ConnectionMetrics, FrameMetrics, ItemMetrics,
        MapSuppressionMetrics, NodeMetrics, RecoveryMetrics, ReplyErrorMetrics,
        SubscriptionMetrics, TransportPings,
    },
};
use crate::{Disconnect, MapSuppression, UnsubscribeCode, shard::Recovery};

/// The counts of a node.
pub(crate) struct Recorder {
    cells: Cells,
    /// Connections that were opened and that ended, for each transport and name; then subscriptions, for each name.
    clients: Cells,
    transports: TransportNames,
    /// What the labels of names stand for.
    names: Vec<String>,
}

/// How a recovery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecoveryOutcome {
    pub(crate) is_recovered: bool,
    pub(crate) has_publications: bool,
}

const KINDS: usize = FrameKind::ALL.len();
const COMMANDS: usize = FrameKind::COMMANDS;

// Where in `cells` the counts of a sort begin. For frames there are two cells each: messages and bytes.
const RECEIVED: usize = 0;
const SENT: usize = RECEIVED + TRANSPORTS_MAX * KINDS * 2;
const COMMAND_TIMES: usize = SENT + TRANSPORTS_MAX * KINDS * 2;
const PINGS: usize = COMMAND_TIMES + COMMANDS * Histogram::len(COMMAND_BOUNDS);
const LAG: usize = PINGS + TRANSPORTS_MAX * Histogram::len(COMMAND_BOUNDS);
const BROADCAST: usize = LAG + Histogram::len(LAG_BOUNDS);
const DELIVERY: usize = BROADCAST + Histogram::len(BROADCAST_BOUNDS);
const REPLY_ERRORS: usize = DELIVERY + Histogram::len(BROADCAST_BOUNDS);
const DISCONNECTS: usize = REPLY_ERRORS + COMMANDS * (ERROR_CODES.len() + 1);
const UNSUBSCRIBES: usize = DISCONNECTS + DISCONNECT_CODES.len() + 1;
const RECOVERIES: usize = UNSUBSCRIBES + UNSUBSCRIBE_CODES.len() + 1;
const TO_BROKER: usize = RECOVERIES + 4;
const FROM_BROKER: usize = TO_BROKER + ItemKind::ALL.len();
const DROPPED: usize = FROM_BROKER + ItemKind::ALL.len();
const MAP_SUPPRESSIONS: usize = DROPPED + 1;
const END: usize = MAP_SUPPRESSIONS + MapChangeKind::ALL.len() * MapSuppression::ALL.len();

/// The codes of errors that are told apart. Those of applications are one.
const ERROR_CODES: [u32; 14] = [
    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113,
];

/// The codes of endings that are told apart. Those of back ends, from 4000 on, are one.
const DISCONNECT_CODES: [u32; 22] = [
    3000, 3001, 3004, 3005, 3006, 3008, 3009, 3010, 3011, 3012, 3013, 3014, 3500, 3501, 3502, 3503,
    3504, 3505, 3506, 3507, 3508, 3509,
];

const UNSUBSCRIBE_CODES: [u32; 4] = [2000, 2500, 2501, 2502];

impl Recorder {
    pub(crate) fn new(registered_names: &[String]) -> Self {
        let names = NameLabel::names(registered_names);
        let clients = names.len() * (TRANSPORTS_MAX + 1) * 2;
        Self {
            cells: Cells::new(END),
            clients: Cells::new(clients),
            transports: TransportNames::new(),
            names,
        }
    }

    pub(crate) fn transport(&self, name: &'static str) -> TransportLabel {
        self.transports.label(name)
    }

    pub(crate) fn connected(&self, transport: TransportLabel, name: &NameLabel) {
        self.clients.add(self.connections(transport, name), 1);
    }

    pub(crate) fn disconnected(&self, transport: TransportLabel, name: &NameLabel) {
        self.clients.add(self.connections(transport, name) + 1, 1);
    }

    pub(crate) fn subscribed(&self, name: &NameLabel) {
        self.clients.add(self.subscriptions(name), 1);
    }

    pub(crate) fn unsubscribed(&self, name: &NameLabel) {
        self.clients.add(self.subscriptions(name) + 1, 1);
    }

    pub(crate) fn received(&self, transport: TransportLabel, kind: FrameKind, bytes: usize) {
        let at = RECEIVED + frames(transport.index(), kind);
        self.cells.add(at, 1);
        self.cells.add(at + 1, bytes as u64);
    }

    /// Counts a frame of `bytes` bytes that `receivers` clients are sent.
    pub(crate) fn sent(
        &self,
        transport: TransportLabel,
        kind: FrameKind,
        bytes: usize,
        receivers: u32,
    ) {
        let at = SENT + frames(transport.index(), kind);
        self.cells.add(at, u64::from(receivers));
        self.cells.add(at + 1, bytes as u64 * u64::from(receivers));
    }

    pub(crate) fn executed(&self, kind: FrameKind, took: Duration) {
        command_times(kind as usize).observe(&self.cells, took);
    }

    pub(crate) fn failed(&self, kind: FrameKind, code: u32) {
        let code = place(&ERROR_CODES, code);
        self.cells.add(
            REPLY_ERRORS + kind as usize * (ERROR_CODES.len() + 1) + code,
            1,
        );
    }

    pub(crate) fn ended(&self, disconnect: &Disconnect) {
        let code = place(&DISCONNECT_CODES, disconnect.code().into());
        self.cells.add(DISCONNECTS + code, 1);
    }

    pub(crate) fn unsubscribed_by_server(&self, code: UnsubscribeCode) {
        let code = place(&UNSUBSCRIBE_CODES, code.code());
        self.cells.add(UNSUBSCRIBES + code, 1);
    }

    pub(crate) fn recovery(&self, outcome: RecoveryOutcome) {
        self.cells.add(RECOVERIES + outcome.index(), 1);
    }

    /// Returns how many recoveries were exact, and how many were refused.
    pub(crate) fn recoveries(&self) -> (u64, u64) {
        RecoveryOutcome::ALL
            .iter()
            .fold((0, 0), |(exact, refused), outcome| {
                let count = self.cells.sum(RECOVERIES + outcome.index());
                match outcome.is_recovered {
                    true => (exact + count, refused),
                    false => (exact, refused + count),
                }
            })
    }

    pub(crate) fn ponged(&self, transport: TransportLabel, took: Duration) {
        pings(transport.index()).observe(&self.cells, took);
    }

    pub(crate) fn to_broker(&self, kind: ItemKind) {
        self.cells.add(TO_BROKER + kind as usize, 1);
    }

    pub(crate) fn got_from_broker(&self, kind: ItemKind) {
        self.cells.add(FROM_BROKER + kind as usize, 1);
    }

    /// Counts a frame that a slow reader has lost.
    pub(crate) fn dropped(&self) {
        self.cells.add(DROPPED, 1);
    }

    /// Counts a change of a map that has not happened.
    pub(crate) fn suppressed(&self, kind: MapChangeKind, reason: MapSuppression) {
        let at = kind as usize * MapSuppression::ALL.len() + reason as usize;
        self.cells.add(MAP_SUPPRESSIONS + at, 1);
    }

    /// Counts a publication that came `lag` after it was published, and took `broadcast` to be handed to all subscribers.
    pub(crate) fn delivered(&self, lag: Duration, broadcast: Duration) {
        Histogram::at(LAG, LAG_BOUNDS).observe(&self.cells, lag);
        Histogram::at(BROADCAST, BROADCAST_BOUNDS).observe(&self.cells, broadcast);
        Histogram::at(DELIVERY, BROADCAST_BOUNDS).observe(&self.cells, lag + broadcast);
    }

    /// Returns all counts; the caller adds what the node is now.
    pub(crate) fn snapshot(&self) -> NodeMetrics {
        let cells = &self.cells;
        let transports = self.transports.names();
        let codes = |first: usize, known: &[u32]| -> Vec<CodeCount> {
            let codes = known.iter().copied().map(Some).chain([None]);
            let counts = codes.enumerate().map(|(at, code)| CodeCount {
                code,
                count: cells.sum(first + at),
            });
            counts.filter(|count| count.count > 0).collect()
        };
        let items = |first: usize| -> Vec<ItemMetrics> {
            let kinds = ItemKind::ALL.iter().enumerate();
            let counts = kinds.map(|(at, (_, name))| ItemMetrics {
                kind: name,
                count: cells.sum(first + at),
            });
            counts.collect()
        };
        NodeMetrics {
            connections: self.connection_counts(&transports),
            subscriptions: self.subscription_counts(),
            received: self.frame_counts(RECEIVED, &transports),
            sent: self.frame_counts(SENT, &transports),
            commands: (0..COMMANDS)
                .map(|kind| CommandMetrics {
                    method: FrameKind::ALL[kind].1,
                    durations: command_times(kind).snapshot(cells),
                })
                .collect(),
            reply_errors: self.error_counts(),
            disconnects: codes(DISCONNECTS, &DISCONNECT_CODES),
            unsubscribes: codes(UNSUBSCRIBES, &UNSUBSCRIBE_CODES),
            recoveries: RecoveryOutcome::ALL
                .map(|outcome| RecoveryMetrics {
                    is_recovered: outcome.is_recovered,
                    has_publications: outcome.has_publications,
                    count: cells.sum(RECOVERIES + outcome.index()),
                })
                .to_vec(),
            pings: transports
                .iter()
                .enumerate()
                .map(|(at, transport)| TransportPings {
                    transport,
                    durations: pings(at).snapshot(cells),
                })
                .collect(),
            to_broker: items(TO_BROKER),
            from_broker: items(FROM_BROKER),
            dropped: cells.sum(DROPPED),
            map_suppressions: self.map_suppressions(),
            lag: Histogram::at(LAG, LAG_BOUNDS).snapshot(cells),
            broadcast: Histogram::at(BROADCAST, BROADCAST_BOUNDS).snapshot(cells),
            delivery: Histogram::at(DELIVERY, BROADCAST_BOUNDS).snapshot(cells),
            ..NodeMetrics::default()
        }
    }

    fn connections(&self, transport: TransportLabel, name: &NameLabel) -> usize {
        (transport.index() * self.names.len() + name.index()) * 2
    }

    fn subscriptions(&self, name: &NameLabel) -> usize {
        (TRANSPORTS_MAX * self.names.len() + name.index()) * 2
    }

    fn connection_counts(&self, transports: &[&'static str]) -> Vec<ConnectionMetrics> {
        let mut counts = Vec::new();
        for (at, transport) in transports.iter().enumerate() {
            for (name_at, name) in self.names.iter().enumerate() {
                let first = (at * self.names.len() + name_at) * 2;
                let accepted = self.clients.sum(first);
                if accepted > 0 {
                    counts.push(ConnectionMetrics {
                        transport,
                        client_name: name.clone(),
                        accepted,
                        inflight: accepted.saturating_sub(self.clients.sum(first + 1)),
                    });
                }
            }
        }
        counts
    }

    fn subscription_counts(&self) -> Vec<SubscriptionMetrics> {
        let names = self.names.iter().enumerate();
        let counts = names.map(|(at, name)| {
            let first = (TRANSPORTS_MAX * self.names.len() + at) * 2;
            let accepted = self.clients.sum(first);
            SubscriptionMetrics {
                client_name: name.clone(),
                accepted,
                inflight: accepted.saturating_sub(self.clients.sum(first + 1)),
            }
        });
        counts.filter(|count| count.accepted > 0).collect()
    }

    fn frame_counts(&self, first: usize, transports: &[&'static str]) -> Vec<FrameMetrics> {
        let mut counts = Vec::new();
        for (at, transport) in transports.iter().enumerate() {
            for (kind, name) in FrameKind::ALL {
                let cell = first + frames(at, kind);
                let messages = self.cells.sum(cell);
                if messages > 0 {
                    counts.push(FrameMetrics {
                        transport,
                        kind: name,
                        messages,
                        bytes: self.cells.sum(cell + 1),
                    });
                }
            }
        }
        counts
    }

    fn map_suppressions(&self) -> Vec<MapSuppressionMetrics> {
        let kinds = MapChangeKind::ALL.iter();
        let all = kinds.flat_map(|(_, name)| MapSuppression::ALL.map(|reason| (*name, reason)));
        let counts = (MAP_SUPPRESSIONS..).zip(all);
        let counts = counts.map(|(at, (change, reason))| MapSuppressionMetrics {
            change,
            reason: reason.as_str(),
            count: self.cells.sum(at),
        });
        counts.filter(|count| count.count > 0).collect()
    }

    fn error_counts(&self) -> Vec<ReplyErrorMetrics> {
        let mut counts = Vec::new();
        for kind in 0..COMMANDS {
            let codes = ERROR_CODES.iter().copied().map(Some).chain([None]);
            for (at, code) in codes.enumerate() {
                let cell = REPLY_ERRORS + kind * (ERROR_CODES.len() + 1) + at;
                let count = self.cells.sum(cell);
                if count > 0 {
                    counts.push(ReplyErrorMetrics {
                        method: FrameKind::ALL[kind].1,
                        code,
                        count,
                    });
                }
            }
        }
        counts
    }
}

impl RecoveryOutcome {
    /// One that is refused has no publications.
    const ALL: [Self; 3] = [
        Self {
            is_recovered: false,
            has_publications: false,
        },
        Self {
            is_recovered: true,
            has_publications: false,
        },
        Self {
            is_recovered: true,
            has_publications: true,
        },
    ];

    fn index(self) -> usize {
        usize::from(self.is_recovered) * 2 + usize::from(self.has_publications)
    }
}

impl From<&Recovery> for RecoveryOutcome {
    fn from(recovery: &Recovery) -> Self {
        Self {
            is_recovered: recovery.is_recovered,
            has_publications: !recovery.publications.is_empty(),
        }
    }
}

fn frames(transport: usize, kind: FrameKind) -> usize {
    (transport * KINDS + kind as usize) * 2
}

fn command_times(kind: usize) -> Histogram {
    // A pong isn't executed, and kinds of pushes aren't commands.
    let kind = kind.min(COMMANDS - 1);
    let first = COMMAND_TIMES + kind * Histogram::len(COMMAND_BOUNDS);
    Histogram::at(first, COMMAND_BOUNDS)
}

fn pings(transport: usize) -> Histogram {
    let first = PINGS + transport * Histogram::len(COMMAND_BOUNDS);
    Histogram::at(first, COMMAND_BOUNDS)
}

/// Returns where a code is counted; all that aren't known at the same place, the last.
fn place(known: &[u32], code: u32) -> usize {
    let at = known.iter().position(|other| *other == code);
    at.unwrap_or(known.len())
}
