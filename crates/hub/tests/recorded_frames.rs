//! Frames that another server of the protocol sent: they are decoded whole, and encoded as that server encoded them.

use bytes::Bytes;
use serde_json::Value;
use sockeye_hub::wire::{Encoding, Reply};

const FRAMES: &str = include_str!("recorded/frames.txt");

#[test]
fn replies_of_another_server_are_encoded_as_it_encodes_them() {
    let mut count = 0;
    for line in FRAMES.lines() {
        let Some((name, frame)) = line.split_once(' ') else {
            continue;
        };
        let (encoding, frame) = match name {
            "json" => (Encoding::Json, frame.as_bytes().to_vec()),
            "protobuf" => (Encoding::Protobuf, bytes_of(frame)),
            _ => continue,
        };
        let replies = decode(encoding, frame.clone());
        let mut again = Vec::new();
        for reply in &replies {
            encoding.encode_reply(reply, &mut again).expect(line);
        }
        if encoding == Encoding::Json {
            let before: Value = serde_json::from_slice(&frame).expect(line);
            let after: Value = serde_json::from_slice(&again).expect(line);
            // The same fields, none left out and none added.
            assert_eq!(after, before, "{line}");
        }
        // The entries of a map can be in another order.
        assert_eq!(again.len(), frame.len(), "{line}");
        assert_eq!(decode(encoding, again), replies, "{line}");
        count += 1;
    }
    assert!(count > 60, "{count} frames");
}

fn decode(encoding: Encoding, frame: Vec<u8>) -> Vec<Reply> {
    encoding
        .decode_replies(Bytes::from(frame))
        .map(|reply| reply.expect("a reply"))
        .collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}
