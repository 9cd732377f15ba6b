use serde_json::Value;
use sockeye::{Endpoint, Message, Reply, Role, Settings};
use sockeye_hub::SystemClock;
use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::chat::archive::tests::Disk;

struct Silent;

impl Endpoint for Silent {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::None
    }
}

/// A desk without its thread, and the other ends of its sessions.
struct Scene {
    desk: Desk,
    presence: Presence,
    peers: Vec<DuplexStream>,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        Self::with(Archive::in_memory().unwrap(), limits)
    }

    fn with(archive: Archive, limits: Limits) -> Self {
        let presence = Presence::in_memory(
            sockeye_hub::presence::Limits::default(),
            Arc::new(SystemClock),
        );
        let queue = Arc::new(Queue::new(limits.queue_max));
        Self {
            desk: Desk::new(archive, Arc::new(limits), queue, presence.clone()).unwrap(),
            presence,
            peers: Vec::new(),
        }
    }

    fn session(&mut self) -> Session {
        let (ours, theirs) = duplex(1 << 16);
        self.peers.push(theirs);
        Session::from_stream(ours, Role::Server, Settings::default(), Silent).unwrap()
    }

    /// Somebody new says who they are; the name of the event that they hear.
    fn online(&mut self, session: &Session, person: Person) -> String {
        let online = Order::Online {
            person,
            name: None,
            since: None,
        };
        self.turn(vec![
            Job::Issue(person),
            Job::Order(session.clone(), online, Echoed::default()),
        ])
    }

    fn join(&mut self, session: &Session, room: &str) -> String {
        let order = Order::Join {
            room: room.into(),
            since: None,
        };
        self.order(session, order)
    }

    fn order(&mut self, session: &Session, order: Order) -> String {
        self.turn(vec![Job::Order(session.clone(), order, Echoed::default())])
    }

    /// The last thing that one connection alone hears: the event's name, or the code of the error.
    fn turn(&mut self, jobs: Vec<Job>) -> String {
        let effects = self.desk.turn(jobs, 1000);
        let told = effects.iter().rev().find_map(|effect| match effect {
            Effect::Tell(_, text) => Some(text),
            _ => None,
        });
        let told: Value = serde_json::from_str(told.map_or("{}", |text| text)).unwrap();
        let name = match told["event"].as_str() {
            Some("ERROR") => told["response"]["code"].as_str(),
            name => name,
        };
        name.unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn a_new_room_takes_the_place_of_the_empty_one_and_of_no_other() {
    let mut scene = Scene::new(Limits {
        rooms_max: 1,
        ..Limits::default()
    });
    let ann = scene.session();
    assert_eq!(scene.online(&ann, Person::new()), "ONLINE");
    assert_eq!(scene.join(&ann, "tea"), "JOINED");
    assert_eq!(scene.join(&ann, "milk"), "busy");
    scene.order(&ann, Order::Leave { room: "tea".into() });
    assert_eq!(scene.join(&ann, "milk"), "JOINED");
}

#[tokio::test]
async fn who_was_away_longest_is_forgotten_and_who_is_here_is_not() {
    let mut scene = Scene::new(Limits {
        people_max: 1,
        ..Limits::default()
    });
    let (ann, bob) = (scene.session(), scene.session());
    let (first, second) = (Person::new(), Person::new());
    assert_eq!(scene.online(&ann, first), "ONLINE");
    assert_eq!(scene.online(&bob, second), "busy");
    scene.turn(vec![Job::Gone(ann.id())]);
    assert_eq!(scene.online(&bob, second), "ONLINE");
    let to_ann = Saying {
        to: Receiver::Person(first.address()),
        text: "?".into(),
        id: None,
    };
    assert_eq!(scene.order(&bob, Order::Say(to_ann)), "no_such_person");
}

#[tokio::test]
async fn a_connection_that_ends_before_its_turn_leaves_no_ghost() {
    let mut scene = Scene::new(Limits::default());
    let ann = scene.session();
    let person = Person::new();
    let address = person.address().to_string();
    scene.online(&ann, person);
    assert!(scene.presence.is_online(&address));
    scene.turn(vec![Job::Gone(ann.id())]);
    assert!(!scene.presence.is_online(&address));
    // The other order: its end was worked off first.
    let late = scene.session();
    scene.peers.clear();
    late.closed().await;
    scene.turn(vec![Job::Gone(late.id())]);
    scene.online(&late, person);
    assert!(!scene.presence.is_online(&address));
}

#[tokio::test]
async fn rooms_of_one_connection_are_limited() {
    let mut scene = Scene::new(Limits {
        rooms_per_visitor_max: 1,
        ..Limits::default()
    });
    let ann = scene.session();
    assert_eq!(scene.join(&ann, "tea"), "not_online");
    scene.online(&ann, Person::new());
    assert_eq!(scene.join(&ann, "tea"), "JOINED");
    assert_eq!(scene.join(&ann, "tea"), "JOINED", "again is no second room");
    assert_eq!(scene.join(&ann, "milk"), "too_many_rooms");
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_heard_and_who_leaves_has_left_all_the_same() {
    let disk = Disk::default();
    let mut scene = Scene::with(disk.archive(), Limits::default());
    let (ann, bob) = (scene.session(), scene.session());
    let person = Person::new();
    scene.online(&ann, Person::new());
    scene.online(&bob, person);
    scene.join(&ann, "tea");
    let say = || {
        Order::Say(Saying {
            to: Receiver::Room("tea".into()),
            text: "hello".into(),
            id: Some("m1".into()),
        })
    };
    disk.set_full(true);
    // The first finds it out, the second can't even begin.
    assert_eq!(scene.order(&ann, say()), "not_kept");
    assert_eq!(scene.order(&ann, say()), "not_kept");
    scene.turn(vec![Job::Gone(bob.id())]);
    assert!(!scene.presence.is_online(&person.address().to_string()));
    disk.set_full(false);
    // The one that finds it open again is the next one.
    scene.order(&ann, say());
    assert_eq!(scene.order(&ann, say()), "SENT");
}
