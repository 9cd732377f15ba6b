//! Who is here, and in which room.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use sockeye::{Group, Session};
use sockeye_hub::presence::{DeviceGuard, Presence};

use super::{
    Limits,
    archive::Resident,
    dialect::Known,
    person::{Address, Person},
};

/// Who is here, in which room, and who has ever been here.
#[derive(Debug)]
pub(crate) struct Lobby {
    /// Where the rest of the server looks who is here: by address, one device for each connection.
    presence: Presence,
    /// By the session's id. Each is in `here` too.
    places: HashMap<u64, Place>,
    /// Sessions of everybody who has at least one.
    here: BTreeMap<Address, Vec<u64>>,
    /// Those that somebody is in.
    rooms: HashMap<String, Room>,
    /// Everybody who has been here, those who are among them.
    people: HashMap<Address, Resident>,
    issued: Issued,
}

/// One connection that has said who it is.
#[derive(Debug)]
struct Place {
    session: Session,
    address: Address,
    rooms: BTreeSet<String>,
    /// Gone with it.
    _here: DeviceGuard,
}

#[derive(Debug, Default)]
struct Room {
    group: Group,
    /// How many connections of each person.
    members: BTreeMap<Address, u32>,
}

/// Identities given out by `/socket/chat-uuid`, the oldest first.
#[derive(Debug, Default)]
struct Issued {
    known: HashSet<Person>,
    order: VecDeque<Person>,
}

/// What a departure leaves to be told.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) address: Address,
    /// Rooms where this was the person's last connection.
    pub(crate) rooms: Vec<String>,
}

impl Lobby {
    pub(crate) fn new(
        people: impl IntoIterator<Item = (Address, Resident)>,
        presence: Presence,
    ) -> Self {
        Self {
            presence,
            places: HashMap::new(),
            here: BTreeMap::new(),
            rooms: HashMap::new(),
            people: people.into_iter().collect(),
            issued: Issued::default(),
        }
    }

    /// Remembers that `person` was given to a browser.
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

    /// Whether this person was given out here, or has been here.
    pub(crate) fn is_known(&self, person: Person) -> bool {
        self.issued.known.contains(&person) || self.people.contains_key(&person.address())
    }

    pub(crate) fn resident(&self, address: Address) -> Option<&Resident> {
        self.people.get(&address)
    }

    /// As others see them.
    pub(crate) fn known(&self, address: Address) -> Known {
        let name = self.resident(address).map(|resident| resident.name.clone());
        Known {
            address,
            name: name.unwrap_or_default(),
        }
    }

    pub(crate) fn put_person(&mut self, address: Address, resident: Resident) {
        self.people.insert(address, resident);
    }

    /// Who is forgotten for one more: of those who are away and have no mail, first who never spoke, then who was away
    /// longest. `Err` if there is nobody.
    pub(crate) fn dispensable(
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
            .min_by_key(|(_, resident)| (resident.has_spoken, resident.seen))
            .map(|(address, _)| Some(*address))
            .ok_or(())
    }

    /// Notes that somebody says something. How they are to be kept, if it is the first time.
    pub(crate) fn first_words(&mut self, address: Address) -> Option<Resident> {
        let resident = self.people.get_mut(&address)?;
        let is_first = !std::mem::replace(&mut resident.has_spoken, true);
        is_first.then(|| resident.clone())
    }

    /// Everybody leaves.
    pub(crate) fn empty(&mut self) -> Vec<Session> {
        self.here.clear();
        self.rooms.clear();
        let places = self.places.drain();
        places.map(|(_, place)| place.session).collect()
    }

    pub(crate) fn forget(&mut self, address: Address) {
        self.people.remove(&address);
    }

