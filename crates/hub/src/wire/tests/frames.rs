//! Frames: what separates objects, what is tolerated, what is refused.

use bytes::Bytes;

use super::hex;
use crate::wire::{
    Command, CommandLimits, DecodeError, EmulationRequest, EncodeError, Encoding, FilterNode,
    Publication, Push, Reply, RpcResult, SendRequest, SubscribeRequest,
};

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::Protobuf];

fn decode(encoding: Encoding, frame: impl Into<Bytes>) -> Vec<Result<Command, DecodeError>> {
    encoding
        .decode_commands(frame.into(), CommandLimits::default())
        .collect()
}

/// Decodes JSON that holds one command.
#[track_caller]
fn command(json: &str) -> Command {
    let mut commands = decode(Encoding::Json, json.to_owned());
    assert_eq!(commands.len(), 1, "{json}");
    commands.remove(0).expect(json)
}

#[track_caller]
fn assert_malformed(encoding: Encoding, frame: impl Into<Bytes>) {
    let commands = decode(encoding, frame);
    assert!(
        matches!(commands[..], [Err(DecodeError::Malformed(_))]),
        "{commands:?}"
    );
}

fn with_id(id: u32) -> Command {
    Command {
        id,
        ..Command::default()
    }
}

fn rpc_reply(payload: &'static [u8]) -> Reply {
    Reply {
        id: 1,
        rpc: Some(RpcResult {
            data: payload.into(),
        }),
        ..Reply::default()
    }
}

#[test]
fn an_empty_frame_is_refused() {
    for encoding in BOTH {
        assert_eq!(decode(encoding, ""), [Err(DecodeError::Empty)]);
        assert_eq!(
            encoding.decode_replies(Bytes::new()).collect::<Vec<_>>(),
            [Err(DecodeError::Empty)]
        );
    }
}

#[test]
fn a_ping_is_an_empty_reply_and_a_pong_an_empty_command() {
    for encoding in BOTH {
        let mut frame = Vec::new();
        encoding
            .encode_reply(&Reply::default(), &mut frame)
            .expect("a reply");
        assert_eq!(frame, encoding.ping());

        let pong = decode(encoding, encoding.ping());
        assert_eq!(pong, [Ok(Command::default())]);
        assert!(pong[0].as_ref().expect("a command").is_pong());
    }
    assert_eq!(Encoding::Json.ping(), b"{}");
    assert_eq!(Encoding::Protobuf.ping(), [0]);
    assert!(!with_id(1).is_pong());
    let send = Command {
        send: Some(SendRequest::default()),
        ..Command::default()
    };
    assert!(!send.is_pong());
}

#[test]
fn json_joins_objects_by_one_newline() {
    assert_eq!(
        decode(Encoding::Json, "{\"id\":1}\n{\"id\":2}"),
        [Ok(with_id(1)), Ok(with_id(2))]
    );
    let mut frame = Vec::new();
    for id in [1, 2] {
        let reply = Reply {
            id,
            ..Reply::default()
        };
        Encoding::Json
            .encode_reply(&reply, &mut frame)
            .expect("a reply");
    }
    assert_eq!(frame, b"{\"id\":1}\n{\"id\":2}");
}

#[test]
fn protobuf_puts_the_length_before_each_object() {
    assert_eq!(
        decode(Encoding::Protobuf, hex("02 08 01 00 03 08 ac02")),
        [Ok(with_id(1)), Ok(with_id(0)), Ok(with_id(300))]
    );
    let mut frame = Vec::new();
    Encoding::Protobuf
        .encode_reply(&rpc_reply(b"ab"), &mut frame)
        .expect("a reply");
    Encoding::Protobuf
        .encode_reply(&Reply::default(), &mut frame)
        .expect("a reply");
    assert_eq!(frame, hex("08 08 01 6a 04 0a 02 6162 00"));
}

#[test]
fn objects_encoded_alone_can_be_joined() {
    for encoding in BOTH {
        let mut alone = Vec::new();
        let mut joined = Vec::new();
        for payload in [&b"1"[..], b"2"] {
            let mut object = Vec::new();
            encoding
                .encode_reply(&rpc_reply(payload), &mut object)
                .expect("a reply");
            encoding.append_encoded(&object, &mut joined);
            encoding
                .encode_reply(&rpc_reply(payload), &mut alone)
                .expect("a reply");
        }
        assert_eq!(joined, alone);
    }
}

