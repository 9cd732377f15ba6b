//! Groups whose members are on workers.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sockeye::{
    CloseCode, Closed, Deflate, Endpoint, Group, Message, Prepared, Reply, Route, Server,
    ServerHandle, Session, Settings, WebSocket,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
};

use crate::support::{open, read_head, recv_text, request, soon};

/// Carries out what a message says, on its own session and on the group.
struct Member {
    room: Group,
    second: Group,
    opened: mpsc::UnboundedSender<Session>,
}

impl Endpoint for Member {
    fn on_open(&mut self, session: &Session) {
        self.room.join(session);
        let _ = self.opened.send(session.clone());
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        let mut reply = Reply::None;
        for order in message.as_text().unwrap().split(' ') {
            match order.split_once(':').unwrap() {
                ("room", text) => assert!(self.room.send(text.to_owned()) > 0),
                ("others", text) => {
                    self.room.send_except(session, text.to_owned());
                }
                ("second", text) => assert!(self.second.send(text.to_owned()) > 0),
                ("self", text) => session.try_send(text).unwrap(),
                ("reply", text) => reply = Reply::Message(text.to_owned().into()),
                ("close", text) => session.close(CloseCode::NORMAL, text),
                ("end", text) => reply = Reply::Close(CloseCode::NORMAL, text.into()),
                ("leave", _) => self.room.leave(session),
                ("join", _) => self.room.join(session),
                ("both", _) => self.second.join(session),
                order => panic!("{order:?}"),
            }
        }
        reply
    }

    fn on_close(&mut self, session: &Session, _: &Closed) {
        self.room.join(session);
    }
}

struct House {
    server: ServerHandle,
    room: Group,
    second: Group,
    opened: mpsc::UnboundedReceiver<Session>,
}

impl House {
    async fn new(workers: usize, settings: Settings) -> Self {
        let (room, second) = (Group::new(), Group::new());
        let (sender, opened) = mpsc::unbounded_channel();
        let (members, others) = ((room.clone(), second.clone()), room.clone());
        let server = Server::bind("127.0.0.1:0")
            .workers(workers)
            .settings(settings)
            .route("/member", move |_request| {
                Ok(Member {
                    room: members.0.clone(),
                    second: members.1.clone(),
                    opened: sender.clone(),
                })
            })
            .mount(Route::conversation("/loop", move |_, mut websocket| {
                let room = others.clone();
                async move {
                    room.join(websocket.session());
                    websocket.send("joined").await.unwrap();
                    while let Ok(Some(message)) = websocket.recv().await {
                        room.send(message);
                    }
                }
            }))
            .start()
            .await
            .unwrap();
        Self {
            server,
            room,
            second,
            opened,
        }
    }

    /// Opens a member, and returns it with its session in the server.
    async fn enter(&mut self, fields: &[&str]) -> (WebSocket, Session) {
        let addr = self.server.local_addrs()[0];
        let (websocket, _) = open(addr, "/member", fields).await;
        let session = soon(self.opened.recv()).await.unwrap();
        (websocket, session)
    }

    /// Opens a member whose bytes the test reads itself, and returns it with its session.
    async fn enter_raw(&mut self) -> (TcpStream, Session) {
        let socket = TcpSocket::new_v4().unwrap();
        // Small, so that the kernel soon takes nothing more for a peer that doesn't read.
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let addr = self.server.local_addrs()[0];
        let mut stream = soon(socket.connect(addr)).await.unwrap();
        let bytes = request("/member", &[]);
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let session = soon(self.opened.recv()).await.unwrap();
        (stream, session)
    }
}

async fn assert_hears(websocket: &mut WebSocket, texts: &[&str]) {
    for text in texts {
        assert_eq!(recv_text(websocket).await, *text);
    }
}

