//! Other libraries, each driven in the way that costs it least.

use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio_util::codec::Decoder as _;

use crate::{
    story::Story,
    stream::{Memory, run},
};

/// What [`receive`] knows.
pub(crate) const NAMES: [&str; 7] = [
    "fastwebsockets",
    "sockudo-ws",
    "tokio-websockets",
    "tungstenite",
    "wtx",
    "yawc",
    "yawc-codec",
];

/// Reads all; bytes of payload.
pub(crate) fn receive(peer: &str, story: &Story, rounds: usize) -> usize {
    match peer {
        "fastwebsockets" => run(fastwebsockets(story, rounds)),
        "sockudo-ws" => sockudo_ws(story, rounds),
        "tokio-websockets" => run(tokio_websockets(story, rounds)),
        "tungstenite" => tungstenite(story, rounds),
        "wtx" => run(wtx(story, rounds)),
        "yawc" => run(yawc(story, rounds)),
        "yawc-codec" => yawc_codec(story, rounds),
        _ => panic!("no such library: {peer}"),
    }
}

async fn fastwebsockets(story: &Story, rounds: usize) -> usize {
    use fastwebsockets::{FragmentCollector, Role, WebSocket};
    let stream = Memory::new(&story.wire, rounds);
    let mut websocket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    let mut read = 0;
    for _ in 0..rounds * story.frames {
        read += websocket
            .read_frame()
            .await
            .expect("right bytes")
            .payload
            .len();
    }
    read
}

/// Its decoder without its stream.
fn sockudo_ws(story: &Story, rounds: usize) -> usize {
    use sockudo_ws::{Role, protocol::Protocol};
    let mut protocol = Protocol::new(Role::Server, 16 << 20, 16 << 20);
    let (mut buffer, mut messages) = (BytesMut::with_capacity(64 << 10), Vec::new());
    let mut read = 0;
    for _ in 0..rounds {
        buffer.extend_from_slice(&story.wire);
        protocol
            .process_into(&mut buffer, &mut messages)
            .expect("right bytes");
        read += messages
            .drain(..)
            .map(|message| message.as_bytes().len())
            .sum::<usize>();
    }
    read
}

async fn tokio_websockets(story: &Story, rounds: usize) -> usize {
    let stream = Memory::new(&story.wire, rounds);
    let mut websocket = tokio_websockets::ServerBuilder::new().serve(stream);
    let mut read = 0;
    for _ in 0..rounds * story.frames {
        let message = websocket.next().await.expect("more").expect("right bytes");
        read += message.as_payload().len();
    }
    read
}

fn tungstenite(story: &Story, rounds: usize) -> usize {
    use tungstenite::{WebSocket, protocol::Role};
    let stream = Memory::new(&story.wire, rounds);
    let mut websocket = WebSocket::from_raw_socket(stream, Role::Server, None);
    let mut read = 0;
    for _ in 0..rounds * story.frames {
        read += websocket.read().expect("right bytes").len();
    }
    read
}

async fn wtx(story: &Story, rounds: usize) -> usize {
    use wtx::{
        collection::Vector,
        rng::Xorshift64,
        web_socket::{WebSocket, WebSocketBuffer, WebSocketPayloadOrigin},
    };
    let stream = Memory::new(&story.wire, rounds);
    let mut websocket = WebSocket::<_, _, _, _, false>::new(
        (),
        false,
        Xorshift64::from(7),
        stream,
        WebSocketBuffer::new(),
    );
    let mut buffer = Vector::new();
    let mut read = 0;
    for _ in 0..rounds * story.frames {
        let frame = websocket
            .read_frame(&mut buffer, WebSocketPayloadOrigin::Adaptive)
            .await;
        read += frame.expect("right bytes").payload().len();
    }
    read
}

async fn yawc(story: &Story, rounds: usize) -> usize {
    use yawc::{Options, Role, WebSocket};
    let stream = Memory::new(&story.wire, rounds);
    let options = Options::default().with_utf8();
    let mut websocket =
        WebSocket::from_stream(stream, Role::Server, options).expect("right options");
    let mut read = 0;
    for _ in 0..rounds * story.frames {
        read += websocket
            .next_frame()
            .await
            .expect("right bytes")
            .payload()
            .len();
    }
    read
}

/// Its decoder without its stream: frames, not messages, and text unchecked.
fn yawc_codec(story: &Story, rounds: usize) -> usize {
    use yawc::{Role, codec::Decoder};
    let mut decoder = Decoder::new(Role::Server, 16 << 20);
    let mut buffer = BytesMut::with_capacity(64 << 10);
    let mut read = 0;
    for _ in 0..rounds {
        buffer.extend_from_slice(&story.wire);
        while let Some(frame) = decoder.decode(&mut buffer).expect("right bytes") {
            read += frame.payload().len();
        }
    }
    read
}
