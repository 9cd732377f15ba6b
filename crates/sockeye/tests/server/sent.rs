//! What a session that is counted has sent, in every way in which there is something to send.

use sockeye::{
    CloseCode, Closed, Deflate, Endpoint, Group, Message, MessageKind, Prepared, Reply, Route,
    Sent, Server, ServerHandle, Session, Settings, WebSocket,
};
use tokio::{io::AsyncWriteExt as _, sync::mpsc};

use crate::support::{http2_client, http2_connect, http2_websocket, open, soon};

/// Bytes: in the buffer of a turn, from where they lie, in a write of their own.
const SIZES: [usize; 5] = [0, 125, 126, 5 << 10, 100 << 10];

/// Does what a text says, echoes what is binary, and tells at its end what was sent.
struct Counted {
    room: Group,
    told: mpsc::UnboundedSender<Option<Sent>>,
}

impl Endpoint for Counted {
    fn on_open(&mut self, session: &Session) {
        session.count_sent();
        self.room.join(session);
        // Only a session of no group answers in a turn of its own.
        self.room.leave(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match message.as_text() {
            None => return Reply::Echo,
            Some("join") => self.room.join(session),
            Some("room") => {
                for text in ["one", "three"] {
                    self.room.send(text);
                }
            }
            Some("self") => {
                session.try_send("12345").unwrap();
                session
                    .try_send_prepared(&Prepared::new("1234567"))
                    .unwrap();
                session.ping(b"not counted").unwrap();
            }
            Some(text) => return Reply::Message(text.to_uppercase().into()),
        }
        Reply::None
    }

    fn on_close(&mut self, session: &Session, _: &Closed) {
        let _ = self.told.send(session.sent());
    }
}

async fn start() -> (ServerHandle, mpsc::UnboundedReceiver<Option<Sent>>) {
    let (told, ends) = mpsc::unbounded_channel();
    let (room, for_talk) = (Group::new(), told.clone());
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/counted", move |_request| {
            Ok(Counted {
                room: room.clone(),
                told: told.clone(),
            })
        })
        .mount(Route::conversation("/talk", move |_, websocket| {
            talk(websocket, for_talk.clone())
        }))
        .start()
        .await
        .unwrap();
    (server, ends)
}

/// Echoes in the loop style, and sends a message in parts for each text.
async fn talk(mut websocket: WebSocket, told: mpsc::UnboundedSender<Option<Sent>>) {
    websocket.session().count_sent();
    while let Ok(Some(message)) = websocket.recv().await {
        if let Some(text) = message.as_text() {
            let mut parts = websocket
                .session()
                .send_stream(MessageKind::Binary)
                .await
                .unwrap();
            for part in text.split(' ') {
                parts.write_all(part.as_bytes()).await.unwrap();
                parts.flush().await.unwrap();
            }
            // Waits until the parts are out, and is counted once.
            websocket.session().try_send("behind").unwrap();
            parts.finish().await.unwrap();
        } else {
            websocket.send(message).await.unwrap();
        }
    }
    let _ = told.send(websocket.session().sent());
}

/// Says each of `said`, receives until the payloads of `heard` messages have come, and closes. How many bytes they have.
async fn exchange(websocket: &mut WebSocket, said: Vec<Message<'static>>, heard: usize) -> usize {
    for message in said {
        soon(websocket.send(message)).await.unwrap();
    }
    let mut bytes = 0;
    for _ in 0..heard {
        bytes += soon(websocket.recv()).await.unwrap().unwrap().len();
    }
    websocket.session().close(CloseCode::NORMAL, "enough");
    while soon(websocket.recv()).await.unwrap().is_some() {}
    bytes
}

fn payloads() -> Vec<Message<'static>> {
    let payload = |bytes| Message::from(vec![b'x'; bytes]);
    SIZES.into_iter().map(payload).collect()
}

async fn assert_told(
    ends: &mut mpsc::UnboundedReceiver<Option<Sent>>,
    messages: usize,
    bytes: usize,
) {
    let sent = soon(ends.recv()).await.unwrap().expect("it is counted");
    assert_eq!((sent.messages, sent.bytes), (messages as u64, bytes as u64));
}

#[tokio::test]
async fn replies_are_counted_whatever_their_size() {
    let (server, mut ends) = start().await;
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/counted", &[]).await;
    let mut said = payloads();
    said.extend((0..500).map(|_| Message::from("reply")));
    let heard = said.len();
    let bytes = exchange(&mut websocket, said, heard).await;
    assert_eq!(bytes, SIZES.iter().sum::<usize>() + 500 * "reply".len());
    assert_told(&mut ends, heard, bytes).await;
}

#[tokio::test]
async fn what_a_session_and_its_groups_send_is_counted() {
    let (server, mut ends) = start().await;
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/counted", &[]).await;
    let said = ["room", "join", "self", "room", "reply"].map(Message::from);
    let bytes = exchange(&mut websocket, said.into(), 5).await;
    assert_eq!(bytes, "1234512345677onethreereply".len() - 1);
    assert_told(&mut ends, 5, bytes).await;
}

#[tokio::test]
async fn bytes_are_counted_before_they_are_compressed() {
    let (told, mut ends) = mpsc::unbounded_channel();
    let room = Group::new();
    let mut settings = Settings::default();
    settings.deflate = Some(Deflate::default());
    let server = Server::bind("127.0.0.1:0")
        .settings(settings)
        .route("/counted", move |_request| {
            Ok(Counted {
                room: room.clone(),
                told: told.clone(),
            })
        })
        .start()
        .await
        .unwrap();
    let url = format!("ws://{}/counted", server.local_addrs()[0]);
    let mut websocket = soon(
        sockeye::connect(url)
            .deflate(Deflate::default())
            .into_future(),
    )
    .await
    .unwrap();
    assert!(websocket.session().deflate().is_some());
    let bytes = exchange(&mut websocket, payloads(), SIZES.len()).await;
    assert_told(&mut ends, SIZES.len(), bytes).await;
}

#[tokio::test]
async fn a_conversation_and_a_message_in_parts_are_counted() {
    let (server, mut ends) = start().await;
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/talk", &[]).await;
    let mut said = payloads();
    said.push("12 345".into());
    let heard = said.len() + 1;
    let bytes = exchange(&mut websocket, said, heard).await;
    assert_eq!(bytes, SIZES.iter().sum::<usize>() + "12345behind".len());
    assert_told(&mut ends, heard, bytes).await;
}

#[tokio::test]
async fn over_http2_it_is_counted_too() {
    let (server, mut ends) = start().await;
    let mut client = http2_client(server.local_addrs()[0]).await;
    for path in ["/counted", "/talk"] {
        let response = http2_connect(&mut client, path, &[]).await;
        let mut websocket = http2_websocket(response).await;
        let bytes = exchange(&mut websocket, payloads(), SIZES.len()).await;
        assert_told(&mut ends, SIZES.len(), bytes).await;
    }
}

#[tokio::test]
async fn a_session_that_nobody_wants_counted_is_not() {
    let (server, _ends) = start().await;
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/counted", &[]).await;
    exchange(&mut websocket, payloads(), SIZES.len()).await;
    assert_eq!(websocket.session().sent(), None);
}
