//! How `recv` reports the end of a connection: `None` after a normal one, an error with its `Closed` after any other.

mod in_memory;

use std::io;

use in_memory::server_and_wire;
use sockeye::{CloseCode, Error, ErrorKind, Message, MessageKind, Role, Settings, Side, WebSocket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

const NORMAL: [CloseCode; 3] = [
    CloseCode::NORMAL,
    CloseCode::GOING_AWAY,
    // Makes a Close frame without a code.
    CloseCode::NO_STATUS,
];

fn failures() -> impl Iterator<Item = CloseCode> {
    let codes = [1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4999];
    codes.into_iter().map(CloseCode::new)
}

/// Returns a WebSocket of `role`, and its peer.
fn pair(role: Role) -> (WebSocket, WebSocket) {
    let (left, right) = duplex(64 << 10);
    let websocket = WebSocket::from_stream(left, role, Settings::default()).unwrap();
    let peer = WebSocket::from_stream(right, role.peer(), Settings::default()).unwrap();
    (websocket, peer)
}

/// Receives until the end, as programs do. The error is how the conversation ended.
async fn conversation(websocket: &mut WebSocket) -> Result<Vec<Message<'static>>, Error> {
    let mut received = Vec::new();
    while let Some(message) = websocket.recv().await? {
        received.push(message);
    }
    Ok(received)
}

#[tokio::test]
async fn a_loop_ends_quietly_after_a_normal_close() {
    for role in [Role::Server, Role::Client] {
        for code in NORMAL {
            let (mut websocket, peer) = pair(role);
            peer.send("last words").await.unwrap();
            peer.session().close(code, "");
            let received = conversation(&mut websocket).await.unwrap();
            assert_eq!(received, ["last words".into()]);
            assert_eq!(websocket.closed().unwrap().code, code);
        }
    }
}

#[tokio::test]
async fn a_loop_fails_once_after_any_other_close_of_the_peer() {
    for role in [Role::Server, Role::Client] {
        for code in failures() {
            let (mut websocket, peer) = pair(role);
            peer.send("last words").await.unwrap();
            peer.session().close(code, "because");
            let message = websocket.recv().await.unwrap();
            assert_eq!(message, Some("last words".into()));
            let error = websocket.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            let closed = error.closed().unwrap();
            assert_eq!(
                (closed.code, closed.reason.as_str(), closed.by),
                (code, "because", Side::Peer)
            );
            assert_eq!(Some(closed), websocket.closed().as_ref());
            let text = format!("closed by the peer with {code} (because)");
            assert_eq!(error.to_string(), text);
            assert_eq!(websocket.recv().await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_loop_fails_after_a_close_of_our_own_that_is_not_normal() {
    for role in [Role::Server, Role::Client] {
        let (mut websocket, mut peer) = pair(role);
        websocket
            .session()
            .close(CloseCode::POLICY_VIOLATION, "not you");
        let (ours, theirs) = tokio::join!(websocket.recv(), peer.recv());
        for (error, by) in [(ours, Side::Us), (theirs, Side::Peer)] {
            let error = error.unwrap_err();
            let closed = error.closed().unwrap();
            assert_eq!((closed.code, closed.by), (CloseCode::POLICY_VIOLATION, by));
        }
    }
}

#[tokio::test]
async fn a_failure_of_the_peer_that_crosses_our_normal_close_is_reported() {
    let (mut server, mut wire) = server_and_wire();
    // 1011, masked with the key 0, comes before the server sends its own Close frame.
    wire.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf3])
        .await
        .unwrap();
    server.session().close(CloseCode::NORMAL, "");
    let error = server.recv().await.unwrap_err();
    let closed = error.closed().unwrap();
    assert_eq!(
        (closed.code, closed.received),
        (CloseCode::NORMAL, Some(CloseCode::INTERNAL_ERROR))
    );
}

#[tokio::test]
async fn every_error_of_a_loop_tells_how_it_ended() {
    let unmasked = &[0x81, 0x01, b'a'][..];
    let too_big = &[0x82, 0xff, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0][..];
    for (bytes, kind, code, by) in [
        (
            unmasked,
            ErrorKind::Protocol,
            CloseCode::PROTOCOL_ERROR,
            Side::Us,
        ),
        (
            too_big,
            ErrorKind::Limit,
            CloseCode::MESSAGE_TOO_BIG,
            Side::Us,
        ),
        (&[], ErrorKind::Io, CloseCode::ABNORMAL, Side::Network),
    ] {
        let (mut server, mut wire) = server_and_wire();
        wire.write_all(bytes).await.unwrap();
        wire.shutdown().await.unwrap();
        let error = conversation(&mut server).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let closed = error.closed().unwrap();
        assert_eq!((closed.code, closed.by), (code, by));
        assert_eq!(server.recv().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_stream_of_messages_fails_after_a_close_that_is_not_normal() {
    for role in [Role::Server, Role::Client] {
        let (mut websocket, peer) = pair(role);
        peer.session().close(CloseCode::INTERNAL_ERROR, "");
        let error = websocket.recv_stream().await.unwrap_err();
        assert_eq!(error.closed().unwrap().code, CloseCode::INTERNAL_ERROR);
        assert!(websocket.recv_stream().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_reader_whose_message_is_cut_off_tells_how_the_connection_ended() {
    for code in [CloseCode::INTERNAL_ERROR, CloseCode::GOING_AWAY] {
        let (mut websocket, peer) = pair(Role::Client);
        let mut writer = peer.send_stream(MessageKind::Binary).await.unwrap();
        writer.write_all(b"half").await.unwrap();
        writer.flush().await.unwrap();
        let mut reader = websocket.recv_stream().await.unwrap().unwrap();
        let mut received = [0; 4];
        reader.read_exact(&mut received).await.unwrap();
        peer.session().close(code, "");
        let error = reader.read(&mut received).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let inner = error.into_inner().unwrap().downcast::<Error>().unwrap();
        assert_eq!(inner.closed().unwrap().code, code);
        drop(reader);
        let next = websocket.recv().await;
        assert_eq!(next.is_err(), code == CloseCode::INTERNAL_ERROR);
    }
}

#[tokio::test]
async fn sending_after_the_end_tells_how_it_ended() {
    let (mut websocket, peer) = pair(Role::Client);
    peer.session().close(CloseCode::TRY_AGAIN_LATER, "full");
    websocket.recv().await.unwrap_err();
    let error = websocket.send("too late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.closed().unwrap().code, CloseCode::TRY_AGAIN_LATER);
}

#[tokio::test]
async fn an_observer_that_panics_ends_its_own_connection_with_1011() {
    let (mut server, mut wire) = server_and_wire();
    let (mut neighbour, other) = pair(Role::Server);
    server.on_control(|frame| panic!("told to, by {frame:?}"));
    // No task is in `recv`, so one drive queue drives both connections.
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    wire.write_all(&ping).await.unwrap();
    let mut answer = [0; 6];
    wire.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x8a, 0, 0x88, 2, 0x03, 0xf3]);
    let error = server.recv().await.unwrap_err();
    assert_eq!(
        error.closed().map(|closed| (closed.code, closed.by)),
        Some((CloseCode::INTERNAL_ERROR, Side::Us))
    );
    other.send("unharmed").await.unwrap();
    assert_eq!(neighbour.recv().await.unwrap(), Some("unharmed".into()));
}
