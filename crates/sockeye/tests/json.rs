//! Typed messages over an in-memory stream.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sockeye::{ErrorKind, Message, Role, Settings, WebSocket};
use tokio::io::duplex;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    fish: String,
    count: u32,
}

fn order(count: u32) -> Order {
    Order {
        fish: "sockeye".to_owned(),
        count,
    }
}

fn pair() -> (WebSocket, WebSocket) {
    let (left, right) = duplex(16 << 10);
    let of = |stream, role| WebSocket::from_stream(stream, role, Settings::default()).unwrap();
    (of(left, Role::Server), of(right, Role::Client))
}

#[tokio::test]
async fn values_go_as_text_and_come_back_as_values() {
    let (mut server, mut client) = pair();
    client.send_json(&order(1)).await.unwrap();
    client.session().send_json(&order(2)).await.unwrap();
    client.session().try_send_json(&order(3)).unwrap();
    let text = server.recv().await.unwrap().unwrap();
    assert_eq!(text, Message::from(r#"{"fish":"sockeye","count":1}"#));
    for count in [2, 3] {
        let received: Option<Order> = server.recv_json().await.unwrap();
        assert_eq!(received, Some(order(count)));
    }
    // A binary message is parsed as well.
    server
        .send(br#"{"count":4,"fish":"sockeye"}"#)
        .await
        .unwrap();
    assert_eq!(client.recv_json().await.unwrap(), Some(order(4)));
}

#[tokio::test]
async fn a_message_that_is_not_the_json_asked_for_leaves_the_connection_open() {
    let (mut server, client) = pair();
    client.send(r#"{"fish":"#).await.unwrap();
    client.send(r#"{"fish":7,"count":1}"#).await.unwrap();
    client.send_json(&order(5)).await.unwrap();
    for _ in 0..2 {
        let error = server.recv_json::<Order>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.closed().is_none());
        assert!(std::error::Error::source(&error).is_some());
    }
    assert_eq!(server.recv_json().await.unwrap(), Some(order(5)));
}

#[tokio::test]
async fn a_value_that_does_not_become_json_is_not_sent() {
    let (mut server, client) = pair();
    let keys_are_not_strings = HashMap::from([((1, 2), 3)]);
    let error = client.send_json(&keys_are_not_strings).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let error = client.session().try_send_json(&keys_are_not_strings);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidData);
    client.send("next").await.unwrap();
    let received = server.recv().await.unwrap().unwrap();
    assert_eq!(received.as_text(), Some("next"));
}

#[tokio::test]
async fn after_the_end_there_is_no_value_and_nothing_is_sent() {
    let (mut server, client) = pair();
    drop(client);
    assert_eq!(server.recv_json::<Order>().await.unwrap(), None);
    let error = server.send_json(&order(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
