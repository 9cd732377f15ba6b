//! RFC 6455 section 8.1: text must be UTF-8, and fails at its first invalid byte.

use sockeye_proto::{Delivery, ProtocolError, Role};

use crate::story::{Seen, Setting, from_peer, in_each_role, receive, receive_frames};

/// Sequences that are not UTF-8, each because of its last byte.
const BAD: [&[u8]; 16] = [
    b"\x80",
    b"\xbf",
    b"\xc0",
    b"\xc1",
    b"\xc3\x28",
    b"\xe0\x80",
    b"\xe0\x9f",
    b"\xe2\x82\x28",
    b"\xed\xa0",
    b"\xed\xbf",
    b"\xf0\x80",
    b"\xf0\x8f",
    b"\xf4\x90",
    b"\xf5",
    b"\xf8",
    b"\xff",
];

/// Valid sequences at the limits of the ranges.
const GOOD: [&str; 9] = [
    "",
    "\0",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}\u{d7ff}",
    "\u{e000}\u{fffd}\u{ffff}",
    "\u{10000}\u{10ffff}",
    "κόσμε — 世界 🐟",
];

in_each_role!(
    server_takes_text_at_the_edges_of_utf8,
    client_takes_text_at_the_edges_of_utf8,
    |role| {
        for text in GOOD {
            receive_frames(role, &[(0x81, text.as_bytes())]).saw(&[Seen::Text(text.into())]);
        }
    }
);

in_each_role!(
    server_takes_text_that_is_cut_anywhere,
    client_takes_text_that_is_cut_anywhere,
    |role| {
        let text = GOOD.concat();
        for cut in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            receive_frames(role, &[(0x01, first), (0x00, b""), (0x80, second)])
                .saw(&[Seen::Text(text.clone())]);
        }
    }
);

in_each_role!(
    server_answers_bad_text_with_1007,
    client_answers_bad_text_with_1007,
    |role| {
        for bad in BAD {
            for (before, after) in [("", ""), ("a", "z"), ("κόσμε", "κόσμε")] {
                let text = [before.as_bytes(), bad, after.as_bytes()].concat();
                receive_frames(role, &[(0x81, &text)])
                    .failed_with(ProtocolError::InvalidUtf8, 1007);
            }
        }
    }
);

in_each_role!(
    server_answers_text_that_ends_within_a_character_with_1007,
    client_answers_text_that_ends_within_a_character_with_1007,
    |role| {
        for end in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x90", b"ok \xe4"] {
            receive_frames(role, &[(0x81, end)]).failed_with(ProtocolError::InvalidUtf8, 1007);
            receive_frames(role, &[(0x01, end), (0x80, b"")])
                .failed_with(ProtocolError::InvalidUtf8, 1007);
        }
    }
);

in_each_role!(
    server_fails_at_the_first_bad_byte_of_an_unfinished_message,
    client_fails_at_the_first_bad_byte_of_an_unfinished_message,
    |role| {
        for bad in BAD {
            for delivery in [Delivery::Whole, Delivery::Parts] {
                let setting = Setting {
                    delivery,
                    ..Setting::new(role)
                };
                // The rest of the frame never comes, nor does another.
                let mut cut = from_peer(role, &[(0x01, &[bad, &[b'x'; 50]].concat())]);
                cut.truncate(cut.len() - 50);
                let story = setting.receive(&cut);
                assert_eq!(story.error, Some(ProtocolError::InvalidUtf8), "{bad:x?}");
                story.ends_with_code(1007);
                let (first, second) = bad.split_at(bad.len() - 1);
                let story = setting.receive(&from_peer(role, &[(0x01, first), (0x00, second)]));
                assert_eq!(story.error, Some(ProtocolError::InvalidUtf8), "{bad:x?}");
            }
        }
    }
);

in_each_role!(
    server_does_not_look_for_text_in_binary,
    client_does_not_look_for_text_in_binary,
    |role| {
        for bad in BAD {
            receive_frames(role, &[(0x82, bad)]).saw(&[Seen::Binary(bad.to_vec())]);
            receive_frames(role, &[(0x02, bad), (0x80, bad)]).saw(&[Seen::Binary(bad.repeat(2))]);
            receive_frames(role, &[(0x8a, bad)]).saw(&[Seen::Pong(bad.to_vec())]);
        }
    }
);

#[test]
fn client_starts_afresh_with_each_message() {
    // The first message ends within a character, which the second must not complete.
    receive(Role::Client, "81 02 c3a9 81 02 c3a9")
        .saw(&[Seen::Text("é".into()), Seen::Text("é".into())]);
    let story = receive(Role::Client, "01 01 c3 80 01 a9 81 01 a9");
    assert_eq!(story.seen, [Seen::Text("é".into())]);
    assert_eq!(story.error, Some(ProtocolError::InvalidUtf8));
}
