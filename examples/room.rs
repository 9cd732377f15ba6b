//! cargo run -p sockeye-examples --example room
//!
//! A chat room per path: whoever dials `ws://127.0.0.1:9000/rooms/river` talks to everybody there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use axum::http::StatusCode;
use sockeye::{Endpoint, Group, Message, Refusal, Reply, Request, Server, Session};

/// Strangers choose the names: without a bound they would choose how much memory we use.
const ROOMS_MAX: usize = 1000;

/// The rooms that somebody is in, by name. Only their members keep them.
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

/// The room of this name, which is made for the first who asks for it.
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
    /// The last member has gone: the room is forgotten.
    fn drop(&mut self) {
        let mut open = self.rooms.lock();
        // Meanwhile somebody may have opened another one of the same name.
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
        // Framed once, however many are there. The group forgets a session that has ended.
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
