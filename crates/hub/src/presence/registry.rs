//! The rules of presence, without clock, lock or I/O.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use super::{
    Batch, Change, ClientRecord, ClientState, Device, Limits, Listed, Status, StoreEvent,
    last_seen::LastSeen, limits::LIST_MAX,
};
use crate::{UnixMillis, ids};

/// The state of all known clients. Has no clock and no lock; each call returns the changes that it caused.
#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    /// Clients with at least one device on any node. Disjoint from `last_seen`; both together hold at most
    /// `limits.clients_max`.
    online: BTreeMap<Arc<str>, Online>,
    last_seen: LastSeen,
    /// The clients that have devices on each other node.
    nodes: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// The number of the next device.
    next_device: u64,
    /// Clients whose state isn't saved yet; `None` if no store saves.
    unsaved: Option<BTreeSet<Arc<str>>>,
    /// How many devices were not tracked.
    untracked: u64,
}

/// A client with at least one device.
#[derive(Debug)]
struct Online {
    since: UnixMillis,
    /// The listed devices on this node: the oldest, up to the limit.
    local: Vec<(u64, Device)>,
    /// The devices on this node beyond the limit, by number. The oldest moves to `local` when a listed one disconnects,
    /// so this is empty unless `local` is full.
    unlisted: BTreeMap<u64, Device>,
    /// The other nodes on which the client has at least one device.
    remote: Vec<RemoteDevices>,
}

#[derive(Debug)]
struct RemoteDevices {
    node: Arc<str>,
    devices: Vec<Device>,
}

/// Whether a device is tracked. The caller passes it back when the device disconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracking {
    /// The device's number.
    Tracked(u64),
    /// The limit was reached, or the client's name is invalid.
    Untracked,
}

/// What the store saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaveMode {
    Changes,
    Nothing,
}

impl Registry {
    pub(super) fn new(limits: Limits, save_mode: SaveMode) -> Self {
        Self {
            limits,
            online: BTreeMap::new(),
            last_seen: LastSeen::default(),
            nodes: HashMap::new(),
            next_device: 0,
            unsaved: (save_mode == SaveMode::Changes).then(BTreeSet::new),
            untracked: 0,
        }
    }

    // ---- Inputs --------------------------------------------------------------------------------------------

    /// Applies an event of the store.
    pub(super) fn handle_event(&mut self, event: StoreEvent, changes: &mut Vec<Change>) {
        match event {
            StoreEvent::LastSeen(clients) => {
                for (client, at) in clients {
                    self.note_last_seen(&client, at);
                }
            }
            StoreEvent::NodeSnapshot { node, at, clients } => {
                let there: BTreeSet<&Arc<str>> = clients.iter().map(|(client, _)| client).collect();
                let mut gone = self.nodes.get(&node).cloned().unwrap_or_default();
                gone.retain(|client| !there.contains(client));
                for client in gone {
                    changes.extend(self.remove_remote_devices(at, &client, &node));
                }
                for (client, devices) in clients {
                    changes.extend(self.set_remote_devices(at, &client, &node, devices));
                }
            }
            StoreEvent::NodeChanged { node, at, clients } => {
                for (client, devices) in clients {
                    changes.extend(match devices.is_empty() {
                        true => self.remove_remote_devices(at, &client, &node),
                        false => self.set_remote_devices(at, &client, &node, devices),
                    });
                }
            }
            StoreEvent::NodeGone { node, at } => self.remove_node(at, &node, changes),
            StoreEvent::AllNodesGone { at } => {
                let nodes: Vec<_> = self.nodes.keys().cloned().collect();
                for node in nodes {
                    self.remove_node(at, &node, changes);
                }
            }
        }
    }

    // ---- Orders --------------------------------------------------------------------------------------------

    /// Adds a device of the client.
    pub(super) fn join(
        &mut self,
        now: UnixMillis,
        client: &Arc<str>,
        device: Cow<'static, str>,
    ) -> (Tracking, Option<Change>) {
        if !self.is_name(client) || !self.make_room(client) {
            self.untracked += 1;
            return (Tracking::Untracked, None);
        }
        let (listed_max, number) = (self.limits.devices_per_client_max, self.next_device);
        let device_bytes_max = self.limits.device_bytes_max;
        let (online, change) = self.online_entry(now, client);
        let device = Device {
            name: device,
            since: now,
        };
        let device = device.cut(device_bytes_max);
        if online.local.len() < listed_max {
            // Most clients have one device; `push` alone would allocate room for four.
            online.local.reserve_exact(1);
            online.local.push((number, device));
        } else {
            online.unlisted.insert(number, device);
        }
        self.next_device += 1;
        self.mark_unsaved(client);
        (Tracking::Tracked(number), change)
    }

    /// Removes a device.
    pub(super) fn leave(
        &mut self,
        now: UnixMillis,
        client: &Arc<str>,
        tracking: Tracking,
    ) -> Option<Change> {
        let Tracking::Tracked(number) = tracking else {
            return None;
        };
        self.online.get_mut(client)?.remove(number);
        self.mark_unsaved(client);
        self.remove_if_offline(now, client)
    }

