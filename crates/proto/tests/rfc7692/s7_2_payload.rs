//! RFC 7692 section 7.2: what is in a compressed message.

use sockeye_proto::{
    Connection, Delivery, Limits, Message, MessageKind, ProtocolError, Role,
    extension::{Deflate, DeflateParams, Deflater, End, Pool, Takeover},
};

use crate::{
    s6_frames::GENEROUS,
    story::{Seen, Setting, from_peer, hex, in_each_role},
};

const NO_TAKEOVER: DeflateParams = DeflateParams {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    ..GENEROUS
};

fn hello() -> Seen {
    Seen::Text("Hello".into())
}

in_each_role!(
    server_reads_the_examples,
    client_reads_the_examples,
    |role| {
        let setting = Setting::with_deflate(role, GENEROUS);
        for (section, frames) in [
            ("7.2.3.1", &[(0xc1, "f2 48 cd c9 c9 07 00")][..]),
            (
                "7.2.3.1 in fragments",
                &[(0x41, "f2 48 cd"), (0x80, "c9 c9 07 00")],
            ),
            ("7.2.3.3", &[(0xc1, "00 05 00 fa ff 48 65 6c 6c 6f 00")]),
            ("7.2.3.4", &[(0xc1, "f3 48 cd c9 c9 07 00 00")]),
            (
                "7.2.3.5",
                &[(0xc1, "f2 48 05 00 00 00 ff ff ca c9 c9 07 00")],
            ),
        ] {
            let payloads: Vec<_> = frames.iter().map(|(_, payload)| hex(payload)).collect();
            let frames: Vec<_> = (frames.iter().zip(&payloads))
                .map(|((first, _), payload)| (*first, payload.as_slice()))
                .collect();
            let story = setting.receive(&from_peer(role, &frames));
            assert_eq!(
                (story.seen, story.error),
                (vec![hello()], None),
                "{section}"
            );
        }
    }
);

in_each_role!(
    server_takes_the_window_over_only_if_agreed,
    client_takes_the_window_over_only_if_agreed,
    |role| {
        // Section 7.2.3.2: the second message is a reference to the first.
        let (first, second) = (hex("f2 48 cd c9 c9 07 00"), hex("f2 00 11 00 00"));
        let bytes = from_peer(role, &[(0xc1, &first), (0xc1, &second)]);
        Setting::with_deflate(role, GENEROUS)
            .receive(&bytes)
            .saw(&[hello(), hello()]);
        let story = Setting::with_deflate(role, NO_TAKEOVER).receive(&bytes);
        assert_eq!(story.seen, [hello()]);
        assert_eq!(story.error, Some(ProtocolError::InvalidDeflate));
        story.ends_with_code(1007);
    }
);

in_each_role!(
    server_takes_the_window_over_a_final_block,
    client_takes_the_window_over_a_final_block,
    |role| {
        let (is_final, second) = (hex("f3 48 cd c9 c9 07 00 00"), hex("f2 00 11 00 00"));
        Setting::with_deflate(role, GENEROUS)
            .receive(&from_peer(role, &[(0xc1, &is_final), (0xc1, &second)]))
            .saw(&[hello(), hello()]);
        // Also within one message, with any parameters.
        for params in [GENEROUS, NO_TAKEOVER] {
            Setting::with_deflate(role, params)
                .receive(&from_peer(role, &[(0x41, &is_final[..7]), (0x80, &second)]))
                .saw(&[Seen::Text("HelloHello".into())]);
        }
    }
);

in_each_role!(
    server_reads_empty_messages,
    client_reads_empty_messages,
    |role| {
        // Section 7.2.3.6, and the empty payload that some senders use instead.
        Setting::with_deflate(role, NO_TAKEOVER)
            .receive(&from_peer(
                role,
                &[
                    (0xc1, b"\0"),
                    (0xc2, b""),
                    (0x41, b""),
                    (0x80, b"\0"),
                    (0x41, b"\0"),
                    (0x80, b""),
                ],
            ))
            .saw(&[
                Seen::Text(String::new()),
                Seen::Binary(vec![]),
                Seen::Text(String::new()),
                Seen::Text(String::new()),
            ]);
    }
);

in_each_role!(
    server_answers_what_does_not_inflate_with_1007,
    client_answers_what_does_not_inflate_with_1007,
    |role| {
        for payload in [
            "07",
            "ff ff ff",
            "00 05 00 fa fe 48 65",
            "00 05 00 fa ff 48 65",
            "f2 48 cd c9 c9",
            "f2 00 11 00 00",
            "f3 48 cd c9 c9 07 00 07",
        ] {
            let payload = hex(payload);
            for delivery in [Delivery::Whole, Delivery::Parts] {
                let setting = Setting {
                    delivery,
                    ..Setting::with_deflate(role, GENEROUS)
                };
                setting
                    .receive(&from_peer(role, &[(0xc2, &payload)]))
                    .failed_with(ProtocolError::InvalidDeflate, 1007);
                setting
                    .receive(&from_peer(role, &[(0x42, &payload), (0x80, b"")]))
                    .failed_with(ProtocolError::InvalidDeflate, 1007);
            }
        }
    }
);

