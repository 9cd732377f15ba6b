//! The sockets of one namespace, and their rooms.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;

/// The sockets of one namespace, and their rooms. A room exists as long as it has a member.
pub(super) struct Rooms<K>(Mutex<RoomTable<K>>);

struct RoomTable<K> {
    /// By their ids.
    sockets: HashMap<Arc<str>, Member<K>>,
    /// The ids of their members.
    rooms: HashMap<Arc<str>, HashSet<Arc<str>>>,
}

struct Member<K> {
    id: Arc<str>,
    socket: Arc<K>,
    rooms: HashSet<Arc<str>>,
}

/// Why a socket can't join a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The socket is in as many rooms as it may be: [`crate::socketio::SocketIoSettings::rooms_max`].
    TooManyRooms,
    /// The socket is disconnected.
    Disconnected,
}

impl<K> Default for Rooms<K> {
    fn default() -> Self {
        Self(Mutex::new(RoomTable {
            sockets: HashMap::new(),
            rooms: HashMap::new(),
        }))
    }
}

impl<K> Rooms<K> {
    pub(super) fn insert(&self, id: &Arc<str>, socket: &Arc<K>) {
        let member = Member {
            id: Arc::clone(id),
            socket: Arc::clone(socket),
            rooms: HashSet::new(),
        };
        self.0.lock().sockets.insert(Arc::clone(id), member);
    }

    /// Removes a socket, with its rooms. Returns whether it was there.
    pub(super) fn remove(&self, id: &str) -> bool {
        let mut table = self.0.lock();
        let Some(member) = table.sockets.remove(id) else {
            return false;
        };
        for room in member.rooms {
            table.leave(&room, id);
        }
        true
    }

    /// Adds a socket to a room. One that has left the namespace meanwhile joins nothing.
    pub(super) fn join(&self, id: &str, room: &str, rooms_max: usize) -> Result<(), JoinError> {
        let mut table = self.0.lock();
        let table = &mut *table;
        let Some(member) = table.sockets.get_mut(id) else {
            return Err(JoinError::Disconnected);
        };
        if member.rooms.contains(room) {
            return Ok(());
        }
        if member.rooms.len() >= rooms_max {
            return Err(JoinError::TooManyRooms);
        }
        let room: Arc<str> = room.into();
        member.rooms.insert(Arc::clone(&room));
        let members = table.rooms.entry(room).or_default();
        members.insert(Arc::clone(&member.id));
        Ok(())
    }

    pub(super) fn leave(&self, id: &str, room: &str) {
        let mut table = self.0.lock();
        if let Some(member) = table.sockets.get_mut(id)
            && member.rooms.remove(room)
        {
            table.leave(room, id);
        }
    }

    /// Returns the sockets in any of `rooms`, or all of the namespace if there are none, each once, and without those in any of
    /// `except`. A socket's id is a room, too.
    pub(super) fn select(&self, rooms: &[Arc<str>], except: &[Arc<str>]) -> Vec<Arc<K>> {
        let table = self.0.lock();
        let is_excepted = |id: &Arc<str>, member: &Member<K>| {
            except
                .iter()
                .any(|room| room == id || member.rooms.contains(room))
        };
        if rooms.is_empty() {
            let all = table.sockets.iter();
            return all
                .filter(|(id, member)| !is_excepted(id, member))
                .map(|(_, member)| Arc::clone(&member.socket))
                .collect();
        }
        let mut seen = HashSet::new();
        let mut selected = Vec::new();
        for room in rooms {
            let members = table.rooms.get(room).into_iter().flatten();
            for id in members.chain([room]) {
                let Some(member) = table.sockets.get(id) else {
                    continue;
                };
                if seen.insert(Arc::clone(id)) && !is_excepted(id, member) {
                    selected.push(Arc::clone(&member.socket));
                }
            }
        }
        selected
    }

    pub(super) fn rooms_of(&self, id: &str) -> Vec<Arc<str>> {
        let table = self.0.lock();
        let member = table.sockets.get(id);
        member.map_or(Vec::new(), |member| member.rooms.iter().cloned().collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().sockets.len()
    }
}

impl<K> RoomTable<K> {
    fn leave(&mut self, room: &str, id: &str) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(id);
            if members.is_empty() {
                self.rooms.remove(room);
            }
        }
    }
}

impl std::fmt::Display for JoinError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooManyRooms => "the socket is in as many rooms as it may be",
            Self::Disconnected => "the socket is disconnected",
        })
    }
}

impl std::error::Error for JoinError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms() -> Rooms<u8> {
        let rooms = Rooms::default();
        for (id, socket) in [("a", 1), ("b", 2), ("c", 3)] {
            rooms.insert(&id.into(), &Arc::new(socket));
        }
        rooms
    }

    fn selected(rooms: &Rooms<u8>, to: &[&str], except: &[&str]) -> Vec<u8> {
        let shared = |names: &[&str]| {
            names
                .iter()
                .map(|name| Arc::from(*name))
                .collect::<Vec<Arc<str>>>()
        };
        let selected = rooms.select(&shared(to), &shared(except));
        let mut selected: Vec<u8> = selected.iter().map(|socket| **socket).collect();
        selected.sort_unstable();
        selected
    }

    #[test]
    fn a_broadcast_is_for_the_union_of_rooms_without_the_excepted_and_for_each_once() {
        let rooms = rooms();
        for (id, room) in [("a", "x"), ("b", "x"), ("b", "y"), ("c", "y")] {
            rooms.join(id, room, 10).unwrap();
        }
        assert_eq!(selected(&rooms, &[], &[]), [1, 2, 3]);
        assert_eq!(selected(&rooms, &["x", "y"], &[]), [1, 2, 3]);
        assert_eq!(selected(&rooms, &["x", "y"], &["x"]), [3]);
        assert_eq!(selected(&rooms, &[], &["a", "y"]), Vec::<u8>::new());
        assert_eq!(selected(&rooms, &["a", "x"], &[]), [1, 2]);
        assert_eq!(selected(&rooms, &["none"], &[]), Vec::<u8>::new());
    }

    #[test]
    fn a_socket_that_has_left_joins_nothing_and_leaves_nothing_behind() {
        // socketioxide#399, #627, socket.io#4380, #4129, #3134: a late join kept a room for ever.
        let rooms = rooms();
        rooms.join("a", "x", 10).unwrap();
        assert!(rooms.remove("a"));
        assert!(!rooms.remove("a"));
        assert_eq!(rooms.join("a", "x", 10), Err(JoinError::Disconnected));
        assert!(rooms.0.lock().rooms.is_empty());
        assert_eq!(rooms.len(), 2);
    }

    #[test]
    fn rooms_of_a_socket_are_limited_and_one_twice_counts_once() {
        let rooms = rooms();
        assert_eq!(rooms.join("a", "x", 1), Ok(()));
        assert_eq!(rooms.join("a", "x", 1), Ok(()));
        assert_eq!(rooms.join("a", "y", 1), Err(JoinError::TooManyRooms));
        rooms.leave("a", "x");
        assert_eq!(rooms.join("a", "y", 1), Ok(()));
        let left = rooms.rooms_of("a");
        assert_eq!(
            left.iter().map(|room| &**room).collect::<Vec<&str>>(),
            ["y"]
        );
    }
}
