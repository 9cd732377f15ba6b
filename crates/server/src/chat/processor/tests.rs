use serde_json::Value;
use sockeye::{Endpoint, MemoryBudget, Message, Reply, Role, Settings};
use sockeye_hub::SystemClock;
use tokio::{
    io::{DuplexStream, duplex},
    sync::oneshot,
};

use super::*;
use crate::{
    chat::{
        archive::tests::Disk,
        limits::ByteRate,
        protocol::{NewMessage, Recipient, Since},
        receipt::Receipt,
    },
    identity::Person,
};

struct Silent;

impl Endpoint for Silent {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::None
    }
}

/// A processor without its thread, and the peers of its sessions.
struct Scene {
    processor: Processor,
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
            processor: Processor::new(archive, Arc::new(limits), queue, presence.clone()).unwrap(),
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

    /// Sends `/chat/online` for a new person. Returns the name of the answer's event.
    fn online(&mut self, session: &Session, person: Person) -> String {
        let online = Command::Online {
            person,
            name: None,
            since: None,
        };
        self.process_batch(vec![
            Job::Issue(person, None),
            Job::Command(session.clone(), online, EchoedFields::default()),
        ])
    }

    fn join(&mut self, session: &Session, room: &str) -> String {
        let command = Command::Join {
            room: room.into(),
            since: None,
        };
        self.command(session, command)
    }

    fn command(&mut self, session: &Session, command: Command) -> String {
        self.process_batch(vec![Job::Command(
            session.clone(),
            command,
            EchoedFields::default(),
        )])
    }

    fn say(&mut self, session: &Session, to: Recipient, text: &str) -> String {
        let new_message = NewMessage {
            to,
            text: text.into(),
            id: None,
        };
        self.command(session, Command::Send(new_message))
    }

    /// Processes jobs. Returns the last text for a single connection: the event's name, or the code of an error.
    fn process_batch(&mut self, jobs: Vec<Job>) -> String {
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
            for effect in self.processor.process_batch(&mut jobs, self.now) {
                if let Effect::Send(_, text) = &effect {
                    told = serde_json::from_str(text).unwrap();
                }
            }
        }
        told
    }
}

#[tokio::test]
async fn a_new_room_replaces_an_empty_one_and_no_other() {
    let mut scene = Scene::new(Limits {
        rooms_max: 1,
        ..Limits::default()
    });
    let ann = scene.session();
    assert_eq!(scene.online(&ann, Person::new()), "ONLINE");
    assert_eq!(scene.join(&ann, "tea"), "JOINED");
    assert_eq!(scene.join(&ann, "milk"), "busy");
    scene.command(&ann, Command::Leave { room: "tea".into() });
    assert_eq!(scene.join(&ann, "milk"), "JOINED");
}

#[tokio::test]
async fn the_person_offline_longest_is_forgotten_and_none_who_is_online() {
    let mut scene = Scene::new(Limits {
        people_max: 1,
        ..Limits::default()
    });
    let (ann, bob) = (scene.session(), scene.session());
    let (first, second) = (Person::new(), Person::new());
    assert_eq!(scene.online(&ann, first), "ONLINE");
    assert_eq!(scene.online(&bob, second), "busy");
    scene.process_batch(vec![Job::SessionEnded(ann.id())]);
    assert_eq!(scene.online(&bob, second), "ONLINE");
    let to_ann = NewMessage {
        to: Recipient::Person(first.address()),
        text: "?".into(),
        id: None,
    };
    assert_eq!(scene.command(&bob, Command::Send(to_ann)), "no_such_person");
}

