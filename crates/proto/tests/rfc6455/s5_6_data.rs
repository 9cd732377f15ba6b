//! RFC 6455 sections 5.6 and 5.7: text, binary, and the examples.

use sockeye_proto::{Message, Role};

use crate::story::{Seen, Setting, hex, in_each_role, receive, receive_frames};

#[test]
fn client_reads_the_examples() {
    receive(Role::Client, "81 05 48656c6c6f").saw(&[Seen::Text("Hello".into())]);
    receive(Role::Client, "01 03 48656c 80 02 6c6f").saw(&[Seen::Text("Hello".into())]);
    for (head, bytes) in [("82 7e 0100", 256), ("82 7f 0000000000010000", 65_536)] {
        let payload = vec![0x55; bytes];
        Setting::new(Role::Client)
            .receive(&[hex(head), payload.clone()].concat())
            .saw(&[Seen::Binary(payload)]);
    }
}

#[test]
fn both_roles_play_the_ping_of_the_examples() {
    let story = receive(Role::Client, "89 05 48656c6c6f");
    assert_eq!(story.answered, [Seen::Pong(b"Hello".to_vec())]);
    receive(Role::Server, "8a 85 37fa213d 7f9f4d5158").saw(&[Seen::Pong(b"Hello".to_vec())]);
}

in_each_role!(
    server_keeps_the_order_of_messages,
    client_keeps_the_order_of_messages,
    |role| {
        receive_frames(
            role,
            &[(0x81, b"a"), (0x82, b"b"), (0x81, b""), (0x82, b"")],
        )
        .saw(&[
            Seen::Text("a".into()),
            Seen::Binary(b"b".to_vec()),
            Seen::Text(String::new()),
            Seen::Binary(vec![]),
        ]);
    }
);

in_each_role!(
    server_sends_what_the_other_end_reads,
    client_sends_what_the_other_end_reads,
    |role| {
        let setting = Setting::new(role);
        let mut connection = setting.connection();
        let long = "long ".repeat(20_000);
        for message in [
            Message::from("grüße"),
            Message::from(""),
            Message::from(&[0x00, 0xff, 0x80]),
            Message::from(long.as_str()),
        ] {
            connection.send(&message).unwrap();
        }
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        assert_eq!(
            setting.peer().read(&mut out),
            [
                Seen::Text("grüße".into()),
                Seen::Text(String::new()),
                Seen::Binary(vec![0x00, 0xff, 0x80]),
                Seen::Text(long),
            ]
        );
        connection.poll_transmit(&mut out);
        assert_eq!(connection.buffered_bytes(), 0);
    }
);