#[test]
fn json_tolerates_blanks_around_an_object_and_one_newline_at_the_end() {
    for frame in [
        " \t{\"id\":1}\r ",
        "{\"id\":1}\n",
        "{\"id\":1}\r\n",
        "{ \"id\" : 1 }",
    ] {
        assert_eq!(decode(Encoding::Json, frame), [Ok(with_id(1))], "{frame:?}");
    }
}

#[test]
fn json_refuses_lines_without_an_object() {
    for frame in [
        "\n",
        " ",
        "\n{\"id\":1}",
        "null",
        "[]",
        "1",
        "\"a\"",
        "{\n}",
    ] {
        assert_malformed(Encoding::Json, frame);
    }
    let commands = decode(Encoding::Json, "{\"id\":1}\n\n{\"id\":2}");
    assert_eq!(commands.len(), 2);
    assert_eq!(commands[0], Ok(with_id(1)));
    assert!(matches!(commands[1], Err(DecodeError::Malformed(_))));
}

#[test]
fn json_refuses_what_follows_an_object_on_its_line() {
    assert_malformed(Encoding::Json, "{}{}");
    assert_malformed(Encoding::Json, "{},{}");
    assert_malformed(Encoding::Json, "{}x");
}

#[test]
fn unknown_fields_are_ignored() {
    assert_eq!(
        command(r#"{"id":1,"new":{"id":[2,"\ud800",{}]},"method":1}"#),
        with_id(1)
    );
    // Field 2 as varint, 3 as bytes, 100 as 64 and 101 as 32 bits.
    assert_eq!(
        decode(
            Encoding::Protobuf,
            hex("17 08 01 10 05 1a 01 61 a106 0000000000000000 ad06 00000000")
        ),
        [Ok(with_id(1))]
    );
}

#[test]
fn of_two_fields_with_one_name_the_last_counts() {
    assert_eq!(command(r#"{"id":1,"id":2}"#), with_id(2));
    assert_eq!(
        decode(Encoding::Protobuf, hex("04 08 01 08 02")),
        [Ok(with_id(2))]
    );
}

#[test]
fn names_may_hold_escapes() {
    assert_eq!(command(r#"{"\u0069d":1}"#), with_id(1));
}

#[test]
fn null_is_an_absent_field_and_a_payload() {
    assert_eq!(command(r#"{"id":1,"connect":null,"rpc":null}"#), with_id(1));
    assert_eq!(command(r#"{"id":null}"#), with_id(0));
    let nulls = command(
        r#"{"connect":{"token":null,"subs":null,"headers":null,"flag":null},"subscribe":{"recover":null,"tf":null,"limit":null}}"#,
    );
    assert_eq!(nulls, command(r#"{"connect":{},"subscribe":{}}"#));
    let publish = command(r#"{"publish":{"data":null}}"#)
        .publish
        .expect("a publish command");
    assert_eq!(publish.data, "null");
}

#[test]
fn json_payloads_are_passed_on_as_they_stand() {
    for payload in [
        "{ \"b\" : 1, \"a\":[1 ,2], \"b\":2 }",
        "123456789012345678901234567890",
        "\"\u{2028} \\ud800 \\u0041 \\/\"",
        "1.0",
    ] {
        let publish = command(&format!("{{\"publish\":{{\"data\":  {payload}  }}}}"))
            .publish
            .expect("a publish command");
        assert_eq!(publish.data, payload);

        let reply = Reply {
            push: Some(Push {
                r#pub: Some(Publication {
                    data: publish.data,
                    ..Publication::default()
                }),
                ..Push::default()
            }),
            ..Reply::default()
        };
        let mut frame = Vec::new();
        Encoding::Json
            .encode_reply(&reply, &mut frame)
            .expect("a reply");
        assert_eq!(
            frame,
            format!("{{\"push\":{{\"pub\":{{\"data\":{payload}}}}}}}").as_bytes()
        );
    }
}

#[test]
fn a_payload_with_line_ends_does_not_split_a_json_frame() {
    let mut frame = Vec::new();
    Encoding::Json
        .encode_reply(&rpc_reply(b"{\r\n  \"a\": \"\\n\"\n}\n"), &mut frame)
        .expect("a reply");
    assert_eq!(frame, br#"{"id":1,"rpc":{"data":{  "a": "\n"}}}"#);
}

#[test]
fn a_payload_that_is_not_json_reaches_protobuf_clients_only() {
    for payload in [&b"\xff\0"[..], b"{", b"a", b"1 2", b"\n", b"\"\xff\""] {
        let mut frame = b"{}".to_vec();
        assert_eq!(
            Encoding::Json.encode_reply(&rpc_reply(payload), &mut frame),
            Err(EncodeError::NotJson)
        );
        assert_eq!(frame, b"{}", "the frame is as it was");

        let mut frame = Vec::new();
        Encoding::Protobuf
            .encode_reply(&rpc_reply(payload), &mut frame)
            .expect("a reply");
        let replies: Vec<_> = Encoding::Protobuf.decode_replies(frame.into()).collect();
        assert_eq!(replies, [Ok(rpc_reply(payload))]);
    }
}

#[test]
fn protobuf_payloads_are_slices_of_the_frame() {
    let frame = hex("0a 08 01 6a 06 0a 04 61626364");
    let command = Encoding::Protobuf
        .decode_commands(frame.clone(), CommandLimits::default())
        .next()
        .expect("a command")
        .expect("a command");
    let payload = command.rpc.expect("an rpc command").data;
    assert_eq!(payload, "abcd");
    assert_eq!(payload.as_ptr(), frame[7..].as_ptr());
}

/// HUB 4, scenario 27.
#[test]
fn a_length_beyond_the_frame_is_refused() {
    for frame in [
        "01",
        "03 08 01",
        "80",
        "ffffffff07",
        "ffffffffffffffff7f",
        "ffffffffffffffffff01",
        // More than ten bytes are no varint.
        "ffffffffffffffffffff01",
    ] {
        assert_eq!(
            decode(Encoding::Protobuf, hex(frame)),
            [Err(DecodeError::Truncated)],
            "{frame}"
        );
    }
    // Within an object: a connect request, a token, a payload and an entry of a map that claim a gigabyte.
    for frame in [
        "06 22 8080808004",
        "08 22 06 0a 8080808004",
        "08 22 06 12 8080808004",
        "08 22 06 1a 8080808004",
    ] {
        assert_malformed(Encoding::Protobuf, hex(frame));
    }
}

#[test]
fn protobuf_of_a_wrong_type_is_refused() {
    for frame in [
        // id as bytes.
        "03 0a 01 61",
        // connect as varint.
        "02 20 01",
        // A channel that isn't UTF-8.
        "05 2a 03 0a 01 ff",
        // Field number 0.
        "02 00 01",
        // The end of a group that hasn't begun.
        "01 0c",
    ] {
        assert_malformed(Encoding::Protobuf, hex(frame));
    }
}

#[test]
fn json_of_a_wrong_type_is_refused() {
    for json in [
        r#"{"id":"1"}"#,
        r#"{"id":-1}"#,
        r#"{"id":1.5}"#,
        r#"{"id":4294967296}"#,
        r#"{"connect":[]}"#,
        r#"{"connect":["token"]}"#,
        r#"{"connect":{"token":1}}"#,
        r#"{"subscribe":{"channel":"\ud800"}}"#,
        r#"{"subscribe":{"recover":1}}"#,
        r#"{"connect":{"subs":{"a":null}}}"#,
        r#"{"publish":{"data":}}"#,
        r#"{"publish":{"data":01}}"#,
    ] {
        assert_malformed(Encoding::Json, json);
    }
}

#[test]
fn nothing_follows_an_error() {
    let mut commands = Encoding::Json.decode_commands(
        Bytes::from_static(b"{\"id\":1}\n{\n{\"id\":2}"),
        CommandLimits::default(),
    );
    assert_eq!(commands.next(), Some(Ok(with_id(1))));
    assert!(matches!(
        commands.next(),
        Some(Err(DecodeError::Malformed(_)))
    ));
    assert_eq!(commands.next(), None);
}

#[test]
fn commands_beyond_the_limit_are_refused() {
    let limits = CommandLimits {
        commands_max: 2,
        ..CommandLimits::default()
    };
    for (encoding, frame) in [
        (Encoding::Json, Bytes::from_static(b"{}\n{}\n{}\n{}")),
        (Encoding::Protobuf, Bytes::from_static(&[0, 0, 0, 0])),
    ] {
        assert_eq!(
            encoding.decode_commands(frame, limits).collect::<Vec<_>>(),
            [
                Ok(Command::default()),
                Ok(Command::default()),
                Err(DecodeError::TooManyCommands)
            ]
        );
    }
}

#[test]
fn a_hundred_thousand_commands_are_decoded_one_at_a_time() {
    let frame = vec!["{\"id\":1,\"subscribe\":{\"channel\":\"c\"}}"; 100_000].join("\n");
    let limits = CommandLimits {
        commands_max: 100_000,
        ..CommandLimits::default()
    };
    let commands = Encoding::Json.decode_commands(frame.into(), limits);
    assert!(
        size_of_val(&commands) < 128,
        "it holds no decoded command: {} bytes",
        size_of_val(&commands)
    );
    assert_eq!(commands.filter(Result::is_ok).count(), 100_000);
}

/// Returns a filter of `depth` levels.
fn nested(depth: u32) -> FilterNode {
    (1..depth).fold(FilterNode::default(), |inner, _| FilterNode {
        op: "not".into(),
        nodes: vec![inner],
        ..FilterNode::default()
    })
}

fn filtered(filter: FilterNode) -> Command {
    Command {
        subscribe: Some(SubscribeRequest {
            tf: Some(filter),
            ..SubscribeRequest::default()
        }),
        ..Command::default()
    }
}

#[track_caller]
fn assert_filter(filter: FilterNode, expected: Result<(), DecodeError>) {
    for encoding in BOTH {
        let command = filtered(filter.clone());
        let mut frame = Vec::new();
        encoding
            .encode_command(&command, &mut frame)
            .expect("a command");
        assert_eq!(
            decode(encoding, frame),
            [expected.clone().map(|()| command)],
            "{encoding:?}"
        );
    }
}

#[test]
fn filters_beyond_the_limits_are_refused() {
    let limits = CommandLimits::default();
    let leaves = |count: u32| FilterNode {
        op: "or".into(),
        nodes: vec![FilterNode::default(); count as usize],
        ..FilterNode::default()
    };
    let values = |count: u32| FilterNode {
        vals: vec!["v".into(); count as usize],
        ..FilterNode::default()
    };
    assert_filter(nested(limits.filter_depth_max), Ok(()));
    assert_filter(
        nested(limits.filter_depth_max + 1),
        Err(DecodeError::FilterTooDeep),
    );
    assert_filter(leaves(limits.filter_nodes_max - 1), Ok(()));
    assert_filter(
        leaves(limits.filter_nodes_max),
        Err(DecodeError::FilterTooLarge),
    );
    assert_filter(values(limits.filter_values_max), Ok(()));
    assert_filter(
        values(limits.filter_values_max + 1),
        Err(DecodeError::FilterTooLarge),
    );
    assert_filter(values(100_000), Err(DecodeError::FilterTooLarge));
}

#[test]
fn filters_in_a_connect_request_have_the_same_limits() {
    let frame = r#"{"connect":{"subs":{"a":{"tf":{}},"b":{"tf":{"nodes":[{}]}}}}}"#;
    let limits = |filter_nodes_max| CommandLimits {
        filter_nodes_max,
        ..CommandLimits::default()
    };
    let first = |limits| Encoding::Json.decode_commands(frame.into(), limits).next();
    assert!(matches!(first(limits(3)), Some(Ok(_))));
    assert_eq!(first(limits(2)), Some(Err(DecodeError::FilterTooLarge)));
}

/// HUB 4, scenario 27.
#[test]
fn the_parsers_stop_at_deep_filters_before_the_limits_are_checked() {
    let limits = CommandLimits {
        filter_depth_max: u32::MAX,
        ..CommandLimits::default()
    };
    let depth = 10_000;
    let json = "{\"subscribe\":{\"tf\":".to_owned()
        + &"{\"nodes\":[".repeat(depth)
        + &"]}".repeat(depth)
        + "}}";
    let mut protobuf = Vec::new();
    for _ in 0..depth {
        let mut outer = vec![0x32];
        prost::encode_length_delimiter(protobuf.len(), &mut outer).expect("room");
        outer.append(&mut protobuf);
        protobuf = outer;
    }
    for number in [0x6a, 0x2a] {
        let mut outer = vec![number];
        prost::encode_length_delimiter(protobuf.len(), &mut outer).expect("room");
        outer.append(&mut protobuf);
        protobuf = outer;
    }
    let mut frame = Vec::new();
    prost::encode_length_delimiter(protobuf.len(), &mut frame).expect("room");
    frame.append(&mut protobuf);

    for (encoding, frame) in [
        (Encoding::Json, json.into()),
        (Encoding::Protobuf, Bytes::from(frame)),
    ] {
        let commands: Vec<_> = encoding.decode_commands(frame, limits).collect();
        assert!(
            matches!(commands[..], [Err(DecodeError::Malformed(_))]),
            "{commands:?}"
        );
    }
}

#[test]
fn the_deepest_filter_that_is_encoded_can_be_decoded() {
    let limits = CommandLimits {
        filter_depth_max: u32::MAX,
        ..CommandLimits::default()
    };
    let in_connect = |filter| Command {
        connect: Some(crate::wire::ConnectRequest {
            subs: [(
                "c".to_owned(),
                SubscribeRequest {
                    tf: Some(filter),
                    ..SubscribeRequest::default()
                },
            )]
            .into_iter()
            .collect(),
            ..Default::default()
        }),
        ..Command::default()
    };
    for encoding in BOTH {
        let command = in_connect(nested(60));
        let mut frame = Vec::new();
        encoding
            .encode_command(&command, &mut frame)
            .expect("60 levels");
        let decoded: Vec<_> = encoding.decode_commands(frame.into(), limits).collect();
        assert_eq!(decoded, [Ok(command)]);

        let mut frame = Vec::new();
        assert_eq!(
            encoding.encode_command(&in_connect(nested(61)), &mut frame),
            Err(EncodeError::FilterTooDeep)
        );
        assert!(frame.is_empty());
    }
}

#[test]
fn an_emulation_request_holds_a_frame() {
    let expected = EmulationRequest {
        node: "n".into(),
        session: "s".into(),
        data: "{}\n{\"id\":1}".into(),
    };
    assert_eq!(
        EmulationRequest::decode(
            Encoding::Json,
            r#"{"session":"s","node":"n","data":"{}\n{\"id\":1}"}"#.into()
        ),
        Ok(expected.clone())
    );
    assert_eq!(
        EmulationRequest::decode(
            Encoding::Protobuf,
            hex("0a 01 6e 12 01 73 1a 0b 7b7d 0a 7b226964223a317d")
        ),
        Ok(expected)
    );
}

#[test]
fn an_emulation_request_that_makes_no_sense_is_refused() {
    for encoding in BOTH {
        assert_eq!(
            EmulationRequest::decode(encoding, Bytes::new()),
            Err(DecodeError::Empty)
        );
    }
    for body in [
        r#"{"data":{}}"#,
        r#"{"data":1}"#,
        r#"{"data":null}"#,
        r#"{"node":"n"}"#,
        r#"{"data":"\ud800"}"#,
        r#"{"node":1,"data":"{}"}"#,
        "{",
    ] {
        assert!(
            matches!(
                EmulationRequest::decode(Encoding::Json, body.into()),
                Err(DecodeError::Malformed(_))
            ),
            "{body}"
        );
    }
}

#[test]
fn a_push_can_go_without_a_reply_around_it() {
    let push = Push {
        channel: "c".into(),
        r#pub: Some(Publication {
            data: "1".into(),
            ..Publication::default()
        }),
        ..Push::default()
    };
    let mut frame = Vec::new();
    Encoding::Json
        .encode_push(&push, &mut frame)
        .expect("a push");
    assert_eq!(frame, br#"{"channel":"c","pub":{"data":1}}"#);
    let mut frame = Vec::new();
    Encoding::Protobuf
        .encode_push(&push, &mut frame)
        .expect("a push");
    assert_eq!(frame, hex("08 12 01 63 22 03 22 01 31"));
}

#[test]
fn names_are_those_of_the_protocol() {
    assert_eq!(Encoding::Json.subprotocol(), "centrifuge-json");
    assert_eq!(Encoding::Protobuf.subprotocol(), "centrifuge-protobuf");
    assert!(!Encoding::Json.is_binary());
    assert!(Encoding::Protobuf.is_binary());
}
