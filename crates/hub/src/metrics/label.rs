//! What counts are told apart by. Each label has few values, whatever clients send.

use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::RwLock;

use crate::{
    shard::Item,
    wire::{Command, Push},
};

/// What a frame is, by the name of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    Presence,
    PresenceStats,
    History,
    Send,
    Rpc,
    Refresh,
    SubRefresh,
    /// A command of a kind that isn't known.
    Unknown,
    ClientPong,
    ServerPing,
    PushPublication,
    PushJoin,
    PushLeave,
    PushUnsubscribe,
    PushSubscribe,
    PushMessage,
    PushConnect,
    PushDisconnect,
    PushRefresh,
}

impl FrameKind {
    /// Returns its name, which is that of the label.
    pub(crate) fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(kind, _)| *kind == self);
        named.map_or("unknown", |(_, name)| name)
    }

    /// All kinds, in the order of their numbers.
    pub(crate) const ALL: [(Self, &'static str); 23] = [
        (Self::Connect, "connect"),
        (Self::Subscribe, "subscribe"),
        (Self::Unsubscribe, "unsubscribe"),
        (Self::Publish, "publish"),
        (Self::Presence, "presence"),
        (Self::PresenceStats, "presence_stats"),
        (Self::History, "history"),
        (Self::Send, "send"),
        (Self::Rpc, "rpc"),
        (Self::Refresh, "refresh"),
        (Self::SubRefresh, "sub_refresh"),
        (Self::Unknown, "unknown"),
        (Self::ClientPong, "client_pong"),
        (Self::ServerPing, "server_ping"),
        (Self::PushPublication, "push_publication"),
        (Self::PushJoin, "push_join"),
        (Self::PushLeave, "push_leave"),
        (Self::PushUnsubscribe, "push_unsubscribe"),
        (Self::PushSubscribe, "push_subscribe"),
        (Self::PushMessage, "push_message"),
        (Self::PushConnect, "push_connect"),
        (Self::PushDisconnect, "push_disconnect"),
        (Self::PushRefresh, "push_refresh"),
    ];

    /// The kinds of commands, which come first.
    pub(crate) const COMMANDS: usize = 12;

    pub(crate) fn of_command(command: &Command) -> Self {
        match command {
            command if command.connect.is_some() => Self::Connect,
            command if command.subscribe.is_some() => Self::Subscribe,
            command if command.unsubscribe.is_some() => Self::Unsubscribe,
            command if command.publish.is_some() => Self::Publish,
            command if command.presence.is_some() => Self::Presence,
            command if command.presence_stats.is_some() => Self::PresenceStats,
            command if command.history.is_some() => Self::History,
            command if command.send.is_some() => Self::Send,
            command if command.rpc.is_some() => Self::Rpc,
            command if command.refresh.is_some() => Self::Refresh,
            command if command.sub_refresh.is_some() => Self::SubRefresh,
            command if command.is_pong() => Self::ClientPong,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn of_push(push: &Push) -> Self {
        match push {
            push if push.r#pub.is_some() => Self::PushPublication,
            push if push.join.is_some() => Self::PushJoin,
            push if push.leave.is_some() => Self::PushLeave,
            push if push.unsubscribe.is_some() => Self::PushUnsubscribe,
            push if push.subscribe.is_some() => Self::PushSubscribe,
            push if push.connect.is_some() => Self::PushConnect,
            push if push.disconnect.is_some() => Self::PushDisconnect,
            push if push.refresh.is_some() => Self::PushRefresh,
            _ => Self::PushMessage,
        }
    }

    pub(crate) fn of_item(item: &Item) -> Self {
        match item {
            Item::Publication { .. } => Self::PushPublication,
            Item::Join(_) => Self::PushJoin,
            Item::Leave(_) => Self::PushLeave,
        }
    }
}

/// What goes to the broker and comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Publication,
    Join,
    Leave,
}

impl ItemKind {
    pub(crate) const ALL: [(Self, &'static str); 3] = [
        (Self::Publication, "publication"),
        (Self::Join, "join"),
        (Self::Leave, "leave"),
    ];
}

/// What is done to an entry of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapChangeKind {
    Publish,
    Remove,
}

impl MapChangeKind {
    pub(crate) const ALL: [(Self, &'static str); 2] =
        [(Self::Publish, "publish"), (Self::Remove, "remove")];
}

/// A transport, by the order in which the transports of a node were first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransportLabel(u8);

/// The transports that a node has seen.
pub(crate) struct TransportNames(RwLock<Vec<&'static str>>);

/// Transports that are told apart; those beyond are one.
pub(crate) const TRANSPORTS_MAX: usize = 8;

impl TransportLabel {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl TransportNames {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(Vec::new()))
    }

    /// Returns the label of a transport. Called when a connection opens.
    pub(crate) fn label(&self, name: &'static str) -> TransportLabel {
        if let Some(label) = find(&self.0.read(), name) {
            return label;
        }
        let mut names = self.0.write();
        if let Some(label) = find(&names, name) {
            return label;
        }
        let is_last = names.len() == TRANSPORTS_MAX - 1;
        names.push(if is_last { "other" } else { name });
        TransportLabel((names.len() - 1) as u8)
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.read().clone()
    }
}

fn find(names: &[&'static str], name: &str) -> Option<TransportLabel> {
    let at = names.iter().position(|known| *known == name);
    let is_full = names.len() == TRANSPORTS_MAX;
    at.or(is_full.then_some(TRANSPORTS_MAX - 1))
        .map(|at| TransportLabel(at as u8))
}

/// The name that a client gives itself, if it is a registered one.
#[derive(Debug)]
pub(crate) struct NameLabel(AtomicU8);

/// Names of clients that are told apart.
pub(crate) const CLIENT_NAMES_MAX: usize = 64;

/// The label of clients that give no name.
const UNNAMED: u8 = 0;

/// The label of clients whose name isn't registered.
const UNREGISTERED: u8 = 1;

impl NameLabel {
    /// The label of a client that hasn't said its name yet.
    pub(crate) fn unnamed() -> Self {
        Self(AtomicU8::new(UNNAMED))
    }

    pub(crate) fn set(&self, registered: &[String], name: &str) {
        let at = registered
            .iter()
            .take(CLIENT_NAMES_MAX)
            .position(|known| known == name);
        let label = match at {
            _ if name.is_empty() => UNNAMED,
            Some(at) => UNREGISTERED + 1 + at as u8,
            None => UNREGISTERED,
        };
        self.0.store(label, Ordering::Relaxed);
    }

    pub(crate) fn index(&self) -> usize {
        usize::from(self.0.load(Ordering::Relaxed))
    }

    /// Returns the names that labels stand for, by their numbers.
    pub(crate) fn names(registered: &[String]) -> Vec<String> {
        let always = ["unnamed", "unregistered"].map(str::to_owned);
        let registered = registered.iter().take(CLIENT_NAMES_MAX).cloned();
        always.into_iter().chain(registered).collect()
    }
}
