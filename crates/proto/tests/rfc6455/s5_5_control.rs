//! RFC 6455 section 5.5: ping, pong, and the rules of all control frames.

use sockeye_proto::{Input, Limits, Receiver, Violation, extension::Pool};

use crate::story::{Seen, Setting, from_peer, in_each_role, receive_frames};

in_each_role!(
    server_refuses_fragmented_control_frames,
    client_refuses_fragmented_control_frames,
    |role| {
        for first in [0x08, 0x09, 0x0a] {
            receive_frames(role, &[(first, b"")]).is_violation(Violation::FragmentedControl);
        }
    }
);

in_each_role!(
    server_refuses_control_frames_over_125_bytes,
    client_refuses_control_frames_over_125_bytes,
    |role| {
        for first in [0x88, 0x89, 0x8a] {
            for bytes in [126, 127, 65_536] {
                receive_frames(role, &[(first, &vec![b'x'; bytes])])
                    .is_violation(Violation::LongControl);
            }
        }
    }
);

in_each_role!(
    server_answers_a_ping_with_its_payload,
    client_answers_a_ping_with_its_payload,
    |role| {
        for payload in [&b""[..], b"Hello", &[0xff, 0x00, 0xfe], &[b'x'; 125]] {
            let story = receive_frames(role, &[(0x89, payload)]);
            assert_eq!(story.error, None);
            assert_eq!(story.seen, [Seen::Ping(payload.to_vec())]);
            assert_eq!(story.answered, [Seen::Pong(payload.to_vec())]);
        }
    }
);

in_each_role!(
    server_answers_every_ping_in_order,
    client_answers_every_ping_in_order,
    |role| {
        let pings: Vec<_> = (0..10_u8).map(|index| [index; 3]).collect();
        let frames: Vec<_> = pings.iter().map(|ping| (0x89, &ping[..])).collect();
        let story = receive_frames(role, &frames);
        let pongs: Vec<_> = pings.iter().map(|ping| Seen::Pong(ping.to_vec())).collect();
        assert_eq!(story.answered, pongs);
    }
);

in_each_role!(
    server_takes_pongs_that_it_did_not_ask_for,
    client_takes_pongs_that_it_did_not_ask_for,
    |role| {
        receive_frames(role, &[(0x8a, b""), (0x8a, b"Hello")])
            .saw(&[Seen::Pong(vec![]), Seen::Pong(b"Hello".to_vec())]);
    }
);

in_each_role!(
    server_cuts_its_own_ping_to_125_bytes,
    client_cuts_its_own_ping_to_125_bytes,
    |role| {
        let setting = Setting::new(role);
        let mut connection = setting.connection();
        connection.ping(&[b'x'; 126]).unwrap();
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        assert_eq!(setting.peer().read(&mut out), [Seen::Ping(vec![b'x'; 125])]);
    }
);

in_each_role!(
    server_holds_nothing_of_a_control_frame_that_came_in_pieces,
    client_holds_nothing_of_a_control_frame_that_came_in_pieces,
    |role| {
        let mut receiver = Receiver::new(role, None);
        let limits = Limits::default();
        let mut pool = Pool::new();
        let mut bytes = from_peer(role, &[(0x89, &[b'x'; 100])]);
        let (start, end) = bytes.split_at_mut(50);
        let mut input = Input::new(start);
        assert_eq!(
            receiver.poll_event(&mut input, &mut pool, &limits),
            Ok(None)
        );
        assert!(receiver.buffered_bytes() > 0);
        let mut input = Input::new(end);
        assert!(
            receiver
                .poll_event(&mut input, &mut pool, &limits)
                .unwrap()
                .is_some()
        );
        assert_eq!(
            receiver.poll_event(&mut input, &mut pool, &limits),
            Ok(None)
        );
        assert_eq!(receiver.buffered_bytes(), 0);
    }
);
