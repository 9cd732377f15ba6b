//! The connected clients of a node, by user.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;

use super::client::Client;
use crate::shard::ClientKey;

/// The connected clients of a node.
pub(crate) struct Clients {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Part {
    /// Those of one user are neighbours.
    clients: BTreeMap<(Arc<str>, ClientKey), Arc<Client>>,
    users: usize,
}

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
    pub(crate) fn insert(&self, user: &Arc<str>, client: &Arc<Client>, max: usize) -> bool {
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
            .insert((Arc::clone(user), client.key()), Arc::clone(client));
        true
    }

    /// Adds a client, and returns the others of its user: of two that come at the same time, one sees the other.
    pub(crate) fn insert_and_find_others(
        &self,
        user: &Arc<str>,
        client: &Arc<Client>,
    ) -> Vec<Arc<Client>> {
        let mut part = self.part(user).lock();
        let others: Vec<_> = part.of(user).cloned().collect();
        part.users += usize::from(others.is_empty());
        part.clients
            .insert((Arc::clone(user), client.key()), Arc::clone(client));
        others
    }

    pub(crate) fn remove(&self, user: &Arc<str>, key: ClientKey) {
        let mut part = self.part(user).lock();
        if part.clients.remove(&(Arc::clone(user), key)).is_some() && part.of(user).next().is_none()
        {
            part.users -= 1;
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
        let first = (Arc::from(user), ClientKey(0));
        self.clients
            .range(first..)
            .take_while(move |((other, _), _)| **other == *user)
            .map(|(_, client)| client)
    }
}
