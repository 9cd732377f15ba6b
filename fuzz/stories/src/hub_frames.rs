//! A frame of the Centrifugal client protocol, decoded as the hub and as a client decode it.

use bytes::Bytes;
use sockeye_hub::wire::{
    Command, CommandLimits, EmulationRequest, EncodeError, Encoding, Reply, RpcResult, check_json,
};

/// Decodes `data` as JSON, and as a payload.
///
/// # Panics
/// If what was decoded can't be encoded, or comes back as something else; or if a payload that passes the check can't be
/// sent.
pub fn hub_json(data: &[u8]) {
    hub_frame(Encoding::Json, data);

    let Ok(payload) = check_json(Bytes::copy_from_slice(data)) else {
        return;
    };
    let reply = Reply {
        rpc: Some(RpcResult { data: payload }),
        ..Reply::default()
    };
    assert_eq!(repeated(Encoding::Json, &reply), reply);
}

/// Decodes `data` as Protobuf.
///
/// # Panics
/// If what was decoded can't be encoded, or comes back as something else; or if it splits a frame of JSON.
pub fn hub_protobuf(data: &[u8]) {
    hub_frame(Encoding::Protobuf, data);
}

fn hub_frame(encoding: Encoding, data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let limits = CommandLimits::default();
    let mut objects = 0;
    for command in encoding.decode_commands(frame.clone(), limits) {
        objects += 1;
        let Ok(command) = command else { continue };
        let mut encoded = Vec::new();
        encoding
            .encode_command(&command, &mut encoded)
            .expect("payloads that came in this encoding");
        let again: Vec<Command> = encoding
            .decode_commands(encoded.into(), limits)
            .map(|command| command.expect("what was just encoded"))
            .collect();
        // A carriage return between two tokens of a payload is left out, so only the first time changes something.
        if encoding == Encoding::Protobuf || !data.contains(&b'\r') {
            assert_eq!(again, [command]);
        }
        assert_eq!(again.len(), 1, "one object");
    }
    assert!((1..=data.len().max(1)).contains(&objects), "{objects}");

    for reply in encoding.decode_replies(frame.clone()).flatten() {
        if encoding == Encoding::Protobuf || !data.contains(&b'\r') {
            assert_eq!(repeated(encoding, &reply), reply);
        }
        let mut json = Vec::new();
        match Encoding::Json.encode_reply(&reply, &mut json) {
            Ok(()) => assert!(!json.iter().any(|byte| matches!(byte, b'\n' | b'\r'))),
            Err(error) => {
                assert_eq!(error, EncodeError::NotJson);
                assert!(encoding == Encoding::Protobuf && json.is_empty());
            }
        }
    }
    let _ = EmulationRequest::decode(encoding, frame);
}

/// Returns `reply` encoded and decoded.
fn repeated(encoding: Encoding, reply: &Reply) -> Reply {
    let mut encoded = Vec::new();
    encoding
        .encode_reply(reply, &mut encoded)
        .expect("payloads that came in this encoding");
    let mut replies = encoding.decode_replies(encoded.into());
    let again = replies.next().expect("a reply").expect("a reply");
    assert!(replies.next().is_none(), "one object");
    again
}
