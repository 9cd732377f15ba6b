//! The rules: who is here, as a pure function of the time and what happens.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use super::{
    Batch, Change, Device, Limits, Listed, News, Saved, State, Status, limits::LIST_MAX, seen::Seen,
};
use crate::{UnixMillis, ids};

/// Who is here. It has no clock and no lock; each call tells the edges that it caused.
#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    /// Clients with at least one device, here or elsewhere; disjoint from `seen`, together at most
    /// `limits.clients_max`.
    online: BTreeMap<Arc<str>, Online>,
    seen: Seen,
    /// By node: the clients whose entry names it.
    nodes: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// The number of the next device.
    next_device: u64,
    /// Clients whose own state isn't saved; `None` if nobody saves.
    unsaved: Option<BTreeSet<Arc<str>>>,
    /// Clients of this node that found no room.
    untracked: u64,
}

/// A client that has devices.
#[derive(Debug)]
struct Online {
    since: UnixMillis,
    /// Devices of this node that are listed: the oldest, up to the limit.
    own: Vec<(u64, Device)>,
    /// Devices of this node beyond the limit, by number. The oldest is listed as soon as a listed one leaves, so this
    /// is empty unless `own` is full.
    own_beyond: BTreeMap<u64, Device>,
    /// Nodes that have devices of it, each with one at least.
    elsewhere: Vec<Elsewhere>,
}

#[derive(Debug)]
struct Elsewhere {
    node: Arc<str>,
    devices: Vec<Device>,
}

/// Where a device went: what has to be said when it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The device's number.
    Tracked(u64),
    /// There was no room, or the name is none.
    Untracked,
}

/// Whether somebody asks for what has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    Changes,
    Nothing,
}

impl Registry {
    pub(super) fn new(limits: Limits, keeping: Keeping) -> Self {
        Self {
            limits,
            online: BTreeMap::new(),
            seen: Seen::default(),
            nodes: HashMap::new(),
            next_device: 0,
            unsaved: (keeping == Keeping::Changes).then(BTreeSet::new),
            untracked: 0,
        }
    }

    // ---- Inputs --------------------------------------------------------------------------------------------

    /// Takes what others know.
    pub(super) fn handle_news(&mut self, news: News, changes: &mut Vec<Change>) {
        match news {
            News::Seen(clients) => {
                for (client, at) in clients {
                    self.note_seen(&client, at);
                }
            }
            News::Node { node, at, clients } => {
                let there: BTreeSet<&Arc<str>> = clients.iter().map(|(client, _)| client).collect();
                let mut gone = self.nodes.get(&node).cloned().unwrap_or_default();
                gone.retain(|client| !there.contains(client));
                for client in gone {
                    changes.extend(self.leave_node(at, &client, &node));
                }
                for (client, devices) in clients {
                    changes.extend(self.on_node(at, &client, &node, devices));
                }
            }
            News::Changed { node, at, clients } => {
                for (client, devices) in clients {
                    changes.extend(match devices.is_empty() {
                        true => self.leave_node(at, &client, &node),
                        false => self.on_node(at, &client, &node, devices),
                    });
                }
            }
            News::NodeGone { node, at } => self.drop_node(at, &node, changes),
            News::Alone { at } => {
                let nodes: Vec<_> = self.nodes.keys().cloned().collect();
                for node in nodes {
                    self.drop_node(at, &node, changes);
                }
            }
        }
    }

    // ---- Orders --------------------------------------------------------------------------------------------

    /// A device comes.
    pub(super) fn join(
        &mut self,
        now: UnixMillis,
        client: &Arc<str>,
        device: Cow<'static, str>,
    ) -> (Place, Option<Change>) {
        if !ids::is_client(client) || !self.make_room(client) {
            self.untracked += 1;
            return (Place::Untracked, None);
        }
        let (listed_max, number) = (self.limits.devices_per_client_max, self.next_device);
        let (online, change) = self.enter(now, client);
        let device = Device::new(device, now);
        if online.own.len() < listed_max {
            // One device is the rule: no room for three more.
            online.own.reserve_exact(1);
            online.own.push((number, device));
        } else {
            online.own_beyond.insert(number, device);
        }
        self.next_device += 1;
        self.mark(client);
        (Place::Tracked(number), change)
    }