#[tokio::test]
async fn member_gets_what_one_callback_sends_in_its_order() {
    let mut house = House::new(1, Settings::default()).await;
    let (mut first, _) = house.enter(&[]).await;
    let (mut second, _) = house.enter(&[]).await;
    let orders = "self:1 room:2 self:3 room:4 room:5 others:no room:6 self:7 room:8 reply:9";
    soon(first.send(orders)).await.unwrap();
    assert_hears(&mut first, &["1", "2", "3", "4", "5", "6", "7", "8", "9"]).await;
    assert_hears(&mut second, &["2", "4", "5", "no", "6", "8"]).await;
    soon(first.send("room:10 self:11")).await.unwrap();
    assert_hears(&mut first, &["10", "11"]).await;
    assert_hears(&mut second, &["10"]).await;
}

#[tokio::test]
async fn member_gets_what_another_thread_sends_in_its_order() {
    let mut house = House::new(2, Settings::default()).await;
    let mut members = Vec::new();
    for _ in 0..6 {
        members.push(house.enter(&[]).await);
    }
    let barrier = Arc::new(Barrier::new(3));
    let talk = |name: &'static str| {
        let (room, barrier) = (house.room.clone(), Arc::clone(&barrier));
        let sessions: Vec<Session> = members.iter().map(|(_, session)| session.clone()).collect();
        thread::spawn(move || {
            barrier.wait();
            for number in 0..300 {
                assert_eq!(room.send(format!("{name} {}", 2 * number)), sessions.len());
                for session in &sessions {
                    session
                        .try_send(format!("{name} {}", 2 * number + 1))
                        .unwrap();
                }
            }
        })
    };
    let talkers = ["a", "b", "c"].map(talk);
    for (websocket, _) in &mut members {
        let mut next = std::collections::HashMap::new();
        for _ in 0..3 * 600 {
            let text = recv_text(websocket).await;
            let (name, number) = text.split_once(' ').unwrap();
            let expected = next.entry(name.to_owned()).or_insert(0);
            assert_eq!(number.parse(), Ok(*expected), "of {name}");
            *expected += 1;
        }
    }
    for talker in talkers {
        talker.join().unwrap();
    }
}

#[tokio::test]
async fn member_of_two_groups_gets_all_in_the_order_in_which_it_was_sent() {
    let mut house = House::new(1, Settings::default()).await;
    let (mut both, _) = house.enter(&[]).await;
    let (mut one, _) = house.enter(&[]).await;
    soon(both.send("both: room:1 second:2 room:3 room:4 second:5"))
        .await
        .unwrap();
    assert_hears(&mut both, &["1", "2", "3", "4", "5"]).await;
    assert_hears(&mut one, &["1", "3", "4"]).await;
    // From another thread, while the worker delivers.
    let (room, second) = (house.room.clone(), house.second.clone());
    let talker = thread::spawn(move || {
        for number in 0..1000 {
            let group = if number % 3 == 0 { &room } else { &second };
            group.send(number.to_string());
        }
    });
    for number in 0..1000 {
        assert_hears(&mut both, &[&number.to_string()]).await;
    }
    talker.join().unwrap();
}

#[tokio::test]
async fn member_gets_what_was_sent_between_its_join_and_its_leave() {
    let mut house = House::new(1, Settings::default()).await;
    let (mut first, session) = house.enter(&[]).await;
    let (mut second, _) = house.enter(&[]).await;
    soon(first.send("room:1 leave: room:2 join: room:3 leave: join: room:4"))
        .await
        .unwrap();
    assert_hears(&mut first, &["1", "3", "4"]).await;
    assert_hears(&mut second, &["1", "2", "3", "4"]).await;
    for round in 0..200 {
        house.room.leave(&session);
        assert_eq!(house.room.send(format!("out {round}")), 1);
        house.room.join(&session);
        assert_eq!(house.room.send(format!("in {round}")), 2);
    }
    for round in 0..200 {
        assert_hears(&mut first, &[&format!("in {round}")]).await;
        assert_hears(
            &mut second,
            &[&format!("out {round}"), &format!("in {round}")],
        )
        .await;
    }
}

