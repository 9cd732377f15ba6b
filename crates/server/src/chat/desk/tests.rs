use serde_json::Value;
use sockeye::{Endpoint, MemoryBudget, Message, Reply, Role, Settings};
use sockeye_hub::SystemClock;
use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::chat::{answers::Allowed, archive::tests::Disk};

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
    /// Milliseconds since 1970.
    now: u64,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        Self::with(
            Archive::in_memory(&MemoryBudget::default()).unwrap(),
            limits,
        )
    }

    fn with(archive: Archive, limits: Limits) -> Self {
        let presence = Presence::in_memory(
            sockeye_hub::presence::Limits::default(),
            Arc::new(SystemClock),
        );
        let queue = Arc::new(Queue::new(
            limits.queue_max,
            limits.queue_bytes_max,
            MemoryBudget::default().account(),
        ));
        Self {
            desk: Desk::new(archive, Arc::new(limits), queue, presence.clone()).unwrap(),
            presence,
            peers: Vec::new(),
            now: 1000,
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
            Job::Issue(person, None),
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

    fn say(&mut self, session: &Session, to: Receiver, text: &str) -> String {
        let saying = Saying {
            to,
            text: text.into(),
            id: None,
        };
        self.order(session, Order::Say(saying))
    }

    /// The last thing that one connection alone hears: the event's name, or the code of the error.
    fn turn(&mut self, jobs: Vec<Job>) -> String {
        let told = self.told(jobs);
        let name = match told["event"].as_str() {
            Some("ERROR") => told["response"]["code"].as_str(),
            name => name,
        };
        name.unwrap_or_default().to_owned()
    }

    fn told(&mut self, jobs: Vec<Job>) -> Value {
        let (mut jobs, mut told) = (VecDeque::from(jobs), Value::Null);
        while !jobs.is_empty() {
            for effect in self.desk.turn(&mut jobs, self.now) {
                if let Effect::Tell(_, text) = &effect {
                    told = serde_json::from_str(text).unwrap();
                }
            }
        }
        told
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

#[tokio::test]
async fn made_up_people_displace_nobody_who_has_spoken_or_has_mail() {
    let mut scene = Scene::new(Limits {
        people_max: 4,
        ..Limits::default()
    });
    let [ann, bob] = [(); 2].map(|()| (Person::new(), scene.session()));
    scene.online(&bob.1, bob.0);
    scene.turn(vec![Job::Gone(bob.1.id())]);
    scene.now += 1;
    scene.online(&ann.1, ann.0);
    let to_bob = Receiver::Person(bob.0.address());
    assert_eq!(
        scene.say(&ann.1, to_bob, "important"),
        "MSG",
        "she hears herself"
    );
    scene.turn(vec![Job::Gone(ann.1.id())]);
    for _ in 0..20 {
        scene.now += 1;
        let stranger = scene.session();
        assert_eq!(scene.online(&stranger, Person::new()), "ONLINE");
        scene.turn(vec![Job::Gone(stranger.id())]);
    }
    assert_eq!(
        scene
            .desk
            .lobby
            .resident(ann.0.address())
            .map(|ann| ann.has_spoken),
        Some(true)
    );
    let back = scene.session();
    let online = Order::Online {
        person: bob.0,
        name: None,
        since: None,
    };
    let told = scene.told(vec![Job::Order(back, online, Echoed::default())]);
    assert_eq!(told["response"]["waiting"], 1, "{told}");
}

#[tokio::test]
async fn a_letter_for_which_there_is_no_room_is_refused_and_not_sent() {
    let mut scene = Scene::new(Limits {
        letters_receiver_bytes_max: 4000,
        ..Limits::default()
    });
    let (ann, person) = (scene.session(), Person::new());
    scene.online(&ann, Person::new());
    let bob = scene.session();
    scene.online(&bob, person);
    scene.turn(vec![Job::Gone(bob.id())]);
    let to = Receiver::Person(person.address());
    assert_eq!(
        scene.say(&ann, to.clone(), "one"),
        "MSG",
        "she hears herself"
    );
    assert_eq!(
        scene.say(&ann, to.clone(), &"x".repeat(2000)),
        "mailbox_full"
    );
    // Once they are here it needn't wait.
    let back = scene.session();
    scene.online(&back, person);
    assert_eq!(scene.say(&ann, to, &"x".repeat(2000)), "MSG");
    // What was refused stands in nobody's history.
    let (sender, mut receiver) = oneshot::channel();
    scene
        .desk
        .turn(
            &mut VecDeque::from([Job::Fetch(person, None, None, sender)]),
            1000,
        )
        .into_iter()
        .for_each(Effect::run);
    assert_eq!(receiver.try_recv().unwrap().unwrap().messages.len(), 1);
}

#[tokio::test]
async fn who_asks_for_the_history_again_and_again_waits() {
    let mut scene = Scene::new(Limits {
        answers: Allowed {
            burst: 10_000,
            per_second: 1000,
        },
        ..Limits::default()
    });
    let (ann, bob) = (scene.session(), scene.session());
    scene.online(&ann, Person::new());
    scene.online(&bob, Person::new());
    scene.join(&ann, "tea");
    for _ in 0..4 {
        scene.say(&ann, Receiver::Room("tea".into()), &"x".repeat(2000));
    }
    assert_eq!(scene.join(&bob, "tea"), "JOINED");
    assert_eq!(scene.join(&bob, "tea"), "JOINED");
    assert_eq!(scene.join(&bob, "tea"), "too_much");
    assert_eq!(scene.order(&bob, Order::People { room: None }), "too_much");
    // Nobody else does, and neither does who comes back after a while.
    assert_eq!(scene.join(&ann, "milk"), "JOINED");
    scene.now += 10_000;
    assert_eq!(scene.join(&bob, "tea"), "JOINED");
}

#[tokio::test]
async fn a_turn_ends_where_enough_is_said_and_the_rest_comes_in_the_next() {
    let mut scene = Scene::new(Limits {
        turn_bytes_max: 5000,
        ..Limits::default()
    });
    let ann = scene.session();
    scene.online(&ann, Person::new());
    scene.join(&ann, "tea");
    let say = |text: &str| {
        let saying = Saying {
            to: Receiver::Room("tea".into()),
            text: text.repeat(2000),
            id: None,
        };
        Job::Order(ann.clone(), Order::Say(saying), Echoed::default())
    };
    let mut jobs: VecDeque<Job> = ["1", "2", "3", "4", "5", "6"].map(say).into();
    let mut turns = 0;
    while !jobs.is_empty() {
        assert!(!scene.desk.turn(&mut jobs, 1000).is_empty());
        turns += 1;
    }
    assert_eq!(turns, 2);
}

#[tokio::test]
async fn what_a_page_says_that_it_has_read_waits_no_longer() {
    let mut scene = Scene::new(Limits::default());
    let (ann, person) = (scene.session(), Person::new());
    scene.online(&ann, Person::new());
    let bob = scene.session();
    scene.online(&bob, person);
    scene.turn(vec![Job::Gone(bob.id())]);
    let to = Receiver::Person(person.address());
    for text in ["one", "two", "three"] {
        scene.say(&ann, to.clone(), text);
    }
    let back = scene.session();
    let online = |since: Option<Since>| {
        let order = Order::Online {
            person,
            name: None,
            since,
        };
        vec![Job::Order(back.clone(), order, Echoed::default())]
    };
    let since = |seq: u64, epoch: Option<String>| Some(Since { seq, epoch });
    let told = scene.told(online(since(0, None)));
    assert_eq!(told["response"]["waiting"], 3, "{told}");
    let epoch = told["response"]["past"]["epoch"]
        .as_str()
        .unwrap()
        .to_owned();
    // A number without its history says nothing.
    let told = scene.told(online(since(3, None)));
    assert_eq!(told["response"]["waiting"], 3, "{told}");
    let told = scene.told(online(since(1, Some(epoch.clone()))));
    assert_eq!(told["response"]["waiting"], 2, "{told}");
    let receipt = Receipt { epoch, seq: 3 };
    let acknowledged = Job::Order(back.clone(), Order::Acknowledge(receipt), Echoed::default());
    let told = scene.told(vec![acknowledged]);
    assert_eq!(
        (&told["event"], &told["response"]["waiting"]),
        (&"ACKNOWLEDGED".into(), &0.into())
    );
}
