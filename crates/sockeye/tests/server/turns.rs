//! Many messages in one read: the endpoint's answers, its own sends and those of groups leave in the order in which
//! the endpoint made them.

use std::thread;

use sockeye::{CloseCode, Endpoint, Group, Message, Reply, Server, ServerHandle, Session};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{soon, upgraded};

/// Carries out what the message says: its first letter is one of [`ORDERS`].
struct OrderEndpoint {
    group: Group,
}

/// All orders after which the session continues; `p` is for the peer itself, which sends a ping.
const ORDERS: &[u8] = b"emsltbgop";

/// Bytes of a message that is too large for a batch.
const LARGE: usize = 100_000;

impl Endpoint for OrderEndpoint {
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        match message.as_bytes()[0] {
            b'e' => Reply::Echo,
            b'm' => Reply::Message("m".into()),
            b's' => {
                session.try_send("s").unwrap();
                Reply::Echo
            }
            b'l' => {
                session.try_send(&[b'l'; LARGE][..]).unwrap();
                Reply::Echo
            }
            b't' => {
                let session = session.clone();
                thread::spawn(move || session.try_send("t").unwrap())
                    .join()
                    .unwrap();
                Reply::Echo
            }
            b'b' => Reply::Message(vec![b'b'; LARGE].into()),
            b'g' => {
                self.group.join(session);
                self.group.send("g");
                Reply::Echo
            }
            b'o' => {
                session.try_send("o").unwrap();
                Reply::None
            }
            b'c' => {
                session.close(CloseCode::NORMAL, "");
                Reply::Echo
            }
            b'C' => Reply::Close(CloseCode::NORMAL, String::new()),
            _ => panic!("on purpose"),
        }
    }
}

/// Returns what must come back for an order.
fn expected(order: u8) -> Vec<u8> {
    let echo = frame(&[order]);
    match order {
        b'e' | b'm' | b'o' => echo,
        b's' | b't' | b'g' => [&echo[..], &echo].concat(),
        b'l' => [frame(&[b'l'; LARGE]), echo].concat(),
        b'b' => frame(&[b'b'; LARGE]),
        b'p' => vec![0x8A, 0],
        b'c' | b'C' => b"\x88\x02\x03\xe8".to_vec(),
        _ => b"\x88\x02\x03\xf3".to_vec(),
    }
}

/// Returns the frame of a message with this payload: a large one is binary, the others are texts.
fn frame(payload: &[u8]) -> Vec<u8> {
    match payload {
        [_] => vec![0x81, 1, payload[0]],
        _ => [
            &[0x82, 127][..],
            &(payload.len() as u64).to_be_bytes(),
            payload,
        ]
        .concat(),
    }
}

/// Returns the frames of all orders, masked with zeros.
fn batch(orders: &[u8]) -> Vec<u8> {
    let frames = orders.iter().map(|&order| match order {
        b'p' => vec![0x89, 0x80, 0, 0, 0, 0],
        _ => vec![0x81, 0x81, 0, 0, 0, 0, order],
    });
    frames.collect::<Vec<_>>().concat()
}

async fn start() -> ServerHandle {
    let factory = |_: &sockeye::Request| {
        Ok(OrderEndpoint {
            group: Group::new(),
        })
    };
    Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/", factory)
        .start()
        .await
        .unwrap()
}

async fn assert_answers(peer: &mut TcpStream, orders: &[u8]) {
    let expected: Vec<u8> = orders.iter().copied().flat_map(expected).collect();
    let mut answers = vec![0; expected.len()];
    peer.write_all(&batch(orders)).await.unwrap();
    let read = soon(peer.read_exact(&mut answers)).await;
    let told = String::from_utf8_lossy(orders);
    assert!(read.is_ok(), "{told}: {read:?}");
    assert!(answers == expected, "{told}: in another order");
}

#[tokio::test]
async fn answers_and_sends_leave_in_the_order_in_which_they_were_made() {
    let server = start().await;
    for first in ORDERS {
        for second in ORDERS {
            let mut peer = upgraded(server.local_addrs()[0]).await;
            for third in ORDERS {
                assert_answers(&mut peer, &[*first, *second, *third, b'e']).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_answered_before_the_end_leaves_before_it() {
    let server = start().await;
    for end in *b"cCx" {
        for before in ORDERS {
            let mut peer = upgraded(server.local_addrs()[0]).await;
            let orders = [b'e', *before, b'e', end, b'e', b'm', b'b'];
            let expected: Vec<u8> = orders[..4].iter().copied().flat_map(expected).collect();
            peer.write_all(&batch(&orders)).await.unwrap();
            let mut answers = Vec::new();
            // After the Close frame of a server that reads on, the peer's own must come.
            if end != b'x' {
                peer.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
            }
            soon(peer.read_to_end(&mut answers)).await.unwrap();
            let told = String::from_utf8_lossy(&orders);
            assert!(answers == expected, "{told}: {} bytes", answers.len());
        }
    }
}
