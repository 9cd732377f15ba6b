//! Socket.IO in memory, with a clock that the tests move. Where a test keeps an error that another server once made, it names the report.

mod polling_client;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use polling_client::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockeye::{
    Server,
    socketio::{
        AnyArgs, Attachment, CallError, ConnectRefusal, DisconnectReason, EmitError, JoinError,
        Namespace, Socket, SocketIo, SocketIoSettings, TestClient,
    },
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, timeout},
};

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), future)
        .await
        .expect("it takes too long")
}

async fn next(client: &mut TestClient) -> String {
    soon(client.next()).await.unwrap().expect("a packet")
}

/// Connects a client to a namespace. Returns it and its id.
async fn joined(server: &sockeye::socketio::InMemory, namespace: &str) -> (TestClient, String) {
    let mut client = server.connect().unwrap();
    let id = join(&mut client, namespace).await;
    (client, id)
}

async fn join(client: &mut TestClient, namespace: &str) -> String {
    let answer = soon(client.join(namespace, "")).await.unwrap().unwrap();
    let json = answer.split_once('{').expect("an object").1;
    let object: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
    let fields = object.as_object().unwrap();
    assert_eq!(fields.len(), 1, "{answer}");
    fields["sid"].as_str().unwrap().to_owned()
}

/// Waits for the server to close the connection. Returns the code.
async fn closed(client: &mut TestClient) -> u16 {
    while let Ok(Some(_)) = soon(client.next()).await {}
    client.closed().expect("an end").code.into()
}

fn open<S: Send + Sync + 'static>(name: &str, state: fn() -> S) -> Namespace<S> {
    Namespace::new(name, move |_| async move { Ok(state()) })
}

/// Sends back what it gets, and reports ends.
fn echo(name: &str) -> (Namespace<()>, UnboundedReceiver<DisconnectReason>) {
    let (reports, reasons) = unbounded_channel();
    let namespace = open(name, || ())
        .on("echo", |socket, args: AnyArgs| async move {
            socket.emit("back", args).unwrap();
        })
        .on("ack", |_, args: AnyArgs| async move { args })
        .on("leave", |socket, ()| async move { socket.disconnect() })
        .disconnected(move |_, reason| {
            let reports: UnboundedSender<_> = reports.clone();
            async move {
                let _ = reports.send(reason);
            }
        });
    (namespace, reasons)
}

#[tokio::test(start_paused = true)]
async fn an_event_has_typed_arguments_and_what_the_handler_returns_is_the_ack() {
    #[derive(Deserialize, Serialize)]
    struct Point {
        x: i32,
        y: i32,
    }
    let namespace = open("/", || 7)
        .on(
            "move",
            |socket: Socket<i32>, (point, by): (Point, i32)| async move {
                let state = *socket.state();
                (
                    Point {
                        x: point.x + by,
                        y: point.y,
                    },
                    state,
                )
            },
        )
        .on("nothing", |_, ()| async {})
        .on("one", |_, (list,): (Vec<i32>,)| async move { (list,) });
    let server = SocketIo::new().namespace(namespace).in_memory();
    let (mut client, _) = joined(&server, "/").await;
    client
        .send("21[\"move\",{\"x\":1,\"y\":2},3]")
        .await
        .unwrap();
    assert_eq!(next(&mut client).await, "31[{\"x\":4,\"y\":2},7]");
    client.send("22[\"nothing\"]").await.unwrap();
    assert_eq!(next(&mut client).await, "32[]");
    // Without a number no ack is asked for; other arguments and unknown events are left out.
    for packet in [
        "2[\"one\",[1]]",
        "23[\"one\",\"a\"]",
        "24[\"unknown\"]",
        "25[\"one\",[1,2]]",
    ] {
        client.send(packet).await.unwrap();
    }
    assert_eq!(next(&mut client).await, "35[[1,2]]");
}