#[tokio::test]
async fn a_connection_that_ends_before_its_job_is_not_online() {
    let mut scene = Scene::new(Limits::default());
    let ann = scene.session();
    let person = Person::new();
    let address = person.address().to_string();
    scene.online(&ann, person);
    assert!(scene.presence.is_online(&address));
    scene.process_batch(vec![Job::SessionEnded(ann.id())]);
    assert!(!scene.presence.is_online(&address));
    // In the other order its end is processed first.
    let late = scene.session();
    scene.peers.clear();
    late.closed().await;
    scene.process_batch(vec![Job::SessionEnded(late.id())]);
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
async fn a_message_that_cannot_be_stored_is_not_sent_and_ended_sessions_are_removed() {
    let disk = Disk::default();
    let mut scene = Scene::with(disk.archive(), Limits::default());
    let (ann, bob) = (scene.session(), scene.session());
    let person = Person::new();
    scene.online(&ann, Person::new());
    scene.online(&bob, person);
    scene.join(&ann, "tea");
    let say = || {
        Command::Send(NewMessage {
            to: Recipient::Room("tea".into()),
            text: "hello".into(),
            id: Some("m1".into()),
        })
    };
    disk.set_full(true);
    // The first batch fails to commit, the second can't begin a transaction.
    assert_eq!(scene.command(&ann, say()), "not_kept");
    assert_eq!(scene.command(&ann, say()), "not_kept");
    scene.process_batch(vec![Job::SessionEnded(bob.id())]);
    assert!(!scene.presence.is_online(&person.address().to_string()));
    disk.set_full(false);
    // The next batch finds the archive reopened.
    scene.command(&ann, say());
    assert_eq!(scene.command(&ann, say()), "SENT");
}

#[tokio::test]
async fn new_people_displace_none_who_sent_a_message_or_has_queued_ones() {
    let mut scene = Scene::new(Limits {
        people_max: 4,
        ..Limits::default()
    });
    let [ann, bob] = [(); 2].map(|()| (Person::new(), scene.session()));
    scene.online(&bob.1, bob.0);
    scene.process_batch(vec![Job::SessionEnded(bob.1.id())]);
    scene.now += 1;
    scene.online(&ann.1, ann.0);
    let to_bob = Recipient::Person(bob.0.address());
    assert_eq!(
        scene.say(&ann.1, to_bob, "important"),
        "MSG",
        "she hears herself"
    );
    scene.process_batch(vec![Job::SessionEnded(ann.1.id())]);
    for _ in 0..20 {
        scene.now += 1;
        let stranger = scene.session();
        assert_eq!(scene.online(&stranger, Person::new()), "ONLINE");
        scene.process_batch(vec![Job::SessionEnded(stranger.id())]);
    }
    assert_eq!(
        scene
            .processor
            .roster
            .record(ann.0.address())
            .map(|ann| ann.has_spoken),
        Some(true)
    );
    let back = scene.session();
    let online = Command::Online {
        person: bob.0,
        name: None,
        since: None,
    };
    let told = scene.told(vec![Job::Command(back, online, EchoedFields::default())]);
    assert_eq!(told["response"]["waiting"], 1, "{told}");
}

#[tokio::test]
async fn a_message_without_room_in_the_queue_is_refused_and_not_sent() {
    let mut scene = Scene::new(Limits {
        queued_receiver_bytes_max: 4000,
        ..Limits::default()
    });
    let (ann, person) = (scene.session(), Person::new());
    scene.online(&ann, Person::new());
    let bob = scene.session();
    scene.online(&bob, person);
    scene.process_batch(vec![Job::SessionEnded(bob.id())]);
    let to = Recipient::Person(person.address());
    assert_eq!(
        scene.say(&ann, to.clone(), "one"),
        "MSG",
        "she hears herself"
    );
    assert_eq!(
        scene.say(&ann, to.clone(), &"x".repeat(2000)),
        "mailbox_full"
    );
    // To a person who is online it need not wait.
    let back = scene.session();
    scene.online(&back, person);
    assert_eq!(scene.say(&ann, to, &"x".repeat(2000)), "MSG");
    // The refused queued message is in no history.
    let (sender, mut receiver) = oneshot::channel();
    scene
        .processor
        .process_batch(
            &mut VecDeque::from([Job::Fetch(person, None, None, sender)]),
            1000,
        )
        .into_iter()
        .for_each(Effect::run);
    assert_eq!(receiver.try_recv().unwrap().unwrap().messages.len(), 1);
}

#[tokio::test]
async fn repeated_requests_for_history_are_limited() {
    let mut scene = Scene::new(Limits {
        answers: ByteRate {
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
        scene.say(&ann, Recipient::Room("tea".into()), &"x".repeat(2000));
    }
    assert_eq!(scene.join(&bob, "tea"), "JOINED");
    assert_eq!(scene.join(&bob, "tea"), "JOINED");
    assert_eq!(scene.join(&bob, "tea"), "too_much");
    assert_eq!(
        scene.command(&bob, Command::People { room: None }),
        "too_much"
    );
    // Other people are not limited, nor is the same person after a while.
    assert_eq!(scene.join(&ann, "milk"), "JOINED");
    scene.now += 10_000;
    assert_eq!(scene.join(&bob, "tea"), "JOINED");
}

#[tokio::test]
async fn a_batch_ends_at_its_limit_of_bytes_and_the_rest_follows() {
    let mut scene = Scene::new(Limits {
        turn_bytes_max: 5000,
        ..Limits::default()
    });
    let ann = scene.session();
    scene.online(&ann, Person::new());
    scene.join(&ann, "tea");
    let say = |text: &str| {
        let new_message = NewMessage {
            to: Recipient::Room("tea".into()),
            text: text.repeat(2000),
            id: None,
        };
        Job::Command(
            ann.clone(),
            Command::Send(new_message),
            EchoedFields::default(),
        )
    };
    let mut jobs: VecDeque<Job> = ["1", "2", "3", "4", "5", "6"].map(say).into();
    let mut turns = 0;
    while !jobs.is_empty() {
        assert!(!scene.processor.process_batch(&mut jobs, 1000).is_empty());
        turns += 1;
    }
    assert_eq!(turns, 2);
}

#[tokio::test]
async fn messages_that_a_page_has_read_are_queued_no_longer() {
    let mut scene = Scene::new(Limits::default());
    let (ann, person) = (scene.session(), Person::new());
    scene.online(&ann, Person::new());
    let bob = scene.session();
    scene.online(&bob, person);
    scene.process_batch(vec![Job::SessionEnded(bob.id())]);
    let to = Recipient::Person(person.address());
    for text in ["one", "two", "three"] {
        scene.say(&ann, to.clone(), text);
    }
    let back = scene.session();
    let online = |since: Option<Since>| {
        let command = Command::Online {
            person,
            name: None,
            since,
        };
        vec![Job::Command(back.clone(), command, EchoedFields::default())]
    };
    let since = |seq: u64, epoch: Option<String>| Some(Since { seq, epoch });
    let told = scene.told(online(since(0, None)));
    assert_eq!(told["response"]["waiting"], 3, "{told}");
    let epoch = told["response"]["past"]["epoch"]
        .as_str()
        .unwrap()
        .to_owned();
    // A number without its history confirms nothing.
    let told = scene.told(online(since(3, None)));
    assert_eq!(told["response"]["waiting"], 3, "{told}");
    let told = scene.told(online(since(1, Some(epoch.clone()))));
    assert_eq!(told["response"]["waiting"], 2, "{told}");
    let receipt = Receipt { epoch, seq: 3 };
    let acknowledged = Job::Command(
        back.clone(),
        Command::Acknowledge(receipt),
        EchoedFields::default(),
    );
    let told = scene.told(vec![acknowledged]);
    assert_eq!(
        (&told["event"], &told["response"]["waiting"]),
        (&"ACKNOWLEDGED".into(), &0.into())
    );
}
