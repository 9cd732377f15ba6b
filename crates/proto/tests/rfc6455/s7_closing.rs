//! RFC 6455 sections 5.5.1 and 7: the end of a connection.

use std::time::Duration;

use sockeye_proto::{
    CloseCode, Input, Message, Pace, ProtocolError, ReadState, Role, SendError, Violation,
};

use crate::story::{Seen, Setting, from_peer, hex, in_each_role, receive, receive_frames};

fn close(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

in_each_role!(
    server_answers_a_close_with_its_code_and_reason,
    client_answers_a_close_with_its_code_and_reason,
    |role| {
        for code in [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
        ] {
            let story = receive_frames(role, &[(0x88, &close(code, "bye"))]);
            assert_eq!(story.error, None);
            assert_eq!(story.seen, [Seen::Close(code, "bye".into())]);
            assert_eq!(story.answered, [Seen::Close(code, "bye".into())]);
            assert!(story.closed);
        }
    }
);

in_each_role!(
    server_takes_registered_and_private_codes,
    client_takes_registered_and_private_codes,
    |role| {
        for code in [3000, 3999, 4000, 4999] {
            let story = receive_frames(role, &[(0x88, &close(code, ""))]);
            assert_eq!(story.seen, [Seen::Close(code, String::new())]);
            story.ends_with_code(code);
        }
    }
);

in_each_role!(
    server_answers_an_empty_close_with_an_empty_one,
    client_answers_an_empty_close_with_an_empty_one,
    |role| {
        let story = receive_frames(role, &[(0x88, b"")]);
        assert_eq!(story.error, None);
        // Section 7.1.5: 1005 is for the application. It is never sent.
        assert_eq!(story.seen, [Seen::Close(1005, String::new())]);
        assert_eq!(story.answered, [Seen::Close(1005, String::new())]);
        assert!(story.closed);
    }
);

#[test]
fn server_sends_no_body_in_answer_to_an_empty_close() {
    let mut connection = Setting::new(Role::Server).connection();
    let mut bytes = hex("88 80 37fa213d");
    connection.poll_event(&mut Input::new(&mut bytes)).unwrap();
    let mut out = Vec::new();
    connection.poll_transmit(&mut out);
    assert_eq!(out, hex("88 00"));
}

in_each_role!(
    server_refuses_a_close_body_of_one_byte,
    client_refuses_a_close_body_of_one_byte,
    |role| {
        receive_frames(role, &[(0x88, b"\x03")]).is_violation(Violation::CloseBody);
    }
);

in_each_role!(
    server_refuses_codes_that_must_not_be_sent,
    client_refuses_codes_that_must_not_be_sent,
    |role| {
        for code in [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
        ] {
            for reason in ["", "reason"] {
                receive_frames(role, &[(0x88, &close(code, reason))])
                    .is_violation(Violation::CloseCode);
            }
        }
    }
);

in_each_role!(
    server_refuses_a_reason_that_is_not_utf8_with_1007,
    client_refuses_a_reason_that_is_not_utf8_with_1007,
    |role| {
        for reason in [
            &[0xff][..],
            &[0xc3],
            &[0xed, 0xa0, 0x80],
            b"ok \xf4\x90\x80\x80",
        ] {
            let body = [&close(1000, "")[..], reason].concat();
            receive_frames(role, &[(0x88, &body)]).failed_with(ProtocolError::InvalidUtf8, 1007);
        }
    }
);

in_each_role!(
    server_takes_a_reason_of_123_bytes,
    client_takes_a_reason_of_123_bytes,
    |role| {
        let reason = "x".repeat(123);
        let story = receive_frames(role, &[(0x88, &close(1000, &reason))]);
        assert_eq!(story.seen, [Seen::Close(1000, reason)]);
    }
);

in_each_role!(
    server_ignores_everything_after_a_close,
    client_ignores_everything_after_a_close,
    |role| {
        let frames: [(u8, &[u8]); 5] = [
            (0x88, &close(1000, "")),
            (0x89, b"ping"),
            (0x81, b"text"),
            (0xff, b"rubbish"),
            (0x88, &close(1001, "")),
        ];
        let story = receive_frames(role, &frames);
        assert_eq!(story.error, None);
        assert_eq!(story.seen, [Seen::Close(1000, String::new())]);
        assert_eq!(story.answered, [Seen::Close(1000, String::new())]);
    }
);

in_each_role!(
    server_ignores_everything_after_an_error,
    client_ignores_everything_after_an_error,
    |role| {
        let story = receive_frames(
            role,
            &[
                (0x81, b"a"),
                (0x83, b""),
                (0x89, b"ping"),
                (0x88, &close(1000, "")),
            ],
        );
        assert_eq!(story.seen, [Seen::Text("a".into())]);
        assert_eq!(
            story.error,
            Some(ProtocolError::Violation(Violation::ReservedOpcode))
        );
        assert_eq!(story.answered.len(), 1);
        story.ends_with_code(1002);
    }
);

in_each_role!(
    server_takes_a_close_within_a_fragmented_message,
    client_takes_a_close_within_a_fragmented_message,
    |role| {
        let story = receive_frames(
            role,
            &[(0x01, b"Hel"), (0x88, &close(1000, "")), (0x80, b"lo")],
        );
        assert_eq!(story.error, None);
        assert_eq!(story.seen, [Seen::Close(1000, String::new())]);
    }
);

in_each_role!(
    server_sends_nothing_after_its_close,
    client_sends_nothing_after_its_close,
    |role| {
        let setting = Setting::new(role);
        let mut connection = setting.connection();
        connection.close(CloseCode::GOING_AWAY, "restart").unwrap();
        assert_eq!(
            connection.send(&Message::from("x")),
            Err(SendError::Closing)
        );
        assert_eq!(connection.ping(b""), Err(SendError::Closing));
        assert_eq!(
            connection.close(CloseCode::NORMAL, ""),
            Err(SendError::Closing)
        );
        // The peer has not got our Close frame yet. Its ping gets no pong.
        let mut bytes = from_peer(role, &[(0x89, b"ping")]);
        let mut input = Input::new(&mut bytes);
        while connection.poll_event(&mut input).unwrap().is_some() {}
        assert!(!connection.is_closed());
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        assert_eq!(
            setting.peer().read(&mut out),
            [Seen::Close(1001, "restart".into())]
        );
    }
);

in_each_role!(
    server_hands_out_messages_until_the_answer_to_its_close,
    client_hands_out_messages_until_the_answer_to_its_close,
    |role| {
        let mut connection = Setting::new(role).connection();
        connection.close(CloseCode::NORMAL, "").unwrap();
        let frames: [(u8, &[u8]); 3] = [
            (0x81, b"late"),
            (0x88, &close(1000, "")),
            (0x81, b"too late"),
        ];
        let mut bytes = from_peer(role, &frames);
        let mut input = Input::new(&mut bytes);
        let mut seen = Vec::new();
        while let Some(event) = connection.poll_event(&mut input).unwrap() {
            crate::story::note(&mut seen, &event);
        }
        assert_eq!(
            seen,
            [Seen::Text("late".into()), Seen::Close(1000, String::new())]
        );
        assert!(connection.is_closed());
    }
);

in_each_role!(
    server_survives_a_simultaneous_close,
    client_survives_a_simultaneous_close,
    |role| {
        let mut connection = Setting::new(role).connection();
        connection.close(CloseCode::NORMAL, "").unwrap();
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        let mut bytes = from_peer(role, &[(0x88, &close(1001, "mine"))]);
        let mut input = Input::new(&mut bytes);
        assert!(connection.poll_event(&mut input).unwrap().is_some());
        assert!(connection.is_closed());
        // Our Close frame is sent already, and no second one follows.
        out.clear();
        connection.poll_transmit(&mut out);
        assert_eq!(out, b"");
    }
);

in_each_role!(
    server_cuts_a_long_reason_between_characters,
    client_cuts_a_long_reason_between_characters,
    |role| {
        let setting = Setting::new(role);
        let mut connection = setting.connection();
        connection
            .close(CloseCode::NORMAL, &"é".repeat(100))
            .unwrap();
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        assert_eq!(
            setting.peer().read(&mut out),
            [Seen::Close(1000, "é".repeat(61))]
        );
    }
);

in_each_role!(
    server_never_puts_a_reserved_code_on_the_wire,
    client_never_puts_a_reserved_code_on_the_wire,
    |role| {
        for code in [0, 1004, 1005, 1006, 1015, 2999, 5000] {
            let setting = Setting::new(role);
            let mut connection = setting.connection();
            connection.close(CloseCode::new(code), "reason").unwrap();
            let mut out = Vec::new();
            connection.poll_transmit(&mut out);
            assert_eq!(
                setting.peer().read(&mut out),
                [Seen::Close(1005, String::new())]
            );
        }
    }
);

#[test]
fn both_roles_read_a_close_with_code_and_reason() {
    let seen = [Seen::Close(1000, "bye".into())];
    assert_eq!(receive(Role::Client, "88 05 03e8 627965").seen, seen);
    assert_eq!(
        receive(Role::Server, "88 85 37fa213d 3412 434452").seen,
        seen
    );
}

in_each_role!(
    server_calls_an_end_without_a_close_frame_abnormal,
    client_calls_an_end_without_a_close_frame_abnormal,
    |role| {
        let mut connection = Setting::new(role).connection();
        assert_eq!(
            (connection.close_code(), connection.is_closed()),
            (None, false)
        );
        connection.handle_eof();
        // Section 7.1.5: 1006.
        assert_eq!(connection.close_code(), Some(CloseCode::ABNORMAL));
        assert!(connection.is_closed());
        assert_eq!(
            connection.send(&Message::from("a")),
            Err(SendError::Closing)
        );
        assert_eq!(connection.ping(b""), Err(SendError::Closing));
        assert_eq!(
            connection.close(CloseCode::NORMAL, ""),
            Err(SendError::Closing)
        );
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        assert_eq!(out, b"");
    }
);

in_each_role!(
    server_keeps_the_close_code_when_the_input_ends,
    client_keeps_the_close_code_when_the_input_ends,
    |role| {
        let mut connection = Setting::new(role).connection();
        let mut bytes = from_peer(role, &[(0x88, &close(1001, "bye"))]);
        connection.poll_event(&mut Input::new(&mut bytes)).unwrap();
        assert_eq!(connection.close_code(), Some(CloseCode::GOING_AWAY));
        connection.handle_eof();
        assert_eq!(connection.close_code(), Some(CloseCode::GOING_AWAY));
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        assert!(
            !out.is_empty(),
            "the answer to the Close frame is still sent"
        );
    }
);

in_each_role!(
    server_whose_close_is_not_answered_ends_abnormally,
    client_whose_close_is_not_answered_ends_abnormally,
    |role| {
        let mut connection = Setting::new(role).connection();
        connection.close(CloseCode::NORMAL, "").unwrap();
        assert!(!connection.is_closed());
        connection.handle_eof();
        assert_eq!(connection.close_code(), Some(CloseCode::ABNORMAL));
        assert!(connection.is_closed());
    }
);

in_each_role!(
    server_closes_with_1008_when_a_message_comes_too_slowly,
    client_closes_with_1008_when_a_message_comes_too_slowly,
    |role| {
        let mut connection = Setting::new(role).connection();
        let whole = from_peer(role, &[(0x82, &[0; 100])]);
        let mut begin = whole[..50].to_vec();
        let mut input = Input::new(&mut begin);
        assert_eq!(connection.poll_event(&mut input).unwrap(), None);
        let mut pace_at =
            |seconds| connection.handle_timeout(Duration::from_secs(seconds), ReadState::CaughtUp);
        assert_eq!(pace_at(0), Pace::Enough);
        assert_eq!(pace_at(59), Pace::Enough);
        assert_eq!(pace_at(60), Pace::TooSlow);
        assert!(connection.is_closed());
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        let story = Setting::new(role.peer()).receive(&out);
        assert_eq!(story.seen, [Seen::Close(1008, "message too slow".into())]);
    }
);
