//! RFC 6455 section 5.4: messages in several frames.

use sockeye_proto::{
    Delivery, Limits, MessageKind, ProtocolError, Receiver, Role, SendError, Sender, Violation,
    extension::{End, Pool},
};

use crate::story::{Seen, Setting, from_peer, hex, in_each_role, receive_frames};

in_each_role!(server_joins_fragments, client_joins_fragments, |role| {
    receive_frames(role, &[(0x01, b"Hel"), (0x80, b"lo")]).saw(&[Seen::Text("Hello".into())]);
    receive_frames(
        role,
        &[(0x02, b"a"), (0x00, b"b"), (0x00, b"c"), (0x80, b"d")],
    )
    .saw(&[Seen::Binary(b"abcd".to_vec())]);
    receive_frames(role, &[(0x01, b""), (0x00, b""), (0x80, b"")])
        .saw(&[Seen::Text(String::new())]);
    receive_frames(role, &[(0x01, b"a"), (0x80, b""), (0x81, b"b")])
        .saw(&[Seen::Text("a".into()), Seen::Text("b".into())]);
});

in_each_role!(
    server_takes_control_frames_between_fragments,
    client_takes_control_frames_between_fragments,
    |role| {
        let story = receive_frames(
            role,
            &[
                (0x01, b"Hel"),
                (0x89, b"one"),
                (0x8a, b""),
                (0x00, b"l"),
                (0x89, b"two"),
                (0x80, b"o"),
            ],
        );
        assert_eq!(story.error, None);
        assert_eq!(
            story.seen,
            [
                Seen::Ping(b"one".to_vec()),
                Seen::Pong(vec![]),
                Seen::Ping(b"two".to_vec()),
                Seen::Text("Hello".into()),
            ]
        );
        assert_eq!(
            story.answered,
            [Seen::Pong(b"one".to_vec()), Seen::Pong(b"two".to_vec())]
        );
    }
);

in_each_role!(
    server_refuses_a_continuation_of_nothing,
    client_refuses_a_continuation_of_nothing,
    |role| {
        for first in [0x00, 0x80] {
            receive_frames(role, &[(first, b"x")]).is_violation(Violation::StrayContinuation);
        }
        let story = receive_frames(role, &[(0x01, b"a"), (0x80, b"b"), (0x80, b"c")]);
        assert_eq!(story.seen, [Seen::Text("ab".into())]);
        assert_eq!(
            story.error,
            Some(ProtocolError::Violation(Violation::StrayContinuation))
        );
        story.ends_with_code(1002);
    }
);

in_each_role!(
    server_refuses_a_message_within_a_message,
    client_refuses_a_message_within_a_message,
    |role| {
        for second in [0x01, 0x02, 0x81, 0x82] {
            receive_frames(role, &[(0x01, b"a"), (second, b"b")])
                .is_violation(Violation::InterleavedMessage);
        }
    }
);

in_each_role!(
    server_hands_out_parts_if_asked_to,
    client_hands_out_parts_if_asked_to,
    |role| {
        let setting = Setting {
            delivery: Delivery::Parts,
            ..Setting::new(role)
        };
        let story = setting.receive(&from_peer(
            role,
            &[
                (0x01, "grü".as_bytes()),
                (0x00, b""),
                (0x80, "ße".as_bytes()),
                (0x82, b""),
                (0x82, b"x"),
                (0x81, b"y"),
            ],
        ));
        story.saw(&[
            Seen::Part(MessageKind::Text, "grüße".into(), true),
            Seen::Part(MessageKind::Binary, vec![], true),
            Seen::Part(MessageKind::Binary, b"x".to_vec(), true),
            Seen::Part(MessageKind::Text, b"y".to_vec(), true),
        ]);
    }
);

fn sender(role: Role) -> Sender {
    match role {
        Role::Server => Sender::server(None),
        Role::Client => Sender::client([7; 32], None),
    }
}

in_each_role!(
    server_sends_parts_as_fragments_of_one_message,
    client_sends_parts_as_fragments_of_one_message,
    |role| {
        let (mut sender, mut pool, mut out) = (sender(role), Pool::new(), Vec::new());
        sender.begin_parts().unwrap();
        sender
            .send_part(MessageKind::Text, b"Hel", End::No, &mut pool, &mut out)
            .unwrap();
        sender.ping(b"?", &mut out).unwrap();
        assert_eq!(
            sender.send(&"no".into(), &mut pool, &mut out),
            Err(SendError::MidMessage)
        );
        sender
            .send_part(MessageKind::Text, b"", End::No, &mut pool, &mut out)
            .unwrap();
        sender
            .send_part(MessageKind::Text, b"lo", End::Yes, &mut pool, &mut out)
            .unwrap();
        sender.send(&"yes".into(), &mut pool, &mut out).unwrap();
        if role == Role::Server {
            let frames = "01 03 48656c 89 01 3f 00 00 80 02 6c6f 81 03 796573";
            assert_eq!(out, hex(frames));
        }
        assert_eq!(
            Setting::new(role.peer()).read(&mut out),
            [
                Seen::Ping(b"?".to_vec()),
                Seen::Text("Hello".into()),
                Seen::Text("yes".into())
            ]
        );
    }
);

in_each_role!(
    server_owns_memory_only_for_an_unfinished_message,
    client_owns_memory_only_for_an_unfinished_message,
    |role| {
        let mut receiver = Receiver::new(role, None);
        let mut pool = Pool::new();
        let mut feed = |receiver: &mut Receiver, mut bytes: Vec<u8>| {
            let mut input = sockeye_proto::Input::new(&mut bytes);
            while receiver
                .poll_event(&mut input, &mut pool, &Limits::default())
                .unwrap()
                .is_some()
            {}
            receiver.buffered_bytes()
        };
        let whole = from_peer(role, &[(0x82, &[0; 1000]), (0x82, &[0; 1000])]);
        assert_eq!(feed(&mut receiver, whole), 0);
        assert!(receiver.is_between_messages());

        let fragments = from_peer(role, &[(0x02, &[0; 1000]), (0x00, &[0; 1000])]);
        assert!((2000..=4000).contains(&feed(&mut receiver, fragments)));
        assert!(!receiver.is_between_messages());
        assert_eq!(feed(&mut receiver, from_peer(role, &[(0x80, b"")])), 0);

        // A header with a large length reserves little until its payload comes.
        let mut promise = from_peer(role, &[(0x82, &vec![0; 1 << 20])]);
        promise.truncate(100);
        assert!(feed(&mut receiver, promise) <= 64 << 10);
    }
);
