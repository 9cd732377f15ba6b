//! RFC 6455 section 5.2: the header of a frame.

use sockeye_proto::{
    Input, Limits, Message, ProtocolError, Receiver, Role, Violation, extension::Pool,
};

use crate::story::{Seen, Setting, from_peer, hex, in_each_role, receive, receive_frames};

in_each_role!(
    server_refuses_reserved_bits,
    client_refuses_reserved_bits,
    |role| {
        for bits in [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] {
            for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xa] {
                receive_frames(role, &[(0x80 | bits | opcode, b"")])
                    .is_violation(Violation::ReservedBit);
            }
        }
    }
);

in_each_role!(
    server_refuses_reserved_opcodes,
    client_refuses_reserved_opcodes,
    |role| {
        for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            for fin in [0x00, 0x80] {
                receive_frames(role, &[(fin | opcode, b"Hello")])
                    .is_violation(Violation::ReservedOpcode);
            }
        }
    }
);

in_each_role!(
    server_refuses_the_first_byte_without_waiting_for_the_second,
    client_refuses_the_first_byte_without_waiting_for_the_second,
    |role| {
        receive(role, "83").is_violation(Violation::ReservedOpcode);
        receive(role, "91").is_violation(Violation::ReservedBit);
        receive(role, "09").is_violation(Violation::FragmentedControl);
    }
);

in_each_role!(
    server_reads_every_length,
    client_reads_every_length,
    |role| {
        for bytes in [
            0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537, 100_000,
        ] {
            let payload = vec![b'*'; bytes];
            receive_frames(role, &[(0x82, &payload)]).saw(&[Seen::Binary(payload)]);
        }
    }
);

#[test]
fn server_refuses_lengths_that_are_not_the_shortest() {
    for length in [
        "fe 0000",
        "fe 007d",
        "ff 0000000000000000",
        "ff 000000000000007e",
        "ff 000000000000ffff",
    ] {
        receive(Role::Server, &format!("82 {length} 00000000")).is_violation(Violation::LongLength);
    }
}

#[test]
fn client_refuses_lengths_that_are_not_the_shortest() {
    for length in [
        "7e 0000",
        "7e 007d",
        "7f 0000000000000000",
        "7f 000000000000007e",
        "7f 000000000000ffff",
    ] {
        receive(Role::Client, &format!("82 {length}")).is_violation(Violation::LongLength);
    }
}

#[test]
fn server_refuses_lengths_over_63_bits() {
    for length in ["8000000000000000", "ffffffffffffffff"] {
        receive(Role::Server, &format!("82 ff {length} 00000000"))
            .is_violation(Violation::LengthHighBit);
    }
}

#[test]
fn client_refuses_lengths_over_63_bits() {
    for length in ["8000000000000000", "ffffffffffffffff"] {
        receive(Role::Client, &format!("82 7f {length}")).is_violation(Violation::LengthHighBit);
    }
}

#[test]
fn server_refuses_a_frame_over_its_limit_by_its_header() {
    for (header, error) in [
        (
            "82 ff 7fffffffffffffff 00000000",
            ProtocolError::FrameTooBig,
        ),
        (
            "82 ff 0000000000100001 00000000",
            ProtocolError::MessageTooBig,
        ),
    ] {
        receive(Role::Server, header).failed_with(error, 1009);
    }
}

#[test]
fn client_refuses_a_frame_over_its_limit_by_its_header() {
    for (header, error) in [
        ("82 7f 7fffffffffffffff", ProtocolError::FrameTooBig),
        ("82 7f 0000000000100001", ProtocolError::MessageTooBig),
    ] {
        receive(Role::Client, header).failed_with(error, 1009);
    }
}

fn limited(role: Role) -> Setting {
    let mut limits = Limits::default();
    limits.frame_bytes_max = Some(200);
    limits.message_bytes_max = 300;
    limits.fragments_max = Some(3);
    Setting {
        limits,
        ..Setting::new(role)
    }
}