#[tokio::test]
async fn close_follows_what_was_sent_before_it() {
    for orders in ["room:1 room:2 close:bye room:3", "room:1 room:2 end:bye"] {
        let mut house = House::new(1, Settings::default()).await;
        let (mut member, session) = house.enter(&[]).await;
        soon(member.send(orders)).await.unwrap();
        assert_hears(&mut member, &["1", "2"]).await;
        assert_eq!(soon(member.recv()).await.unwrap(), None);
        assert_eq!(soon(session.closed()).await.reason, "bye");
        assert!(house.room.is_empty());
    }
}

#[tokio::test]
async fn ended_member_leaves_and_the_others_stay() {
    let mut house = House::new(2, Settings::default()).await;
    let mut members = Vec::new();
    for _ in 0..20 {
        members.push(house.enter(&[]).await);
    }
    assert_eq!(house.room.len(), 20);
    for left in (0..20).rev() {
        let (mut websocket, session) = members.swap_remove(left / 2);
        soon(websocket.close(CloseCode::NORMAL, "")).await;
        soon(session.closed()).await;
        soon(async {
            while house.room.len() > left {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(house.room.send(left.to_string()), left);
        for (websocket, _) in &mut members {
            assert_hears(websocket, &[&left.to_string()]).await;
        }
    }
}

#[tokio::test]
async fn member_that_does_not_read_is_closed_and_the_others_notice_nothing() {
    let mut house = House::new(1, Settings::default()).await;
    let (stuck, stuck_session) = house.enter_raw().await;
    let (mut reader, _) = house.enter(&[]).await;
    let message = Prepared::new(vec![1_u8; 100_000]);
    // The kernel's buffers and 1 MiB of outbox hold less than 200 of these.
    for _ in 0..200 {
        house.room.send_prepared(&message);
        assert_eq!(
            soon(reader.recv()).await.unwrap().unwrap(),
            *message.message()
        );
    }
    assert!(!stuck_session.is_open());
    drop(stuck);
}

#[tokio::test]
async fn sender_that_is_faster_than_the_worker_delivers_itself() {
    /// Keeps the worker busy until the test has sent all.
    struct Busy(Arc<Barrier>);
    impl Endpoint for Busy {
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            self.0.wait();
            self.0.wait();
            Reply::None
        }
    }
    let room = Group::new();
    let barrier = Arc::new(Barrier::new(2));
    let (joins, waits) = (room.clone(), Arc::clone(&barrier));
    struct Joins(Group);
    impl Endpoint for Joins {
        fn on_open(&mut self, session: &Session) {
            self.0.join(session);
            session.try_send("welcome").unwrap();
        }
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::None
        }
    }
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/busy", move |_| Ok(Busy(Arc::clone(&waits))))
        .route("/room", move |_| Ok(Joins(joins.clone())))
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    let (busy, _) = open(addr, "/busy", &[]).await;
    let (mut member, _) = open(addr, "/room", &[]).await;
    assert_hears(&mut member, &["welcome"]).await;
    soon(busy.send("now")).await.unwrap();
    let sender = thread::spawn(move || {
        barrier.wait();
        for number in 0..6000 {
            assert_eq!(room.send(number.to_string()), 1);
        }
        barrier
    });
    // These came before the worker could deliver: its endpoint still blocks it.
    for number in 0..1000 {
        assert_hears(&mut member, &[&number.to_string()]).await;
    }
    let barrier = sender.join().unwrap();
    barrier.wait();
    for number in 1000..6000 {
        assert_hears(&mut member, &[&number.to_string()]).await;
    }
}

#[tokio::test]
async fn members_of_all_kinds_get_the_same() {
    let mut settings = Settings::default();
    let mut deflate = Deflate::default();
    deflate.server_no_context_takeover = true;
    settings.deflate = Some(deflate);
    let mut house = House::new(2, settings).await;
    let addr = house.server.local_addrs()[0];
    let compressing = |url: &str| {
        let mut settings = Settings::default();
        settings.deflate = Some(Deflate::default());
        sockeye::connect(format!("ws://{addr}{url}")).settings(settings)
    };
    let mut members = Vec::new();
    for _ in 0..4 {
        members.push(house.enter(&[]).await.0);
        members.push(soon(compressing("/member").into_future()).await.unwrap());
        let mut other = open(addr, "/loop", &[]).await.0;
        assert_hears(&mut other, &["joined"]).await;
        members.push(other);
        let mut other = soon(compressing("/loop").into_future()).await.unwrap();
        assert_hears(&mut other, &["joined"]).await;
        members.push(other);
    }
    soon(async {
        while house.room.len() < members.len() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Some payloads compress well, some don't.
    let texts: Vec<String> = (0..50)
        .map(|number| format!("{number}").repeat(1 + number % 7 * 100))
        .collect();
    for text in &texts {
        assert_eq!(house.room.send(text.clone()), members.len());
    }
    for member in &mut members {
        for text in &texts {
            assert_hears(member, &[text]).await;
        }
    }
    assert!(
        members
            .iter()
            .any(|member| member.session().deflate().is_some())
    );
}

#[tokio::test]
async fn publications_of_one_round_come_in_few_reads() {
    let mut house = House::new(1, Settings::default()).await;
    let (speaker, _) = house.enter(&[]).await;
    let (mut listener, _) = house.enter_raw().await;
    let orders = "room:0123456789 ".repeat(16);
    soon(speaker.send(orders.trim_end())).await.unwrap();
    // What the socket holds after its first readiness came with one write.
    let mut bytes = [0; 1024];
    let first = soon(listener.read(&mut bytes)).await.unwrap();
    assert_eq!(first, 16 * 12);
}

#[tokio::test]
async fn dropped_group_delivers_what_was_sent() {
    let (opened, mut sessions) = mpsc::unbounded_channel();
    struct Founder {
        opened: mpsc::UnboundedSender<Session>,
        others: Arc<Mutex<Vec<Session>>>,
    }
    impl Endpoint for Founder {
        fn on_open(&mut self, session: &Session) {
            self.others.lock().unwrap().push(session.clone());
            let _ = self.opened.send(session.clone());
        }
        fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
            let group = Group::new();
            for session in &*self.others.lock().unwrap() {
                group.join(session);
            }
            group.send(message.into_owned());
            drop(group);
            Reply::None
        }
    }
    let others = Arc::default();
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/", move |_| {
            Ok(Founder {
                opened: opened.clone(),
                others: Arc::clone(&others),
            })
        })
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(open(addr, "/", &[]).await.0);
        soon(sessions.recv()).await.unwrap();
    }
    for round in ["first", "second"] {
        soon(members[0].send(round)).await.unwrap();
        for member in &mut members {
            assert_hears(member, &[round]).await;
        }
    }
}