    /// Gives a connection its place.
    pub(crate) fn arrive(&mut self, session: &Session, address: Address) {
        let place = Place {
            session: session.clone(),
            address,
            rooms: BTreeSet::new(),
            _here: self.presence.join(address.to_string(), "chat"),
        };
        if self.places.insert(session.id(), place).is_none() {
            self.here.entry(address).or_default().push(session.id());
        }
    }

    /// Whose connection this is; `None` before it has said so.
    pub(crate) fn address(&self, session: &Session) -> Option<Address> {
        self.places.get(&session.id()).map(|place| place.address)
    }

    /// All connections of a person.
    pub(crate) fn sessions(&self, address: Address) -> impl Iterator<Item = &Session> {
        let ids = self.here.get(&address).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| self.places.get(id))
            .map(|place| &place.session)
    }

    /// Takes a connection's place away.
    pub(crate) fn depart(&mut self, session: u64, now_ms: u64) -> Option<Departure> {
        let place = self.places.remove(&session)?;
        let address = place.address;
        if let Some(ids) = self.here.get_mut(&address) {
            ids.retain(|id| *id != session);
            if ids.is_empty() {
                self.here.remove(&address);
            }
        }
        if let Some(resident) = self.people.get_mut(&address) {
            resident.seen = now_ms;
        }
        let rooms = place.rooms.into_iter();
        let rooms = rooms.filter(|room| self.exit(room, address)).collect();
        Some(Departure { address, rooms })
    }

    /// Whether it is the person's first connection in the room. The group that hears the room.
    pub(crate) fn enter(&mut self, session: &Session, room: &str) -> Option<(Group, bool)> {
        let place = self.places.get_mut(&session.id())?;
        let hall = self.rooms.entry(room.to_owned()).or_default();
        let connections = hall.members.entry(place.address).or_default();
        let is_first = *connections == 0;
        if place.rooms.insert(room.to_owned()) {
            *connections += 1;
        }
        Some((hall.group.clone(), is_first))
    }

    /// Whether it was the person's last connection in the room; `None` if it wasn't in it.
    pub(crate) fn leave(&mut self, session: &Session, room: &str) -> Option<bool> {
        let place = self.places.get_mut(&session.id())?;
        let address = place.address;
        place.rooms.remove(room).then(|| self.exit(room, address))
    }

    pub(crate) fn is_in(&self, session: &Session, room: &str) -> bool {
        let place = self.places.get(&session.id());
        place.is_some_and(|place| place.rooms.contains(room))
    }

    /// How many rooms the connection is in.
    pub(crate) fn rooms_of(&self, session: &Session) -> usize {
        let place = self.places.get(&session.id());
        place.map_or(0, |place| place.rooms.len())
    }

    /// The rooms that a person is in, with any connection.
    pub(crate) fn rooms_with(&self, address: Address) -> BTreeSet<String> {
        let ids = self.here.get(&address).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| self.places.get(id))
            .flat_map(|place| place.rooms.iter().cloned())
            .collect()
    }

    pub(crate) fn group(&self, room: &str) -> Option<Group> {
        self.rooms.get(room).map(|room| room.group.clone())
    }

    /// How many people are in a room, or here at all.
    pub(crate) fn count(&self, room: Option<&str>) -> usize {
        match room {
            Some(room) => self.rooms.get(room).map_or(0, |room| room.members.len()),
            None => self.here.len(),
        }
    }

    /// The first of those who are in a room, or here at all.
    pub(crate) fn listed(&self, room: Option<&str>, limits: &Limits) -> Vec<Known> {
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

    /// Whether it was the person's last connection in the room.
    fn exit(&mut self, room: &str, address: Address) -> bool {
        let Some(hall) = self.rooms.get_mut(room) else {
            return false;
        };
        let Some(connections) = hall.members.get_mut(&address) else {
            return false;
        };
        *connections -= 1;
        let is_last = *connections == 0;
        if is_last {
            hall.members.remove(&address);
        }
        if hall.members.is_empty() {
            self.rooms.remove(room);
        }
        is_last
    }
}