    /// Removes all devices of this node.
    pub(super) fn leave_all(&mut self, now: UnixMillis, changes: &mut Vec<Change>) {
        let clients: Vec<_> = self.online.keys().cloned().collect();
        for client in clients {
            let Some(online) = self.online.get_mut(&client) else {
                continue;
            };
            if online.has_local_devices() {
                online.local.clear();
                online.unlisted.clear();
                self.mark_unsaved(&client);
                changes.extend(self.remove_if_offline(now, &client));
            }
        }
    }

    /// Marks all clients with devices on this node as unsaved.
    pub(super) fn mark_local_unsaved(&mut self) {
        if let Some(unsaved) = &mut self.unsaved {
            let here = self
                .online
                .iter()
                .filter(|(_, online)| online.has_local_devices());
            unsaved.extend(here.map(|(client, _)| Arc::clone(client)));
        }
    }

    /// Marks clients as unsaved again, because a save failed.
    pub(super) fn return_unsaved(&mut self, clients: Vec<Arc<str>>) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.extend(clients);
        }
    }

    // ---- Outputs -------------------------------------------------------------------------------------------

    /// Returns the next unsaved clients, at most `clients_max`, and marks them as saved.
    pub(super) fn poll_unsaved(&mut self, now: UnixMillis, clients_max: usize) -> Batch {
        let mut clients = Vec::new();
        while clients.len() < clients_max
            && let Some(client) = self.unsaved.as_mut().and_then(BTreeSet::pop_first)
        {
            let state = self.state(&client);
            clients.push(ClientRecord { client, state });
        }
        Batch {
            at: now,
            clients,
            is_last: !self.has_unsaved(),
            is_anybody_online: !self.online.is_empty(),
        }
    }

    // ---- Queries ------------------------------------------------------------------------------------------

    pub(super) fn has_unsaved(&self) -> bool {
        self.unsaved
            .as_ref()
            .is_some_and(|unsaved| !unsaved.is_empty())
    }

    pub(super) fn status(&self, client: &str) -> Option<Status> {
        match self.online.get(client) {
            Some(online) => Some(Status::Online {
                since: online.since,
                devices: online.devices().cloned().collect(),
            }),
            None => self
                .last_seen
                .at(client)
                .map(|last_seen| Status::Offline { last_seen }),
        }
    }

    pub(super) fn is_online(&self, client: &str) -> bool {
        self.online.contains_key(client)
    }

    /// Returns the online clients after `after`, ordered by the bytes of their names.
    pub(super) fn list(&self, after: Option<&str>, limit: usize) -> Vec<Listed> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.online.range::<str, _>((from, Bound::Unbounded));
        after
            .take(limit.min(LIST_MAX))
            .map(|(client, online)| Listed {
                client: Arc::clone(client),
                since: online.since,
                devices: online.devices().count() + online.unlisted.len(),
            })
            .collect()
    }

    /// Returns the online clients whose names begin with `prefix`, with the latest device of each.
    pub(super) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &Device)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.online
            .range::<str, _>(from)
            .take_while(move |(client, _)| client.starts_with(prefix))
            .filter_map(|(client, online)| Some((&**client, online.devices().last()?)))
    }

    pub(super) fn count(&self) -> usize {
        self.online.len()
    }

    /// Returns whether an online client follows `client` in the list.
    pub(super) fn has_after(&self, client: &str) -> bool {
        let after = (Bound::Excluded(client), Bound::Unbounded);
        self.online.range::<str, _>(after).next().is_some()
    }

    pub(super) fn untracked(&self) -> u64 {
        self.untracked
    }

    fn state(&self, client: &Arc<str>) -> ClientState {
        match self.online.get(client) {
            Some(online) if online.has_local_devices() => ClientState::Local {
                since: online.since,
                devices: online
                    .local
                    .iter()
                    .map(|(_, device)| device.clone())
                    .collect(),
            },
            Some(_) => ClientState::Remote,
            None => match self.last_seen.at(client) {
                Some(last_seen) => ClientState::Offline { last_seen },
                None => ClientState::Forgotten,
            },
        }
    }

    // ---- Shared by the above -------------------------------------------------------------------------------

    /// Returns the client's entry, and creates it if it is missing. The caller has made room.
    fn online_entry(&mut self, at: UnixMillis, client: &Arc<str>) -> (&mut Online, Option<Change>) {
        let mut change = None;
        let online = self.online.entry(Arc::clone(client)).or_insert_with(|| {
            self.last_seen.remove(client);
            change = Some(Change::Online {
                client: Arc::clone(client),
                at,
            });
            Online {
                since: at,
                local: Vec::new(),
                unlisted: BTreeMap::new(),
                remote: Vec::new(),
            }
        });
        (online, change)
    }

    fn remove_if_offline(&mut self, at: UnixMillis, client: &Arc<str>) -> Option<Change> {
        let online = self.online.get(client)?;
        if online.has_local_devices() || !online.remote.is_empty() {
            return None;
        }
        // When a clock is set back, a client must not go offline before it went online.
        let at = at.max(online.since);
        self.online.remove(client);
        self.keep_last_seen(client, at);
        Some(Change::Offline {
            client: Arc::clone(client),
            at,
        })
    }

    /// Sets the devices that the client has on another node.
    fn set_remote_devices(
        &mut self,
        at: UnixMillis,
        client: &Arc<str>,
        node: &Arc<str>,
        mut devices: Vec<Device>,
    ) -> Option<Change> {
        devices.truncate(self.limits.devices_per_client_max);
        let bytes_max = self.limits.device_bytes_max;
        let devices: Vec<Device> = devices
            .into_iter()
            .map(|device| device.cut(bytes_max))
            .collect();
        if devices.is_empty() || !self.is_name(client) || !self.make_room(client) {
            return None;
        }
        let first = devices.iter().map(|device| device.since).min();
        let since = first.map_or(at, |first| first.min(at));
        let (online, change) = self.online_entry(since, client);
        online.since = online.since.min(since);
        match online.remote.iter_mut().find(|remote| remote.node == *node) {
            Some(remote) => remote.devices = devices,
            None => online.remote.push(RemoteDevices {
                node: Arc::clone(node),
                devices,
            }),
        }
        let clients = self.nodes.entry(Arc::clone(node)).or_default();
        clients.insert(Arc::clone(client));
        change
    }

    fn remove_remote_devices(
        &mut self,
        at: UnixMillis,
        client: &Arc<str>,
        node: &Arc<str>,
    ) -> Option<Change> {
        if let Some(clients) = self.nodes.get_mut(node) {
            clients.remove(client);
            if clients.is_empty() {
                self.nodes.remove(node);
            }
        }
        let online = self.online.get_mut(client)?;
        online.remote.retain(|remote| remote.node != *node);
        self.remove_if_offline(at, client)
    }

    /// Removes another node. Its clients are marked as unsaved, because that node can't save their last-seen times.
    fn remove_node(&mut self, at: UnixMillis, node: &Arc<str>, changes: &mut Vec<Change>) {
        for client in self.nodes.remove(node).unwrap_or_default() {
            if let Some(change) = self.remove_remote_devices(at, &client, node) {
                self.mark_unsaved(&client);
                changes.push(change);
            }
        }
    }

    fn note_last_seen(&mut self, client: &Arc<str>, at: UnixMillis) {
        if self.online.contains_key(client) || !self.is_name(client) {
            return;
        }
        // A client that was seen before all others would be the next to be forgotten.
        let is_full = self.online.len() + self.last_seen.len() >= self.limits.clients_max;
        let is_known = self.last_seen.at(client).is_some();
        if is_full && !is_known {
            if self.last_seen.oldest().is_none_or(|oldest| oldest >= at) {
                return;
            }
            self.forget_oldest();
        }
        self.keep_last_seen(client, at);
    }

    /// Keeps a last-seen time, if such times are kept.
    fn keep_last_seen(&mut self, client: &Arc<str>, at: UnixMillis) {
        if self.limits.last_seen_max == 0 {
            return;
        }
        if self.last_seen.len() >= self.limits.last_seen_max {
            self.forget_oldest();
        }
        self.last_seen.note(client, at);
    }

    fn is_name(&self, client: &str) -> bool {
        ids::is_name(client, self.limits.name_bytes_max)
    }

    /// Makes room for the client's entry by forgetting another client if needed. Returns whether there is room.
    fn make_room(&mut self, client: &Arc<str>) -> bool {
        self.online.contains_key(client)
            || self.last_seen.at(client).is_some()
            || self.online.len() + self.last_seen.len() < self.limits.clients_max
            || self.forget_oldest()
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(client) = self.last_seen.forget_oldest() else {
            return false;
        };
        if let Some(unsaved) = &mut self.unsaved {
            // At most `clients_max` clients are known. While the store fails, as many forgotten ones are kept here;
            // the store forgets the rest when it is opened.
            if unsaved.len() < self.limits.clients_max.saturating_mul(2) {
                unsaved.insert(client);
            } else {
                unsaved.remove(&client);
            }
        }
        true
    }

    fn mark_unsaved(&mut self, client: &Arc<str>) {
        if let Some(unsaved) = &mut self.unsaved
            && !unsaved.contains(client)
        {
            unsaved.insert(Arc::clone(client));
        }
    }
}

impl Online {
    /// Returns whether the client has a device on this node.
    fn has_local_devices(&self) -> bool {
        !self.local.is_empty() || !self.unlisted.is_empty()
    }

    /// Removes a device of this node. The oldest unlisted device takes its place in the list, so that an online client
    /// always has a listed device.
    fn remove(&mut self, number: u64) {
        if self.unlisted.remove(&number).is_some() {
            return;
        }
        let Some(at) = self.local.iter().position(|(known, _)| *known == number) else {
            return;
        };
        self.local.remove(at);
        if let Some(next) = self.unlisted.pop_first() {
            self.local.push(next);
        }
    }

    fn devices(&self) -> impl Iterator<Item = &Device> {
        let local = self.local.iter().map(|(_, device)| device);
        local.chain(self.remote.iter().flat_map(|remote| &remote.devices))
    }
}

#[cfg(test)]
mod tests;