    /// A device goes from the place that it was given.
    pub(super) fn leave(
        &mut self,
        now: UnixMillis,
        client: &Arc<str>,
        place: Place,
    ) -> Option<Change> {
        let Place::Tracked(number) = place else {
            return None;
        };
        self.online.get_mut(client)?.remove(number);
        self.mark(client);
        self.end_if_empty(now, client)
    }

    /// All devices of this node go.
    pub(super) fn leave_all(&mut self, now: UnixMillis, changes: &mut Vec<Change>) {
        let clients: Vec<_> = self.online.keys().cloned().collect();
        for client in clients {
            let Some(online) = self.online.get_mut(&client) else {
                continue;
            };
            if online.is_here() {
                online.own.clear();
                online.own_beyond.clear();
                self.mark(&client);
                changes.extend(self.end_if_empty(now, &client));
            }
        }
    }

    /// Everybody who is here is to be saved again.
    pub(super) fn mark_here(&mut self) {
        if let Some(unsaved) = &mut self.unsaved {
            let here = self.online.iter().filter(|(_, online)| online.is_here());
            unsaved.extend(here.map(|(client, _)| Arc::clone(client)));
        }
    }

    /// These were not saved after all.
    pub(super) fn put_back(&mut self, clients: Vec<Arc<str>>) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.extend(clients);
        }
    }

    // ---- Outputs -------------------------------------------------------------------------------------------

    /// What has to be saved, at most `clients_max` of it.
    pub(super) fn poll_unsaved(&mut self, now: UnixMillis, clients_max: usize) -> Batch {
        let mut clients = Vec::new();
        while clients.len() < clients_max
            && let Some(client) = self.unsaved.as_mut().and_then(BTreeSet::pop_first)
        {
            let state = self.state(&client);
            clients.push(Saved { client, state });
        }
        Batch {
            at: now,
            clients,
            is_last: !self.has_unsaved(),
            is_anybody_online: !self.online.is_empty(),
        }
    }

    // ---- Looks ---------------------------------------------------------------------------------------------

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
                .seen
                .at(client)
                .map(|last_seen| Status::Away { last_seen }),
        }
    }

    pub(super) fn is_online(&self, client: &str) -> bool {
        self.online.contains_key(client)
    }

    /// Those who are here and come after `after`, in the order of their names' bytes.
    pub(super) fn list(&self, after: Option<&str>, limit: usize) -> Vec<Listed> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.online.range::<str, _>((from, Bound::Unbounded));
        after
            .take(limit.min(LIST_MAX))
            .map(|(client, online)| Listed {
                client: Arc::clone(client),
                since: online.since,
                devices: online.devices().count() + online.own_beyond.len(),
            })
            .collect()
    }

    pub(super) fn count(&self) -> usize {
        self.online.len()
    }

    /// Whether anybody who is here comes after `client`.
    pub(super) fn has_after(&self, client: &str) -> bool {
        let after = (Bound::Excluded(client), Bound::Unbounded);
        self.online.range::<str, _>(after).next().is_some()
    }

    pub(super) fn untracked(&self) -> u64 {
        self.untracked
    }

    fn state(&self, client: &Arc<str>) -> State {
        match self.online.get(client) {
            Some(online) if online.is_here() => State::Here {
                since: online.since,
                devices: online
                    .own
                    .iter()
                    .map(|(_, device)| device.clone())
                    .collect(),
            },
            Some(_) => State::Elsewhere,
            None => match self.seen.at(client) {
                Some(last_seen) => State::Away { last_seen },
                None => State::Forgotten,
            },
        }
    }

    // ---- What they share -----------------------------------------------------------------------------------

    /// The entry of a client that is coming, made if there is none; there has to be room.
    fn enter(&mut self, at: UnixMillis, client: &Arc<str>) -> (&mut Online, Option<Change>) {
        let mut change = None;
        let online = self.online.entry(Arc::clone(client)).or_insert_with(|| {
            self.seen.remove(client);
            change = Some(Change::Online {
                client: Arc::clone(client),
                at,
            });
            Online {
                since: at,
                own: Vec::new(),
                own_beyond: BTreeMap::new(),
                elsewhere: Vec::new(),
            }
        });
        (online, change)
    }

    fn end_if_empty(&mut self, at: UnixMillis, client: &Arc<str>) -> Option<Change> {
        let online = self.online.get(client)?;
        if online.is_here() || !online.elsewhere.is_empty() {
            return None;
        }
        // A clock that was set back must not make anybody leave before they came.
        let at = at.max(online.since);
        self.online.remove(client);
        self.seen.note(client, at);
        Some(Change::Offline {
            client: Arc::clone(client),
            at,
        })
    }

    /// Another node says that the client has these devices there.
    fn on_node(
        &mut self,
        at: UnixMillis,
        client: &Arc<str>,
        node: &Arc<str>,
        mut devices: Vec<Device>,
    ) -> Option<Change> {
        devices.truncate(self.limits.devices_per_client_max);
        if devices.is_empty() || !ids::is_client(client) || !self.make_room(client) {
            return None;
        }
        let first = devices.iter().map(|device| device.since).min();
        let since = first.map_or(at, |first| first.min(at));
        let (online, change) = self.enter(since, client);
        online.since = online.since.min(since);
        match online
            .elsewhere
            .iter_mut()
            .find(|place| place.node == *node)
        {
            Some(place) => place.devices = devices,
            None => online.elsewhere.push(Elsewhere {
                node: Arc::clone(node),
                devices,
            }),
        }
        let clients = self.nodes.entry(Arc::clone(node)).or_default();
        clients.insert(Arc::clone(client));
        change
    }

    fn leave_node(&mut self, at: UnixMillis, client: &Arc<str>, node: &Arc<str>) -> Option<Change> {
        if let Some(clients) = self.nodes.get_mut(node) {
            clients.remove(client);
            if clients.is_empty() {
                self.nodes.remove(node);
            }
        }
        let online = self.online.get_mut(client)?;
        online.elsewhere.retain(|place| place.node != *node);
        self.end_if_empty(at, client)
    }

    /// A node is no more. Nobody else writes down when its clients were last seen.
    fn drop_node(&mut self, at: UnixMillis, node: &Arc<str>, changes: &mut Vec<Change>) {
        for client in self.nodes.remove(node).unwrap_or_default() {
            if let Some(change) = self.leave_node(at, &client, node) {
                self.mark(&client);
                changes.push(change);
            }
        }
    }

    fn note_seen(&mut self, client: &Arc<str>, at: UnixMillis) {
        if self.online.contains_key(client) || !ids::is_client(client) {
            return;
        }
        // Whoever was seen before all others would be forgotten for the next one.
        let is_full = self.online.len() + self.seen.len() >= self.limits.clients_max;
        let is_known = self.seen.at(client).is_some();
        if is_full && !is_known {
            if self.seen.oldest().is_none_or(|oldest| oldest >= at) {
                return;
            }
            self.forget_oldest();
        }
        self.seen.note(client, at);
    }

    /// Whether there is room for the client's entry, after somebody else was forgotten if need be.
    fn make_room(&mut self, client: &Arc<str>) -> bool {
        self.online.contains_key(client)
            || self.seen.at(client).is_some()
            || self.online.len() + self.seen.len() < self.limits.clients_max
            || self.forget_oldest()
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(client) = self.seen.forget_oldest() else {
            return false;
        };
        if let Some(unsaved) = &mut self.unsaved {
            // Those who are known are `clients_max` at most; those forgotten are as many while the store is
            // away, and then it has to forget the rest by itself when it is opened.
            if unsaved.len() < self.limits.clients_max.saturating_mul(2) {
                unsaved.insert(client);
            } else {
                unsaved.remove(&client);
            }
        }
        true
    }

    fn mark(&mut self, client: &Arc<str>) {
        if let Some(unsaved) = &mut self.unsaved
            && !unsaved.contains(client)
        {
            unsaved.insert(Arc::clone(client));
        }
    }
}

impl Online {
    /// Whether a device is on this node.
    fn is_here(&self) -> bool {
        !self.own.is_empty() || !self.own_beyond.is_empty()
    }

    /// Takes a device of this node away. The oldest of those beyond the limit takes its place in the list: a client that
    /// is here has a device that is listed.
    fn remove(&mut self, number: u64) {
        if self.own_beyond.remove(&number).is_some() {
            return;
        }
        let Some(at) = self.own.iter().position(|(known, _)| *known == number) else {
            return;
        };
        self.own.remove(at);
        if let Some(next) = self.own_beyond.pop_first() {
            self.own.push(next);
        }
    }

    fn devices(&self) -> impl Iterator<Item = &Device> {
        let own = self.own.iter().map(|(_, device)| device);
        own.chain(self.elsewhere.iter().flat_map(|place| &place.devices))
    }
}

#[cfg(test)]
mod tests;
