//! RFC 7692 sections 5 and 6: the bit that marks a compressed message, and which frames may have it.

use sockeye_proto::{
    Message, Role, Sender, Violation,
    extension::{Deflate, DeflateParams, End, Pool},
};

use crate::story::{Seen, Setting, from_peer, hex, in_each_role};

/// Parameters with takeover in both directions and the largest windows.
pub(crate) const GENEROUS: DeflateParams = DeflateParams {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

in_each_role!(
    server_refuses_the_bit_on_continuations,
    client_refuses_the_bit_on_continuations,
    |role| {
        let setting = Setting::with_deflate(role, GENEROUS);
        for first in [0x41, 0x01] {
            for continuation in [0x40, 0xc0] {
                setting
                    .receive(&from_peer(role, &[(first, b""), (continuation, b"")]))
                    .is_violation(Violation::CompressedBit);
            }
        }
    }
);

in_each_role!(
    server_refuses_the_bit_on_control_frames,
    client_refuses_the_bit_on_control_frames,
    |role| {
        let setting = Setting::with_deflate(role, GENEROUS);
        for first in [0xc8, 0xc9, 0xca] {
            setting
                .receive(&from_peer(role, &[(first, b"")]))
                .is_violation(Violation::CompressedBit);
        }
    }
);

in_each_role!(
    server_refuses_the_other_reserved_bits_still,
    client_refuses_the_other_reserved_bits_still,
    |role| {
        let setting = Setting::with_deflate(role, GENEROUS);
        for first in [0xa1, 0x91, 0xe1, 0xd1, 0xf1, 0xb1] {
            setting
                .receive(&from_peer(role, &[(first, b"")]))
                .is_violation(Violation::ReservedBit);
        }
    }
);

in_each_role!(
    server_takes_plain_messages_between_compressed_ones,
    client_takes_plain_messages_between_compressed_ones,
    |role| {
        let hello = hex("f2 48 cd c9 c9 07 00");
        let again = hex("f2 00 11 00 00");
        let frames: [(u8, &[u8]); 4] = [
            (0xc1, &hello),
            (0x81, b"plain"),
            (0x82, b"\xff"),
            (0xc2, &again),
        ];
        // Section 7.2.2: an uncompressed message does not enter the window.
        Setting::with_deflate(role, GENEROUS)
            .receive(&from_peer(role, &frames))
            .saw(&[
                Seen::Text("Hello".into()),
                Seen::Text("plain".into()),
                Seen::Binary(vec![0xff]),
                Seen::Binary(b"Hello".to_vec()),
            ]);
    }
);

in_each_role!(
    server_takes_control_frames_within_a_compressed_message,
    client_takes_control_frames_within_a_compressed_message,
    |role| {
        let hello = hex("f2 48 cd c9 c9 07 00");
        let (start, end) = hello.split_at(3);
        let story = Setting::with_deflate(role, GENEROUS).receive(&from_peer(
            role,
            &[(0x41, start), (0x89, b"ping"), (0x00, b""), (0x80, end)],
        ));
        assert_eq!(story.error, None);
        assert_eq!(
            story.seen,
            [Seen::Ping(b"ping".to_vec()), Seen::Text("Hello".into())]
        );
    }
);

fn sender(role: Role, settings: &Deflate) -> Sender {
    match role {
        Role::Server => Sender::server(Some((GENEROUS, settings))),
        Role::Client => Sender::client([7; 32], Some((GENEROUS, settings))),
    }
}

fn settings(threshold_bytes: usize) -> Deflate {
    let mut settings = Deflate::default();
    settings.threshold_bytes = threshold_bytes;
    settings
}

in_each_role!(
    server_compresses_from_its_threshold_on,
    client_compresses_from_its_threshold_on,
    |role| {
        let mut sender = sender(role, &settings(100));
        for (bytes, first) in [(0, 0x81), (99, 0x81), (100, 0xc1), (5_000, 0xc1)] {
            let mut out = Vec::new();
            let text = "x".repeat(bytes);
            sender
                .send(&Message::from(text), &mut Pool::new(), &mut out)
                .unwrap();
            assert_eq!(out[0], first, "{bytes} bytes");
        }
    }
);

in_each_role!(
    server_sends_what_does_not_shrink_as_it_is,
    client_sends_what_does_not_shrink_as_it_is,
    |role| {
        let setting = Setting::with_deflate(role, GENEROUS);
        let mut connection = setting.connection();
        for text in ["a", "", "qzj", "x"] {
            connection.send(&Message::from(text)).unwrap();
        }
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        assert_eq!(out[0], 0x81);
        let seen = setting.peer().read(&mut out);
        let texts = ["a", "", "qzj", "x"].map(|text| Seen::Text(text.into()));
        assert_eq!(seen, texts);
    }
);

in_each_role!(
    server_marks_only_the_first_fragment,
    client_marks_only_the_first_fragment,
    |role| {
        let settings = settings(0);
        let (mut sender, mut pool, mut out) = (sender(role, &settings), Pool::new(), Vec::new());
        let parts = ["Hello, ".repeat(50), "there. ".repeat(50), String::new()];
        let mut starts = Vec::new();
        sender.begin_parts().unwrap();
        for (index, part) in parts.iter().enumerate() {
            let end = if index == 2 { End::Yes } else { End::No };
            starts.push(out.len());
            sender
                .send_part(
                    sockeye_proto::MessageKind::Text,
                    part.as_bytes(),
                    end,
                    &mut pool,
                    &mut out,
                )
                .unwrap();
        }
        let firsts: Vec<_> = starts.iter().map(|start| out[*start]).collect();
        assert_eq!(firsts, [0x41, 0x00, 0x80]);
        let peer = Setting::with_deflate(role.peer(), GENEROUS);
        assert_eq!(peer.read(&mut out), [Seen::Text(parts.concat())]);
    }
);
