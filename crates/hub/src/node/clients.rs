//! The connected clients of a node, by user.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;

use super::client::Client;
use crate::{ClientInfo, RareBytes};

/// The connected clients of a node.
pub(crate) struct Clients {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Part {
    /// Those of one user are neighbours.
    clients: BTreeMap<ByUser, Arc<Client>>,
    users: usize,
}

/// What is known of a client, in the order of users. It is the client's own, so that an entry takes 16 bytes.
struct ByUser(Arc<ClientInfo>);

/// Enough that two cores seldom want the same one.
const PARTS: usize = 64;

impl Clients {
    pub(crate) fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Adds a client. Returns `false` if its user has `max` connections; 0 is no limit, and anonymous users have none.
    pub(crate) fn insert(&self, info: &Arc<ClientInfo>, client: &Arc<Client>, max: usize) -> bool {
        let user = &info.user;
        let mut part = self.part(user).lock();
        let others = match max > 0 && !user.is_empty() {
            true => part.of(user).take(max).count(),
            false => usize::from(part.of(user).next().is_some()),
        };
        if max > 0 && !user.is_empty() && others >= max {
            return false;
        }
        part.users += usize::from(others == 0);
        part.clients
            .insert(ByUser(Arc::clone(info)), Arc::clone(client));
        true
    }

    /// Adds a client, and returns the others of its user: of two that come at the same time, one sees the other.
    pub(crate) fn insert_and_find_others(
        &self,
        info: &Arc<ClientInfo>,
        client: &Arc<Client>,
    ) -> Vec<Arc<Client>> {
        let user = &info.user;
        let mut part = self.part(user).lock();
        let others: Vec<_> = part.of(user).cloned().collect();
        part.users += usize::from(others.is_empty());
        part.clients
            .insert(ByUser(Arc::clone(info)), Arc::clone(client));
        others
    }

    pub(crate) fn remove(&self, info: &Arc<ClientInfo>) {
        let mut part = self.part(&info.user).lock();
        let removed = part.clients.remove(&ByUser(Arc::clone(info)));
        if removed.is_some() && part.of(&info.user).next().is_none() {
            part.users -= 1;
        }
    }

    /// Replaces what is known of a client. Its user and its id are the same.
    pub(crate) fn set_info(&self, info: &Arc<ClientInfo>) {
        let mut part = self.part(&info.user).lock();
        if let Some(client) = part.clients.remove(&ByUser(Arc::clone(info))) {
            part.clients.insert(ByUser(Arc::clone(info)), client);
        }
    }

    /// Returns the clients of a user.
    pub(crate) fn of(&self, user: &str) -> Vec<Arc<Client>> {
        self.part(user).lock().of(user).cloned().collect()
    }

    /// Returns all clients.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        let mut all = Vec::new();
        for part in &self.parts {
            all.extend(part.lock().clients.values().cloned());
        }
        all
    }

    /// Returns the number of clients and of users.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.parts.iter().fold((0, 0), |(clients, users), part| {
            let part = part.lock();
            (clients + part.clients.len(), users + part.users)
        })
    }

    fn part(&self, user: &str) -> &Mutex<Part> {
        let hash = self.hasher.hash_one(user);
        &self.parts[hash as usize % self.parts.len()]
    }
}

impl Part {
    fn of(&self, user: &str) -> impl Iterator<Item = &Arc<Client>> {
        // No id is empty.
        let first = ByUser(Arc::new(ClientInfo {
            user: Arc::from(user),
            client: Arc::from(""),
            conn_info: RareBytes::default(),
            chan_info: RareBytes::default(),
        }));
        self.clients
            .range(first..)
            .take_while(move |(other, _)| *other.0.user == *user)
            .map(|(_, client)| client)
    }
}

impl Ord for ByUser {
    fn cmp(&self, other: &Self) -> Ordering {
        let users = self.0.user.cmp(&other.0.user);
        users.then_with(|| self.0.client.cmp(&other.0.client))
    }
}

impl PartialOrd for ByUser {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByUser {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByUser {}