/// Returns a whole message, compressed without context.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(15, Takeover::No, 6).deflate(&mut Pool::new(), payload, End::Yes, &mut out);
    out
}

in_each_role!(
    server_answers_compressed_text_that_is_not_utf8_with_1007,
    client_answers_compressed_text_that_is_not_utf8_with_1007,
    |role| {
        let setting = Setting::with_deflate(role, GENEROUS);
        for text in [
            &b"\xff"[..],
            b"ok \xed\xa0\x80",
            b"\xe4\xb8",
            &[0xc3; 100_000],
        ] {
            setting
                .receive(&from_peer(role, &[(0xc1, &deflated(text))]))
                .failed_with(ProtocolError::InvalidUtf8, 1007);
            setting
                .receive(&from_peer(role, &[(0xc2, &deflated(text))]))
                .saw(&[Seen::Binary(text.to_vec())]);
        }
    }
);

in_each_role!(
    server_checks_text_for_utf8_before_a_later_error,
    client_checks_text_for_utf8_before_a_later_error,
    |role| {
        // Invalid text, then an invalid block: the first mistake counts, however the bytes are split.
        let payload = hex("00 03 00 fc ff 61 ff 61 07 00");
        for delivery in [Delivery::Whole, Delivery::Parts] {
            let setting = Setting {
                delivery,
                ..Setting::with_deflate(role, GENEROUS)
            };
            setting
                .receive(&from_peer(role, &[(0xc1, &payload)]))
                .failed_with(ProtocolError::InvalidUtf8, 1007);
        }
    }
);

fn limited(role: Role, message_bytes_max: usize) -> Setting {
    let mut limits = Limits::default();
    limits.message_bytes_max = message_bytes_max;
    Setting {
        limits,
        ..Setting::with_deflate(role, GENEROUS)
    }
}

in_each_role!(
    server_answers_a_bomb_with_1009,
    client_answers_a_bomb_with_1009,
    |role| {
        let bomb = deflated(&vec![0; 5 << 20]);
        assert!(bomb.len() < 6_000);
        for delivery in [Delivery::Whole, Delivery::Parts] {
            for message_bytes_max in [0, 1, 1_000, 65_535, 65_536, 65_537, 1 << 20] {
                let setting = Setting {
                    delivery,
                    ..limited(role, message_bytes_max)
                };
                let story = setting.receive_in(&from_peer(role, &[(0xc2, &bomb)]), &[usize::MAX]);
                story.failed_with(ProtocolError::MessageTooBig, 1009);
                let story = setting.receive_in(
                    &from_peer(
                        role,
                        &[(0x42, &bomb[..100]), (0x00, b""), (0x80, &bomb[100..])],
                    ),
                    &[1, 50],
                );
                story.failed_with(ProtocolError::MessageTooBig, 1009);
            }
        }
    }
);

in_each_role!(
    server_takes_a_compressed_message_that_fits_its_limit_exactly,
    client_takes_a_compressed_message_that_fits_its_limit_exactly,
    |role| {
        for bytes in [0, 1, 100, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let payload = vec![b'x'; bytes];
            let frame = from_peer(role, &[(0xc2, &deflated(&payload))]);
            limited(role, bytes)
                .receive_in(&frame, &[usize::MAX])
                .saw(&[Seen::Binary(payload.clone())]);
            limited(role, bytes)
                .receive_in(&frame, &[3])
                .saw(&[Seen::Binary(payload.clone())]);
            let story = Setting {
                delivery: Delivery::Parts,
                ..limited(role, bytes)
            };
            story
                .receive_in(&frame, &[7])
                .saw(&[Seen::Part(MessageKind::Binary, payload, true)]);
        }
    }
);

#[test]
fn both_ends_understand_each_other_whatever_was_agreed() {
    let mut settings = Deflate::default();
    settings.threshold_bytes = 0;
    for bits in 8..=15 {
        for no_takeover in [false, true] {
            let params = DeflateParams {
                server_no_context_takeover: no_takeover,
                client_no_context_takeover: !no_takeover,
                server_max_window_bits: bits,
                client_max_window_bits: 23 - bits,
            };
            let deflate = Some((params, &settings));
            let server = Connection::server(Limits::default(), deflate);
            let client = Connection::client(Limits::default(), deflate, [7; 32]);
            for (mut sender, mut receiver) in [
                (
                    server,
                    Setting::with_deflate(Role::Client, params).connection(),
                ),
                (
                    client,
                    Setting::with_deflate(Role::Server, params).connection(),
                ),
            ] {
                for round in 0..20 {
                    let text = "The same procedure as every year. ".repeat(1 + round * 7);
                    sender.send(&Message::from(text.as_str())).unwrap();
                    let mut wire = Vec::new();
                    sender.poll_transmit(&mut wire);
                    assert!(wire.len() < text.len() + 8);
                    let mut input = sockeye_proto::Input::new(&mut wire);
                    let event = receiver.poll_event(&mut input).unwrap().unwrap();
                    assert_eq!(event, sockeye_proto::Event::Message(text.as_str().into()));
                }
            }
        }
    }
}