in_each_role!(
    server_takes_what_its_limits_allow_and_no_more,
    client_takes_what_its_limits_allow_and_no_more,
    |role| {
        let receive = |frames: &[(u8, usize)]| {
            let payloads: Vec<_> = frames.iter().map(|(_, bytes)| vec![0; *bytes]).collect();
            let frames: Vec<_> = (frames.iter().zip(&payloads))
                .map(|((first, _), payload)| (*first, payload.as_slice()))
                .collect();
            limited(role).receive(&from_peer(role, &frames))
        };
        receive(&[(0x82, 200)]).saw(&[Seen::Binary(vec![0; 200])]);
        receive(&[(0x82, 201)]).failed_with(ProtocolError::FrameTooBig, 1009);
        receive(&[(0x02, 200), (0x80, 100)]).saw(&[Seen::Binary(vec![0; 300])]);
        receive(&[(0x02, 200), (0x80, 101)]).failed_with(ProtocolError::MessageTooBig, 1009);
        receive(&[(0x02, 0), (0x00, 0), (0x00, 0), (0x80, 1)]).saw(&[Seen::Binary(vec![0])]);
        receive(&[(0x02, 1), (0x00, 1), (0x00, 1), (0x00, 1), (0x80, 1)])
            .failed_with(ProtocolError::TooManyFragments, 1009);
    }
);

in_each_role!(
    server_needs_no_more_than_the_header_to_refuse_a_long_message,
    client_needs_no_more_than_the_header_to_refuse_a_long_message,
    |role| {
        let mut bytes = from_peer(role, &[(0x02, &[0; 200]), (0x80, &[0; 101])]);
        bytes.truncate(bytes.len() - 101);
        limited(role)
            .receive(&bytes)
            .failed_with(ProtocolError::MessageTooBig, 1009);
    }
);

fn sent(role: Role, bytes: usize) -> Vec<u8> {
    let mut connection = Setting::new(role).connection();
    let payload = vec![0; bytes];
    connection.send(&Message::from(payload)).unwrap();
    let mut out = Vec::new();
    connection.poll_transmit(&mut out);
    out
}

#[test]
fn server_writes_the_shortest_length() {
    for (bytes, head) in [
        (0, "82 00"),
        (125, "82 7d"),
        (126, "82 7e 007e"),
        (65_535, "82 7e ffff"),
        (65_536, "82 7f 0000000000010000"),
    ] {
        let head = hex(head);
        let out = sent(Role::Server, bytes);
        assert_eq!(
            (&out[..head.len()], out.len()),
            (&head[..], head.len() + bytes)
        );
    }
}

#[test]
fn client_writes_the_shortest_length() {
    for (bytes, head) in [
        (0, "82 80"),
        (125, "82 fd"),
        (126, "82 fe 007e"),
        (65_535, "82 fe ffff"),
        (65_536, "82 ff 0000000000010000"),
    ] {
        let head = hex(head);
        let out = sent(Role::Client, bytes);
        assert_eq!(
            (&out[..head.len()], out.len()),
            (&head[..], head.len() + 4 + bytes)
        );
    }
}

/// Without a limit on messages, memory is still reserved only for bytes that come.
#[test]
fn server_reserves_no_memory_for_a_length_that_is_only_announced() {
    let mut limits = Limits::default();
    limits.message_bytes_max = usize::MAX;
    for opcode in [0x81, 0x82] {
        let mut receiver = Receiver::new(Role::Server, None);
        let mut pool = Pool::default();
        let mut head = vec![opcode, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        head.extend([0; 4]);
        let mut inputs = vec![head];
        inputs.extend(vec![vec![0; 64 << 10]; 4]);
        for mut bytes in inputs {
            let mut input = Input::new(&mut bytes);
            assert_eq!(
                receiver.poll_event(&mut input, &mut pool, &limits),
                Ok(None)
            );
        }
        assert!(receiver.buffered_bytes() <= 1 << 20);
    }
}
