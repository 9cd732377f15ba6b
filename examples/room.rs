//! cargo run -p sockeye-examples --example room
//!
//! A chat room per path: whoever dials `ws://127.0.0.1:9000/rooms/river` talks to everybody there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::http::StatusCode;
use sockeye::{Endpoint, Group, Message, Refusal, Reply, Request, Server, Session};

/// Strangers choose the names: without a bound they would choose how much memory we use.
const ROOMS_MAX: usize = 1000;

struct Member(Group);

impl Endpoint for Member {
    fn on_open(&mut self, session: &Session) {
        self.0.join(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        // Framed once, however many are there. The group forgets a session that has ended.
        self.0.send_except(session, message);
        Reply::None
    }
}

#[tokio::main]
async fn main() -> Result<(), sockeye::Error> {
    let rooms: Arc<Mutex<HashMap<String, Group>>> = Arc::default();
    let enter = move |request: &Request| {
        let name = request.param("room").unwrap_or_default();
        let mut rooms = rooms.lock().expect("nobody panics while holding it");
        if !rooms.contains_key(name) && rooms.len() == ROOMS_MAX {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE).body("no more rooms\n"));
        }
        Ok(Member(rooms.entry(name.to_owned()).or_default().clone()))
    };
    Server::bind("127.0.0.1:9000")
        .route("/rooms/{room}", enter)
        .serve()
        .await
}
