//! The roster: who is online, in which room.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use sockeye::{Group, Session};
use sockeye_hub::presence::{DeviceGuard, Presence};

use super::{Limits, archive::PersonRecord, protocol::PersonInfo};
use crate::identity::{Address, Person};

/// The people who are online, their rooms, and all people who are known.
#[derive(Debug)]
pub(crate) struct Roster {
    /// The server's presence. Each connection is a device of the person's address.
    presence: Presence,
    /// The connections by session id. Each is in `here` too.
    connections: HashMap<u64, Connection>,
    /// The session ids of each person who is online.
    here: BTreeMap<Address, Vec<u64>>,
    /// The rooms that somebody is in.
    rooms: HashMap<String, Room>,
    /// All known people, online or not.
    people: HashMap<Address, PersonRecord>,
    issued: Issued,
}

/// A connection that has sent `/chat/online`.
#[derive(Debug)]
struct Connection {
    session: Session,
    address: Address,
    rooms: BTreeSet<String>,
    /// Keeps the person online until the connection ends.
    _here: DeviceGuard,
}

#[derive(Debug, Default)]
struct Room {
    group: Group,
    /// The number of connections of each person.
    members: BTreeMap<Address, u32>,
}

/// Identities given out by `/socket/chat-uuid`, the oldest first.
#[derive(Debug, Default)]
struct Issued {
    known: HashSet<Person>,
    order: VecDeque<Person>,
}

/// What changes with the end of a connection.
#[derive(Debug)]
pub(crate) struct RemovedConnection {
    pub(crate) address: Address,
    /// Rooms where this was the person's last connection.
    pub(crate) rooms: Vec<String>,
}

impl Roster {
    pub(crate) fn new(
        people: impl IntoIterator<Item = (Address, PersonRecord)>,
        presence: Presence,
    ) -> Self {
        Self {
            presence,
            connections: HashMap::new(),
            here: BTreeMap::new(),
            rooms: HashMap::new(),
            people: people.into_iter().collect(),
            issued: Issued::default(),
        }
    }

    /// Records that `person` was given to a browser.
    pub(crate) fn issue(&mut self, person: Person, limits: &Limits) {
        let Issued { known, order } = &mut self.issued;
        if self.people.contains_key(&person.address()) || !known.insert(person) {
            return;
        }
        order.push_back(person);
        if order.len() > limits.issued_max
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }

    /// Returns whether this person was given to a browser or has been online before.
    pub(crate) fn is_known(&self, person: Person) -> bool {
        self.issued.known.contains(&person) || self.people.contains_key(&person.address())
    }

    pub(crate) fn record(&self, address: Address) -> Option<&PersonRecord> {
        self.people.get(&address)
    }

    /// Returns what other people see of a person.
    pub(crate) fn known(&self, address: Address) -> PersonInfo {
        let name = self.record(address).map(|record| record.name.clone());
        PersonInfo {
            address,
            name: name.unwrap_or_default(),
        }
    }

    pub(crate) fn put_person(&mut self, address: Address, record: PersonRecord) {
        self.people.insert(address, record);
    }

    /// Returns the person to forget if there is no room for one more: among those who are offline and have no queued messages,
    /// first one who never sent a message, then the one who was online longest ago. `Err` if there is none.
    pub(crate) fn person_to_forget(
        &self,
        limits: &Limits,
        has_mail: impl Fn(Address) -> bool,
    ) -> Result<Option<Address>, ()> {
        if self.people.len() < limits.people_max {
            return Ok(None);
        }
        self.people
            .iter()
            .filter(|(address, _)| !self.here.contains_key(address) && !has_mail(**address))
            .min_by_key(|(_, record)| (record.has_spoken, record.seen))
            .map(|(address, _)| Some(*address))
            .ok_or(())
    }

    /// Records that a person sends a message. Returns their record to store, if it is their first message.
    pub(crate) fn mark_spoken(&mut self, address: Address) -> Option<PersonRecord> {
        let record = self.people.get_mut(&address)?;
        let is_first = !std::mem::replace(&mut record.has_spoken, true);
        is_first.then(|| record.clone())
    }

    /// Removes all connections and returns their sessions.
    pub(crate) fn disconnect_all(&mut self) -> Vec<Session> {
        self.here.clear();
        self.rooms.clear();
        let connections = self.connections.drain();
        connections
            .map(|(_, connection)| connection.session)
            .collect()
    }

    pub(crate) fn forget(&mut self, address: Address) {
        self.people.remove(&address);
    }

