//! Compressed messages: permessage-deflate (RFC 7692), compressed once and sent over and over.

use clap::ValueEnum;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::{
    cycle::{Cycle, push_frame_with},
    wrong::Wrong,
};

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deflate {
    /// No context is taken over, in neither direction
    Shared,
    /// Every connection keeps its context, in both directions
    Own,
}

impl Deflate {
    /// The value of `Sec-WebSocket-Extensions`.
    pub(crate) fn offer(self) -> &'static str {
        match self {
            Self::Shared => {
                "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
            }
            Self::Own => "permessage-deflate",
        }
    }
}

/// A cycle of compressed frames. What comes back is compressed by the server, in its own way: what is expected
/// are payloads, not frames. A compressor may leave its context unused, so the same frames fit both offers.
pub(crate) fn cycle(bytes: usize) -> Cycle {
    let mut sent = Vec::new();
    let mut lengths = Vec::new();
    let mut expected = Vec::new();
    for index in 0..FRAMES {
        let message = json(bytes, index);
        let mask = [0x37, 0xfa, index as u8 ^ 0x21, 0x3d];
        let start = sent.len();
        push_frame_with(&mut sent, FIN_RSV1_TEXT, &squeeze(&message), Some(mask));
        lengths.push(sent.len() - start);
        expected.extend_from_slice(&message);
    }
    Cycle::of(sent, lengths, expected)
}

fn squeeze(message: &[u8]) -> Vec<u8> {
    let mut squeezed = Vec::with_capacity(message.len() + ROOM_BYTES);
    Compress::new(Compression::new(6), false)
        .compress_vec(message, &mut squeezed, FlushCompress::Sync)
        .expect("memory is enough");
    // RFC 7692 section 7.2.1: the empty block at the end isn't sent.
    squeezed.truncate(squeezed.len() - TAIL.len());
    squeezed
}

/// What people send: objects of numbers and words, many much alike and none the same.
fn json(bytes: usize, index: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut number = 0;
    while text.len() < bytes {
        let value = (index * 7919 + number * 104_729) % 99_991;
        let river = ["Fraser", "Skeena", "Nass", "Adams"][value % 4];
        text += &format!(r#"{{"id":{number},"river":"{river}","count":{value},"open":true}},"#);
        number += 1;
    }
    text.truncate(bytes.max(1) - 1);
    text.push(']');
    text.into_bytes()
}

/// What comes back on one connection, taken apart.
#[derive(Debug)]
pub(crate) struct Unsqueezer {
    deflate: Deflate,
    /// Of every so many connections one is inflated; of the others the frames are looked at.
    inflater: Option<Decompress>,
    /// The header that is coming: 0 to 10 bytes.
    head: Vec<u8>,
    /// Payload bytes that are missing; only with a whole header.
    missing: Option<usize>,
    payload: Vec<u8>,
    message: Vec<u8>,
    /// The message of the cycle that comes next.
    next: usize,
}

impl Unsqueezer {
    /// For the connection of that number.
    pub(crate) fn new(deflate: Deflate, number: usize) -> Self {
        Self {
            deflate,
            inflater: number
                .is_multiple_of(INFLATED_EVERY)
                .then(|| Decompress::new(false)),
            head: Vec::new(),
            missing: None,
            payload: Vec::new(),
            message: Vec::new(),
            next: 0,
        }
    }

    /// Takes what came. The messages that became whole by it.
    pub(crate) fn handle(&mut self, mut bytes: &[u8], cycle: &Cycle) -> Result<usize, Wrong> {
        let mut whole = 0;
        loop {
            let Some(missing) = &mut self.missing else {
                let Some((first, rest)) = bytes.split_first() else {
                    return Ok(whole);
                };
                self.head.push(*first);
                bytes = rest;
                self.missing = length(&self.head);
                continue;
            };
            let count = bytes.len().min(*missing);
            let (now, rest) = bytes.split_at(count);
            if self.inflater.is_some() {
                self.payload.extend_from_slice(now);
            }
            *missing -= count;
            bytes = rest;
            if *missing > 0 {
                return Ok(whole);
            }
            self.finish(cycle)?;
            whole += 1;
        }
    }

    fn finish(&mut self, cycle: &Cycle) -> Result<(), Wrong> {
        if self.head[0] != FIN_RSV1_TEXT {
            return Err(Wrong::Answer(format!(
                "a frame that begins with {:02x}, not a whole compressed text",
                self.head[0]
            )));
        }
        self.head.clear();
        self.missing = None;
        let expected = &cycle.expected[self.next * cycle.expected_frame..][..cycle.expected_frame];
        self.next = (self.next + 1) % cycle.frames();
        let Some(inflater) = &mut self.inflater else {
            return Ok(());
        };
        self.payload.extend_from_slice(&TAIL);
        if self.deflate == Deflate::Shared {
            inflater.reset(false);
        }
        self.message.clear();
        self.message.reserve(expected.len() + ROOM_BYTES);
        inflater
            .decompress_vec(&self.payload, &mut self.message, FlushDecompress::Sync)
            .map_err(|error| Wrong::Answer(format!("not deflate: {error}")))?;
        self.payload.clear();
        if self.message != expected {
            return Err(Wrong::differs(&self.message, expected));
        }
        Ok(())
    }
}

/// The payload's length, if the header of an unmasked frame is whole (RFC 6455 section 5.2).
fn length(head: &[u8]) -> Option<usize> {
    let long = |digits: &[u8]| {
        digits
            .iter()
            .fold(0, |length, &digit| length << 8 | usize::from(digit))
    };
    match (head.get(1)? & 0x7f, head.len()) {
        (126, 4) => Some(long(&head[2..])),
        (127, 10) => Some(long(&head[2..])),
        (126 | 127, _) => None,
        (short, _) => Some(usize::from(short)),
    }
}

/// FIN, RSV1 (compressed), text.
const FIN_RSV1_TEXT: u8 = 0xc1;

/// RFC 7692 section 7.2.1: what the sender leaves out.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Messages before they repeat: more than a window of 32 KiB holds of a kibibyte each.
const FRAMES: usize = 64;

/// Connections. To inflate every answer would make the load generator dearer than the server.
const INFLATED_EVERY: usize = 16;

/// Bytes that deflate may need beyond the message itself.
const ROOM_BYTES: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_squeezed_is_recognised_byte_by_byte() {
        let cycle = cycle(1024);
        let mut unsqueezer = Unsqueezer::new(Deflate::Shared, 0);
        for index in [0, 1] {
            let mut frame = Vec::new();
            push_frame_with(
                &mut frame,
                FIN_RSV1_TEXT,
                &squeeze(&json(1024, index)),
                None,
            );
            let whole: usize = frame
                .iter()
                .map(|byte| unsqueezer.handle(&[*byte], &cycle).expect("it fits"))
                .sum();
            assert_eq!(whole, 1);
        }
        let mut frame = Vec::new();
        push_frame_with(&mut frame, FIN_RSV1_TEXT, &squeeze(&json(1024, 5)), None);
        assert!(unsqueezer.handle(&frame, &cycle).is_err());
    }
}