#[tokio::test(start_paused = true)]
async fn attachments_come_and_go_beside_their_event() {
    let (mut namespace, _reasons) = echo("/");
    namespace = namespace.on("size", |_, (data,): (Attachment,)| async move {
        (data.0.len(), Attachment(Bytes::from_static(b"answer")))
    });
    let server = SocketIo::new().namespace(namespace).in_memory();
    let (mut client, _) = joined(&server, "/").await;
    client
        .send("51-9[\"size\",{\"_placeholder\":true,\"num\":0}]")
        .await
        .unwrap();
    client.send_attachment(b"four").await.unwrap();
    assert_eq!(
        next(&mut client).await,
        "61-9[4,{\"_placeholder\":true,\"num\":0}]"
    );
    assert_eq!(next(&mut client).await, "banswer");
    let packet =
        "52-[\"echo\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]";
    client.send(packet).await.unwrap();
    client.send_attachment(b"0").await.unwrap();
    client.send_attachment(b"1").await.unwrap();
    assert_eq!(next(&mut client).await, packet.replace("echo", "back"));
    assert_eq!(next(&mut client).await, "b0");
    assert_eq!(next(&mut client).await, "b1");
}

#[tokio::test(start_paused = true)]
async fn what_no_client_may_send_closes_the_connection_and_the_process_lives() {
    // GHSA-273r-mgr4-v34f, GHSA-q9mw-68c2-j6m5, CVE-2022-41940: a packet ended the process.
    let (namespace, mut reasons) = echo("/");
    let server = SocketIo::new().namespace(namespace).in_memory();
    let (mut other, _) = joined(&server, "/").await;
    for packet in [
        "abc",
        "2{}",
        "2abc[\"echo\"]",
        "511-[\"echo\"]",
        "50-[\"echo\"]",
        "51-[\"echo\",{\"_placeholder\":true,\"num\":1}]",
        "2[\"disconnect\"]",
        "2/never,[\"echo\"]",
        "1/never,",
        "0",
        "4{\"message\":\"a\"}",
    ] {
        let (mut client, _) = joined(&server, "/").await;
        client.send(packet).await.unwrap();
        assert_eq!(closed(&mut client).await, 1002, "{packet}");
        let reason = soon(reasons.recv()).await.unwrap();
        assert!(
            matches!(reason, DisconnectReason::Connection(_)),
            "{packet}: {reason:?}"
        );
    }
    let (mut client, _) = joined(&server, "/").await;
    client
        .send_attachment(b"nothing has announced it")
        .await
        .unwrap();
    assert_eq!(closed(&mut client).await, 1002);
    // The first packet connects.
    let mut client = server.connect().unwrap();
    client.send("2[\"echo\"]").await.unwrap();
    assert_eq!(closed(&mut client).await, 1002);
    other.send("2[\"echo\",1]").await.unwrap();
    assert_eq!(next(&mut other).await, "2[\"back\",1]");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_connects_to_no_namespace_is_closed_after_its_time() {
    let (namespace, _reasons) = echo("/");
    let server = SocketIo::new().namespace(namespace).in_memory();
    let began = Instant::now();
    let mut client = server.connect().unwrap();
    let refused = soon(client.join("/unknown", "")).await.unwrap().unwrap();
    assert_eq!(refused, "4/unknown,{\"message\":\"Invalid namespace\"}");
    assert_eq!(closed(&mut client).await, 1008);
    assert_eq!(began.elapsed().as_secs(), 45);
    // One that has left its last namespace isn't.
    let (mut client, _) = joined(&server, "/").await;
    client.send("1").await.unwrap();
    sleep(Duration::from_secs(100)).await;
    join(&mut client, "/").await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_a_message_and_data_and_the_connection_goes_on() {
    // socketioxide#417, socket.io#4988: what a check had to say got lost.
    #[derive(Deserialize)]
    struct Auth {
        token: String,
    }
    let namespace = Namespace::new("/", |request| async move {
        let auth: Result<Auth, _> = request.auth();
        match auth {
            Ok(auth) if auth.token == "good" => Ok(()),
            Ok(_) => Err(ConnectRefusal::new("wrong").with_data(json!({ "code": 7 }))),
            Err(_) => Err(ConnectRefusal::new("no token")),
        }
    });
    let server = SocketIo::new().namespace(namespace).in_memory();
    let mut client = server.connect().unwrap();
    for (auth, answer) in [
        ("", "4{\"message\":\"no token\"}"),
        (
            "{\"token\":\"bad\"}",
            "4{\"data\":{\"code\":7},\"message\":\"wrong\"}",
        ),
    ] {
        let answered = soon(client.join("/", auth)).await.unwrap().unwrap();
        let (answered, answer): (Value, Value) = (
            serde_json::from_str(&answered[1..]).unwrap(),
            serde_json::from_str(&answer[1..]).unwrap(),
        );
        assert_eq!(answered, answer);
    }
    let answer = soon(client.join("/", "{\"token\":\"good\"}"))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("0{\"sid\":"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn namespaces_share_a_connection_and_end_one_by_one() {
    let (main, _reasons) = echo("/");
    let (custom, mut reasons) = echo("/custom");
    let server = SocketIo::new()
        .namespace(main)
        .namespace(custom)
        .in_memory();
    let (mut client, first) = joined(&server, "/").await;
    let second = join(&mut client, "/custom").await;
    assert_ne!(first, second);
    client.send("2/custom,1[\"ack\",1]").await.unwrap();
    assert_eq!(next(&mut client).await, "3/custom,1[1]");
    client.send("1/custom,").await.unwrap();
    assert_eq!(soon(reasons.recv()).await, Some(DisconnectReason::Client));
    // What was on its way is ignored.
    client.send("2/custom,[\"echo\"]").await.unwrap();
    client.send("2[\"echo\"]").await.unwrap();
    assert_eq!(next(&mut client).await, "2[\"back\"]");
    // The program ends one, and the client may come back.
    join(&mut client, "/custom").await;
    client.send("2/custom,[\"leave\"]").await.unwrap();
    assert_eq!(next(&mut client).await, "1/custom,");
    client.send("2/custom,[\"echo\"]").await.unwrap();
    join(&mut client, "/custom").await;
    assert_eq!(soon(reasons.recv()).await, Some(DisconnectReason::Server));
}

#[tokio::test(start_paused = true)]
async fn namespaces_of_a_connection_are_limited() {
    // socket.io#4772, #4602: a client made as many as it wished.
    let any = Namespace::dynamic(|name| name.starts_with("/d"), |_| async { Ok(()) });
    let settings = SocketIoSettings::default()
        .with_namespaces_max(2)
        .with_dynamic_namespaces_max(3);
    let server = SocketIo::new()
        .namespace(any)
        .settings(settings)
        .in_memory();
    let (mut client, _) = joined(&server, "/d1").await;
    join(&mut client, "/d2").await;
    client.send("0/d3,").await.unwrap();
    assert_eq!(closed(&mut client).await, 1002);
    // Those without sockets are forgotten, so that there is room for others.
    let (mut first, _) = joined(&server, "/d3").await;
    join(&mut first, "/d4").await;
    let (mut second, _) = joined(&server, "/d5").await;
    let refused = soon(second.join("/d6", "")).await.unwrap().unwrap();
    assert_eq!(refused, "4/d6,{\"message\":\"Invalid namespace\"}");
    first.send("1/d3,").await.unwrap();
    first.send("0/d6,").await.unwrap();
    assert!(next(&mut first).await.starts_with("0/d6,"));
}

#[tokio::test(start_paused = true)]
async fn handlers_of_a_connection_run_in_order_and_acks_pass_them() {
    // python-socketio#382, #284, socket.io-client#1374: the order of events was lost.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let slow = Arc::clone(&seen);
    let namespace = open("/", || ())
        .on("wait", move |_, (number,): (u64,)| {
            let seen = Arc::clone(&slow);
            async move {
                sleep(Duration::from_millis(100 - number * 10)).await;
                seen.lock().unwrap().push(number);
                number
            }
        })
        .on("ask", |socket: Socket<()>, ()| async move {
            let answer = socket
                .call::<(u32,)>("question", (1,), Duration::from_secs(5))
                .await;
            answer.unwrap()
        });
    let server = SocketIo::new().namespace(namespace).in_memory();
    let (mut client, _) = joined(&server, "/").await;
    for number in 0..9 {
        client
            .send(&format!("2{number}[\"wait\",{number}]"))
            .await
            .unwrap();
    }
    for number in 0..9 {
        assert_eq!(next(&mut client).await, format!("3{number}[{number}]"));
    }
    assert_eq!(*seen.lock().unwrap(), (0..9).collect::<Vec<_>>());
    client.send("29[\"ask\"]").await.unwrap();
    client.send("210[\"wait\",1]").await.unwrap();
    assert_eq!(next(&mut client).await, "20[\"question\",1]");
    // An answer that nobody waits for is ignored, and so is a second one.
    for packet in ["377[1]", "30[42]", "30[43]"] {
        client.send(packet).await.unwrap();
    }
    assert_eq!(next(&mut client).await, "39[42]");
    assert_eq!(next(&mut client).await, "310[1]");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_time_or_its_socket_and_leaves_nothing() {
    // socket.io#3494: calls without an answer stayed for ever. socketioxide#708: an answer that came before its place was lost.
    let (sockets, mut connected) = unbounded_channel();
    let namespace = open("/", || ()).connected(move |socket| {
        let _ = sockets.send(socket);
        async {}
    });
    let settings = SocketIoSettings::default().with_waiting_acks_max(2);
    let server = SocketIo::new()
        .namespace(namespace)
        .settings(settings)
        .in_memory();
    let (client, _) = joined(&server, "/").await;
    let socket: Socket<()> = soon(connected.recv()).await.unwrap();
    let call = || socket.call::<()>("question", (), Duration::from_secs(3));
    let began = Instant::now();
    for _ in 0..3 {
        assert!(matches!(call().await, Err(CallError::TimedOut)));
    }
    assert_eq!(began.elapsed().as_secs(), 9);
    let (first, second, third) = tokio::join!(call(), call(), call());
    assert!(matches!(third, Err(CallError::TooManyCalls)));
    assert!(matches!(
        (first, second),
        (Err(CallError::TimedOut), Err(CallError::TimedOut))
    ));
    let (ended, ()) = tokio::join!(
        socket.call::<()>("question", (), Duration::from_secs(3600)),
        async { drop(client) }
    );
    assert!(matches!(ended, Err(CallError::Disconnected)));
    assert!(matches!(call().await, Err(CallError::Disconnected)));
    assert!(matches!(
        socket.emit("event", ()),
        Err(EmitError::Disconnected)
    ));
    assert_eq!(socket.join("room"), Err(JoinError::Disconnected));
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_for_rooms_and_its_choice_stays_behind_for_no_other() {
    // socket.io#3431, #2996: a choice of rooms was kept for the next event.
    let namespace = open("/", || ())
        .on(
            "join",
            |socket: Socket<()>, (room,): (String,)| async move {
                socket.join(&room).unwrap();
            },
        )
        .on(
            "say",
            |socket: Socket<()>, (room, text): (String, String)| async move {
                socket.to(&room).emit("said", (text,)).unwrap()
            },
        )
        .on("all", |socket: Socket<()>, ()| async move {
            socket.broadcast().emit("said", ("all",)).unwrap()
        });
    let socketio = SocketIo::new().namespace(namespace);
    let handle = socketio.handle("/").unwrap();
    let server = socketio.in_memory();
    let (mut ann, ann_id) = joined(&server, "/").await;
    let (mut bob, _) = joined(&server, "/").await;
    let (mut eve, _) = joined(&server, "/").await;
    for client in [&mut ann, &mut bob] {
        client.send("21[\"join\",\"room\"]").await.unwrap();
        assert_eq!(next(client).await, "31[]");
    }
    ann.send("22[\"say\",\"room\",\"hello\"]").await.unwrap();
    assert_eq!(next(&mut ann).await, "32[1]");
    assert_eq!(next(&mut bob).await, "2[\"said\",\"hello\"]");
    ann.send("23[\"all\"]").await.unwrap();
    assert_eq!(next(&mut ann).await, "33[2]");
    assert_eq!(next(&mut bob).await, "2[\"said\",\"all\"]");
    assert_eq!(next(&mut eve).await, "2[\"said\",\"all\"]");
    assert_eq!(
        handle.all().except("room").emit("said", ("eve",)).unwrap(),
        1
    );
    assert_eq!(next(&mut eve).await, "2[\"said\",\"eve\"]");
    assert_eq!(
        handle
            .to("room")
            .to(&ann_id)
            .emit("said", ("both",))
            .unwrap(),
        2
    );
    assert_eq!(next(&mut ann).await, "2[\"said\",\"both\"]");
    handle.to("room").leave("room");
    assert!(handle.to("room").is_empty());
    handle.all().except(&ann_id).disconnect();
    assert_eq!(handle.len(), 1);
    assert_eq!(next(&mut eve).await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_told_of_and_a_broadcast_closes_it() {
    let (sockets, mut connected) = unbounded_channel();
    let namespace = open("/", || ()).connected(move |socket| {
        let _ = sockets.send(socket);
        async {}
    });
    let socketio = SocketIo::new().namespace(namespace);
    let handle = socketio.handle("/").unwrap();
    let server = socketio.in_memory();
    let (mut client, _) = joined(&server, "/").await;
    let socket: Socket<()> = soon(connected.recv()).await.unwrap();
    let large = "x".repeat(100_000);
    let mut sent = 0;
    while socket.emit("large", (&large,)).is_ok() {
        sent += 1;
        assert!(sent < 100, "the outbox has no limit");
    }
    assert!(matches!(
        socket.emit("large", (&large,)),
        Err(EmitError::Full)
    ));
    // socket.io#3919: a volatile event is left out with its attachments.
    let data = Attachment(Bytes::from_static(b"data"));
    socket.emit_volatile("position", (&data,)).unwrap();
    assert_eq!(handle.all().emit("large", (&large,)).unwrap(), 0);
    let mut received = 0;
    while let Ok(Some(packet)) = soon(client.next()).await {
        assert!(packet.starts_with("2[\"large\","), "{packet:.30}");
        received += 1;
    }
    assert_eq!(
        (received, u16::from(client.closed().unwrap().code)),
        (sent, 1013)
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_amid_its_connect_handler_leaves_nothing() {
    // socketioxide#399, #627, socket.io#4380, #4129, #3134.
    let namespace = Namespace::new("/", |_| async {
        sleep(Duration::from_secs(10)).await;
        Ok(())
    });
    let socketio = SocketIo::new().namespace(namespace);
    let handle = socketio.handle("/").unwrap();
    let server = socketio.in_memory();
    let client = server.connect().unwrap();
    client.send("0").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    drop(client);
    sleep(Duration::from_secs(60)).await;
    assert!(handle.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_closes_its_own_connection_alone() {
    let namespace = open("/", || ())
        .on("panic", |_, (why,): (String,)| async move {
            assert!(why.is_empty(), "the handler panics, as the test wants");
        })
        .on("ack", |_, args: AnyArgs| async move { args });
    let socketio = SocketIo::new().namespace(namespace);
    let handle = socketio.handle("/").unwrap();
    let server = Server::unbound().socketio("/socket.io", socketio);
    let client = Client::new(server.start().await.unwrap());
    let path = "/socket.io/?EIO=4&transport=websocket";
    let text = async |websocket: &mut sockeye::WebSocket| {
        let message = soon(websocket.recv()).await.unwrap().expect("a message");
        message.as_text().expect("text").to_owned()
    };
    let mut websockets = Vec::new();
    for _ in 0..2 {
        let mut websocket = client.websocket(path).await;
        assert!(text(&mut websocket).await.starts_with("0{"));
        websocket.send("40").await.unwrap();
        assert!(text(&mut websocket).await.starts_with("40{\"sid\":"));
        websockets.push(websocket);
    }
    assert_eq!(handle.len(), 2);
    websockets[0].send("42[\"panic\",\"x\"]").await.unwrap();
    assert!(soon(websockets[0].recv()).await.is_err());
    assert_eq!(handle.len(), 1);
    websockets[1].send("421[\"ack\",1]").await.unwrap();
    assert_eq!(text(&mut websockets[1]).await, "431[1]");
}
