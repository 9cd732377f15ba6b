//! RFC 6455 sections 5.1 and 5.3: clients mask, servers don't.

use sockeye_proto::{Message, ProtocolError, Role, Violation};

use crate::story::{Seen, Setting, hex, receive};

#[test]
fn server_reads_masked_frames() {
    // The example of section 5.7.
    receive(Role::Server, "81 85 37fa213d 7f9f4d5158").saw(&[Seen::Text("Hello".into())]);
    receive(Role::Server, "82 85 00000000 48656c6c6f").saw(&[Seen::Binary(b"Hello".to_vec())]);
    receive(Role::Server, "82 80 37fa213d").saw(&[Seen::Binary(vec![])]);
}

#[test]
fn client_reads_unmasked_frames() {
    receive(Role::Client, "81 05 48656c6c6f").saw(&[Seen::Text("Hello".into())]);
    receive(Role::Client, "82 00").saw(&[Seen::Binary(vec![])]);
}

#[test]
fn server_answers_unmasked_frame_with_1002() {
    for frame in [
        "81 05 48656c6c6f",
        "82 00",
        "89 00",
        "88 02 03e8",
        "81 7e",
        "81 7f",
    ] {
        receive(Role::Server, frame).is_violation(Violation::Unmasked);
    }
}

#[test]
fn client_answers_masked_frame_with_1002() {
    for frame in [
        "81 85 37fa213d 7f9f4d5158",
        "82 80",
        "89 80",
        "88 82",
        "81 fe",
        "81 ff",
    ] {
        receive(Role::Client, frame).is_violation(Violation::Masked);
    }
}

#[test]
fn unmasked_frame_after_masked_ones_is_still_refused() {
    let story = receive(Role::Server, "81 81 00000000 61 81 01 62 81 81 00000000 63");
    assert_eq!(story.seen, [Seen::Text("a".into())]);
    assert_eq!(
        story.error,
        Some(ProtocolError::Violation(Violation::Unmasked))
    );
    story.ends_with_code(1002);
}

#[test]
fn each_frame_has_its_own_mask() {
    receive(Role::Server, "01 82 01020304 4967 80 83 f0f0f0f0 9c9c9f")
        .saw(&[Seen::Text("Hello".into())]);
}

/// Returns the first bytes of the frames that an end in this role sends.
fn sent(role: Role, messages: &[&str]) -> Vec<u8> {
    let mut connection = Setting::new(role).connection();
    for text in messages {
        connection.send(&Message::from(*text)).unwrap();
    }
    connection.ping(b"!").unwrap();
    let mut out = Vec::new();
    connection.poll_transmit(&mut out);
    out
}

#[test]
fn server_never_masks() {
    assert_eq!(
        sent(Role::Server, &["Hello", ""]),
        hex("81 05 48656c6c6f 81 00 89 01 21")
    );
}

#[test]
fn client_masks_every_frame_with_a_fresh_key() {
    let out = sent(Role::Client, &["Hello", "Hello", ""]);
    let (first, rest) = out.split_at(11);
    let (second, rest) = rest.split_at(11);
    let (empty, ping) = rest.split_at(6);
    for (frame, start) in [
        (first, "8185"),
        (second, "8185"),
        (empty, "8180"),
        (ping, "8981"),
    ] {
        assert_eq!(frame[..2], hex(start));
    }
    let keys = [&first[2..6], &second[2..6], &empty[2..6], &ping[2..6]];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key));
    }
    let text: Vec<_> = (0..5)
        .map(|index| first[6 + index] ^ first[2 + index % 4])
        .collect();
    assert_eq!(text, b"Hello");
}
