//! What can be done with all members of a group, on workers and in tasks.

use std::collections::{HashMap, HashSet};

use sockeye::{
    CloseCode, Closed, Endpoint, Group, Message, Reply, Route, Server, ServerHandle, Session, Side,
    WebSocket,
};
use tokio::sync::mpsc;

use crate::support::{open, recv_text, soon};

struct Member {
    room: Group,
    opened: mpsc::UnboundedSender<Session>,
}

impl Endpoint for Member {
    fn on_open(&mut self, session: &Session) {
        self.room.join(session);
        let _ = self.opened.send(session.clone());
    }

    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::None
    }
}

/// A room whose members are on two workers and in tasks.
struct House {
    _server: ServerHandle,
    room: Group,
    /// Each with its session in the server.
    members: Vec<(WebSocket, Session)>,
}

impl House {
    async fn new() -> Self {
        let room = Group::new();
        let (sender, mut opened) = mpsc::unbounded_channel();
        let on_worker = (room.clone(), sender.clone());
        let in_task = (room.clone(), sender);
        let server = Server::bind("127.0.0.1:0")
            .workers(2)
            .route("/worker", move |_| {
                let (room, opened) = on_worker.clone();
                Ok(Member { room, opened })
            })
            .mount(Route::conversation("/task", move |_, mut websocket| {
                let (room, opened) = in_task.clone();
                async move {
                    room.join(websocket.session());
                    let _ = opened.send(websocket.session().clone());
                    while let Ok(Some(_)) = websocket.recv().await {}
                }
            }))
            .start()
            .await
            .unwrap();
        let addr = server.local_addrs()[0];
        let mut members = Vec::new();
        for path in ["/worker", "/task"].repeat(3) {
            let (websocket, _) = open(addr, path, &[]).await;
            members.push((websocket, soon(opened.recv()).await.unwrap()));
        }
        Self {
            _server: server,
            room,
            members,
        }
    }

    fn session(&self, index: usize) -> &Session {
        &self.members[index].1
    }
}

#[tokio::test]
async fn what_is_for_all_but_some_reaches_all_others_in_order() {
    let mut house = House::new().await;
    let (first, second) = (house.session(0), house.session(1));
    // Twice the same is once, and one that isn't a member changes nothing.
    assert_eq!(house.room.except([first, second, first]).send("1"), 4);
    assert_eq!(house.room.except(None).send("2"), 6);
    assert_eq!(house.room.send_except(first, "3"), 5);
    let all = house.members.iter().map(|(_, session)| session);
    assert_eq!(house.room.except(all).send("4"), 0);
    house.room.leave(second);
    assert_eq!(house.room.except([first, second]).send("5"), 4);
    assert_eq!(house.room.send("6"), 5);
    for (index, texts) in [
        (0, vec!["2", "6"]),
        (1, vec!["2", "3"]),
        (2, vec!["1", "2", "3", "5", "6"]),
        (3, vec!["1", "2", "3", "5", "6"]),
    ] {
        for text in texts {
            let heard = recv_text(&mut house.members[index].0).await;
            assert_eq!(heard, text, "member {index}");
        }
    }
}

#[tokio::test]
async fn a_group_that_is_closed_tells_each_member_behind_what_was_sent() {
    let mut house = House::new().await;
    house.room.send("last");
    assert_eq!(house.room.close(CloseCode::INTERNAL_ERROR, "over"), 6);
    house.room.send("late");
    for (websocket, session) in &mut house.members {
        assert_eq!(recv_text(websocket).await, "last");
        let error = soon(websocket.recv()).await.unwrap_err();
        let Closed {
            by, code, reason, ..
        } = error.closed().unwrap();
        assert_eq!(
            (*by, *code, &**reason),
            (Side::Peer, CloseCode::INTERNAL_ERROR, "over")
        );
        assert_eq!(soon(session.closed()).await.by, Side::Us);
    }
}

#[tokio::test]
async fn each_member_is_visited_once_and_may_be_used_and_let_out() {
    let mut house = House::new().await;
    let mut visits: HashMap<Session, usize> = HashMap::new();
    house.room.for_each(|session| {
        *visits.entry(session.clone()).or_default() += 1;
        session.try_send("hello").unwrap();
        house.room.leave(session);
    });
    assert!(house.room.is_empty());
    let members: HashSet<Session> = house
        .members
        .iter()
        .map(|(_, session)| session.clone())
        .collect();
    assert_eq!(visits.keys().cloned().collect::<HashSet<_>>(), members);
    assert!(visits.values().all(|count| *count == 1));
    for (websocket, _) in &mut house.members {
        assert_eq!(recv_text(websocket).await, "hello");
    }
}

#[tokio::test]
async fn handles_of_one_connection_are_equal_and_others_are_not() {
    let house = House::new().await;
    let session = house.session(0);
    assert_eq!(session, &session.clone());
    assert_ne!(session, house.session(1));
    let set: HashSet<&Session> = house.members.iter().map(|(_, session)| session).collect();
    assert_eq!(set.len(), 6);
    assert!(set.contains(&session.clone()));
}
