//! cargo run -p sockeye-examples --example room
//!
//! One chat room for each path: clients of `ws://127.0.0.1:9000/rooms/river` talk to each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use axum::http::StatusCode;
use sockeye::{Endpoint, Group, Message, Refusal, Reply, Request, Server, Session};

/// Clients choose the names, so without a limit they would decide how much memory is used.
const ROOMS_MAX: usize = 1000;

/// The rooms by name. A room exists as long as it has members.
#[derive(Default)]
struct Rooms(Mutex<HashMap<String, Weak<Room>>>);

struct Room {
    name: String,
    members: Group,
    rooms: Arc<Rooms>,
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Room>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the room of this name, and makes it if it doesn't exist.
fn room(rooms: &Arc<Rooms>, name: &str) -> Result<Arc<Room>, Refusal> {
    let mut open = rooms.lock();
    if let Some(room) = open.get(name).and_then(Weak::upgrade) {
        return Ok(room);
    }
    if open.len() >= ROOMS_MAX && !open.contains_key(name) {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE).body("no more rooms\n"));
    }
    let room = Arc::new(Room {
        name: name.to_owned(),
        members: Group::new(),
        rooms: Arc::clone(rooms),
    });
    open.insert(name.to_owned(), Arc::downgrade(&room));
    Ok(room)
}

impl Drop for Room {
    /// Removes the room from the map, when its last member has left.
    fn drop(&mut self) {
        let mut open = self.rooms.lock();
        // Another room of the same name may have been made in the meantime.
        if (open.get(&self.name)).is_some_and(|room| room.strong_count() == 0) {
            open.remove(&self.name);
        }
    }
}

struct Member(Arc<Room>);

impl Endpoint for Member {
    fn on_open(&mut self, session: &Session) {
        self.0.members.join(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        // Framed once for all members. The group removes sessions that have ended.
        self.0.members.send_except(session, message);
        Reply::None
    }
}

#[tokio::main]
async fn main() -> Result<(), sockeye::Error> {
    let rooms = Arc::<Rooms>::default();
    let enter = move |request: &Request| {
        let name = request.param("room").unwrap_or_default();
        room(&rooms, name).map(Member)
    };
    Server::bind("127.0.0.1:9000")
        .route("/rooms/{room}", enter)
        .serve()
        .await
}