    /// Adds a connection of a person.
    pub(crate) fn add_connection(&mut self, session: &Session, address: Address) {
        let connection = Connection {
            session: session.clone(),
            address,
            rooms: BTreeSet::new(),
            _here: self.presence.join(address.to_string(), "chat"),
        };
        if self.connections.insert(session.id(), connection).is_none() {
            self.here.entry(address).or_default().push(session.id());
        }
    }

    /// Returns the person behind a connection; `None` before `/chat/online`.
    pub(crate) fn address(&self, session: &Session) -> Option<Address> {
        self.connections
            .get(&session.id())
            .map(|connection| connection.address)
    }

    /// Returns all connections of a person.
    pub(crate) fn sessions(&self, address: Address) -> impl Iterator<Item = &Session> {
        let ids = self.here.get(&address).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| self.connections.get(id))
            .map(|connection| &connection.session)
    }

    /// Removes a connection.
    pub(crate) fn remove_connection(
        &mut self,
        session: u64,
        now_ms: u64,
    ) -> Option<RemovedConnection> {
        let connection = self.connections.remove(&session)?;
        let address = connection.address;
        if let Some(ids) = self.here.get_mut(&address) {
            ids.retain(|id| *id != session);
            if ids.is_empty() {
                self.here.remove(&address);
            }
        }
        if let Some(record) = self.people.get_mut(&address) {
            record.seen = now_ms;
        }
        let rooms = connection.rooms.into_iter();
        let rooms = rooms.filter(|room| self.exit(room, address)).collect();
        Some(RemovedConnection { address, rooms })
    }

    /// Adds a connection to a room. Returns the room's group, and whether it is the person's first connection in it.
    pub(crate) fn enter(&mut self, session: &Session, room: &str) -> Option<(Group, bool)> {
        let connection = self.connections.get_mut(&session.id())?;
        let state = self.rooms.entry(room.to_owned()).or_default();
        let count = state.members.entry(connection.address).or_default();
        let is_first = *count == 0;
        if connection.rooms.insert(room.to_owned()) {
            *count += 1;
        }
        Some((state.group.clone(), is_first))
    }

    /// Removes a connection from a room. Returns whether it was the person's last one in it; `None` if it wasn't in it.
    pub(crate) fn leave(&mut self, session: &Session, room: &str) -> Option<bool> {
        let connection = self.connections.get_mut(&session.id())?;
        let address = connection.address;
        connection
            .rooms
            .remove(room)
            .then(|| self.exit(room, address))
    }

    pub(crate) fn is_in(&self, session: &Session, room: &str) -> bool {
        let connection = self.connections.get(&session.id());
        connection.is_some_and(|connection| connection.rooms.contains(room))
    }

    /// Returns the number of rooms that a connection is in.
    pub(crate) fn rooms_of(&self, session: &Session) -> usize {
        let connection = self.connections.get(&session.id());
        connection.map_or(0, |connection| connection.rooms.len())
    }

    /// Returns the rooms that a person is in, with any connection.
    pub(crate) fn rooms_with(&self, address: Address) -> BTreeSet<String> {
        let ids = self.here.get(&address).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| self.connections.get(id))
            .flat_map(|connection| connection.rooms.iter().cloned())
            .collect()
    }

    pub(crate) fn group(&self, room: &str) -> Option<Group> {
        self.rooms.get(room).map(|room| room.group.clone())
    }

    /// Returns the number of people in a room, or online at all.
    pub(crate) fn count(&self, room: Option<&str>) -> usize {
        match room {
            Some(room) => self.rooms.get(room).map_or(0, |room| room.members.len()),
            None => self.here.len(),
        }
    }

    /// Returns the first people in a room, or online at all, up to `listed_max`.
    pub(crate) fn listed(&self, room: Option<&str>, limits: &Limits) -> Vec<PersonInfo> {
        let known = |address: &Address| self.known(*address);
        match room {
            Some(room) => match self.rooms.get(room) {
                Some(room) => {
                    let members = room.members.keys().take(limits.listed_max);
                    members.map(known).collect()
                }
                None => Vec::new(),
            },
            None => self
                .here
                .keys()
                .take(limits.listed_max)
                .map(known)
                .collect(),
        }
    }

    /// Counts a connection out of a room. Returns whether it was the person's last one in it.
    fn exit(&mut self, room: &str, address: Address) -> bool {
        let Some(state) = self.rooms.get_mut(room) else {
            return false;
        };
        let Some(count) = state.members.get_mut(&address) else {
            return false;
        };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            state.members.remove(&address);
        }
        if state.members.is_empty() {
            self.rooms.remove(room);
        }
        is_last
    }
}