/// Members join, leave, end and send at the same time: none receives a message twice or out of order, and none is
/// left at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_and_going_under_traffic_leaves_no_gap() {
    let mut house = House::new(2, Settings::default()).await;
    let (mut steady, _) = house.enter(&[]).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let talker = {
        let (room, sent) = (house.room.clone(), Arc::clone(&sent));
        thread::spawn(move || {
            for number in 0..3000 {
                sent.store(number, Ordering::SeqCst);
                room.send(number.to_string());
            }
        })
    };
    let listener = tokio::spawn(async move {
        for number in 0..3000 {
            assert_hears(&mut steady, &[&number.to_string()]).await;
        }
        steady
    });
    while sent.load(Ordering::SeqCst) < 2500 {
        let (mut websocket, session) = house.enter(&[]).await;
        let joined_at = sent.load(Ordering::SeqCst);
        let mut last = None;
        for _ in 0..20 {
            if sent.load(Ordering::SeqCst) > 2900 {
                break;
            }
            let number: usize = recv_text(&mut websocket).await.parse().unwrap();
            assert!(
                last.is_none_or(|last| number == last + 1),
                "{last:?} {number}"
            );
            assert!(
                last.is_some() || number <= joined_at + 1,
                "{joined_at} {number}"
            );
            last = Some(number);
        }
        drop(websocket);
        soon(session.closed()).await;
    }
    let steady = soon(listener).await.unwrap();
    talker.join().unwrap();
    drop(steady);
    soon(async {
        while !house.room.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
