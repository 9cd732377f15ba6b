//! What holds for all messages and all bytes.

use bytes::Bytes;
use proptest::prelude::*;

use crate::wire::{
    Command, CommandLimits, EmulationRequest, Encoding, Reply, check_json, sample::samples,
};

fn encodings() -> impl Strategy<Value = Encoding> {
    prop_oneof![Just(Encoding::Json), Just(Encoding::Protobuf)]
}

/// An encoding, and messages that it can carry.
fn replies() -> impl Strategy<Value = (Encoding, Vec<Reply>)> {
    encodings().prop_flat_map(|encoding| {
        (
            Just(encoding),
            prop::collection::vec(samples(encoding), 1..4),
        )
    })
}

/// An encoding, and messages that it can carry.
fn commands() -> impl Strategy<Value = (Encoding, Vec<Command>)> {
    encodings().prop_flat_map(|encoding| {
        (
            Just(encoding),
            prop::collection::vec(samples(encoding), 1..4),
        )
    })
}

/// Bytes, often with what JSON is made of.
fn frames() -> impl Strategy<Value = Bytes> {
    let fragments = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\n",
        "\r",
        " ",
        "{}",
        "\"id\":1",
        "\"id\":",
        "\"connect\":",
        "\"subscribe\":",
        "\"publish\":",
        "\"data\":",
        "\"subs\":",
        "\"tf\":",
        "\"nodes\":[",
        "\"vals\":",
        "null",
        "1",
        "-1",
        "1e9",
        "\"\"",
        "\"a\"",
        "\"\\ud800\"",
        "true",
        "\u{2028}",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from),
        prop::collection::vec(fragments, 0..24).prop_map(|fragments| fragments.concat().into()),
        // Protobuf with small numbers, which are keys and lengths.
        prop::collection::vec(0_u8..0x40, 0..64).prop_map(Bytes::from),
    ]
}

proptest! {
    #[test]
    fn replies_come_back_as_they_went((encoding, replies) in replies()) {
        let mut frame = Vec::new();
        for reply in &replies {
            encoding.encode_reply(reply, &mut frame).expect("payloads that it can carry");
        }
        let decoded: Result<Vec<_>, _> = encoding.decode_replies(frame.into()).collect();
        prop_assert_eq!(decoded.expect("replies"), replies);
    }

    #[test]
    fn commands_come_back_as_they_went((encoding, commands) in commands()) {
        let mut frame = Vec::new();
        for command in &commands {
            encoding.encode_command(command, &mut frame).expect("payloads that it can carry");
        }
        let decoded: Result<Vec<_>, _> = encoding
            .decode_commands(frame.into(), CommandLimits::default())
            .collect();
        prop_assert_eq!(decoded.expect("commands"), commands);
    }

    #[test]
    fn a_json_frame_has_one_line_for_each_object(replies in prop::collection::vec(samples::<Reply>(Encoding::Json), 1..4)) {
        let mut frame = Vec::new();
        for reply in &replies {
            Encoding::Json.encode_reply(reply, &mut frame).expect("JSON payloads");
        }
        prop_assert!(!frame.contains(&b'\r'));
        prop_assert_eq!(frame.split(|byte| *byte == b'\n').count(), replies.len());
    }

    #[test]
    fn no_bytes_panic(frame in frames()) {
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            let commands = encoding.decode_commands(frame.clone(), CommandLimits::default()).count();
            prop_assert!((1..=frame.len().max(1)).contains(&commands));
            let replies = encoding.decode_replies(frame.clone()).count();
            prop_assert!((1..=frame.len().max(1)).contains(&replies));
            let _ = EmulationRequest::decode(encoding, frame.clone());
        }
    }

    #[test]
    fn lines_decode_as_they_do_alone(lines in prop::collection::vec(frames(), 1..4)) {
        // A line is what has no newline inside. The last one isn't empty: its newline would be the frame's end.
        let lines: Vec<Bytes> = lines
            .into_iter()
            .map(|line| line.iter().copied().filter(|byte| *byte != b'\n').collect())
            .collect();
        prop_assume!(lines.last().is_some_and(|line| !line.is_empty()));

        let joined = lines.join(&b'\n');
        let together: Vec<_> = Encoding::Json
            .decode_commands(joined.into(), CommandLimits::default())
            .map(Result::ok)
            .collect();
        let mut alone = Vec::new();
        for line in lines {
            let commands = Encoding::Json.decode_commands(line, CommandLimits::default());
            alone.extend(commands.map(Result::ok));
            if alone.last() == Some(&None) {
                break;
            }
        }
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn a_payload_passes_the_check_if_it_can_be_sent(payload in frames()) {
        let reply = Reply {
            rpc: Some(crate::wire::RpcResult { data: payload.clone() }),
            ..Reply::default()
        };
        let sent = Encoding::Json.encode_reply(&reply, &mut Vec::new()).is_ok();
        let checked = check_json(payload.clone());
        // No payload is no field.
        prop_assert_eq!(checked.is_ok(), sent && !payload.is_empty());
        if let Ok(checked) = checked {
            let before: serde_json::Result<serde_json::Value> = serde_json::from_slice(&payload);
            let after: serde_json::Result<serde_json::Value> = serde_json::from_slice(&checked);
            prop_assert_eq!(before.ok(), after.ok());
        }
    }
}
