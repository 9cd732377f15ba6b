//! How much memory an unfinished message may hold, and how long it may take.

use std::time::Duration;

use sockeye_proto::{
    Event, Input, Limits, Pace, ProtocolError, ReadState, Receiver, Role,
    extension::{DeflateParams, Deflater, End, Pool, Takeover},
};

use crate::{s6_frames::GENEROUS, story::from_peer};

const MESSAGE_BYTES_MAX: usize = 16 << 20;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.message_bytes_max = MESSAGE_BYTES_MAX;
    limits
}

fn compressing() -> Receiver {
    let params = DeflateParams {
        client_no_context_takeover: true,
        ..GENEROUS
    };
    Receiver::new(Role::Server, Some(params))
}

/// Returns a message that is compressed without context.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(15, Takeover::No, 6).deflate(&mut Pool::new(), payload, End::Yes, &mut out);
    out
}

/// Gives these bytes of the peer to a receiver, in pieces of `piece` bytes, and returns its whole messages or its error.
fn receive(
    receiver: &mut Receiver,
    wire: &mut [u8],
    piece: usize,
) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let (limits, mut pool) = (limits(), Pool::new());
    let mut messages = Vec::new();
    for piece in wire.chunks_mut(piece) {
        let mut input = Input::new(piece);
        while let Some(event) = receiver.poll_event(&mut input, &mut pool, &limits)? {
            if let Event::Message(message) = event {
                messages.push(message.as_bytes().to_vec());
            }
        }
    }
    Ok(messages)
}

/// Otherwise a few kilobytes would hold as much memory as the largest message, for as long as their sender likes.
#[test]
fn a_compressed_message_that_never_ends_holds_little_more_than_was_sent() {
    let bomb = deflated(&vec![0; MESSAGE_BYTES_MAX - 1]);
    assert!(bomb.len() < 17_000);
    for (first, kind) in [(0x41, "text"), (0x42, "binary")] {
        for piece in [1, 100, 1400, usize::MAX] {
            let mut receiver = compressing();
            let mut wire = from_peer(Role::Server, &[(first, &bomb)]);
            let messages = receive(&mut receiver, &mut wire, piece).unwrap();
            assert!(messages.is_empty());
            let held = receiver.held_bytes();
            assert!(held > bomb.len(), "{held} bytes are counted");
            assert!(held < 512 << 10, "{kind} in {piece}: {held} bytes are held");
            // The compressed bytes that waited are not lost.
            let mut wire = from_peer(Role::Server, &[(0x80, b"")]);
            let messages = receive(&mut receiver, &mut wire, piece).unwrap();
            assert_eq!(messages.len(), 1);
            assert!(messages[0].len() == MESSAGE_BYTES_MAX - 1);
            assert!(messages[0].iter().all(|byte| *byte == 0));
            assert_eq!(receiver.buffered_bytes(), 0);
        }
    }
}

#[test]
fn a_message_in_compressed_fragments_is_the_same_however_it_is_cut_and_however_well_it_is_compressed()
 {
    let zeros = vec![0; 300_000];
    let mixed: Vec<u8> = (0..600_000_u32)
        .map(|index| match index / 4096 % 2 {
            0 => 0,
            _ => (index.wrapping_mul(index) >> 7) as u8,
        })
        .collect();
    for payload in [zeros, mixed] {
        let compressed = deflated(&payload);
        let half = compressed.len() / 2;
        let frames: [(u8, &[u8]); 4] = [
            (0x42, &compressed[..1]),
            (0x00, &compressed[1..half]),
            (0x00, b""),
            (0x80, &compressed[half..]),
        ];
        for piece in [1, 7, 1000, 65_536, usize::MAX] {
            let mut wire = from_peer(Role::Server, &frames);
            let messages = receive(&mut compressing(), &mut wire, piece).unwrap();
            assert_eq!(messages.len(), 1);
            assert!(messages[0] == payload, "in pieces of {piece}");
        }
    }
}

/// Early if that costs no memory, otherwise at the end of the message.
#[test]
fn text_that_is_wrong_is_found_before_the_end_where_little_is_inflated() {
    let mut text = "a word and another one, number 17; "
        .repeat(500)
        .into_bytes();
    text.push(0xff);
    text.extend_from_slice(&[b'z'; 20_000]);
    let compressed = deflated(&text);
    let mut wire = from_peer(Role::Server, &[(0x41, &compressed)]);
    let result = receive(&mut compressing(), &mut wire, 1000);
    assert_eq!(result, Err(ProtocolError::InvalidUtf8));
    let mut late = vec![b'z'; 2 << 20];
    late.push(0xff);
    let compressed = deflated(&late);
    let mut receiver = compressing();
    let mut wire = from_peer(Role::Server, &[(0x41, &compressed)]);
    assert_eq!(receive(&mut receiver, &mut wire, 1000), Ok(Vec::new()));
    let mut wire = from_peer(Role::Server, &[(0x80, b"")]);
    let result = receive(&mut receiver, &mut wire, 1000);
    assert_eq!(result, Err(ProtocolError::InvalidUtf8));
}

const SECOND: Duration = Duration::from_secs(1);

/// Returns the beginning of a binary message of 1 MiB.
fn begun() -> Receiver {
    let mut receiver = Receiver::new(Role::Server, None);
    // The masking key is zero.
    let mut wire = vec![0x82, 0xff];
    wire.extend((1_u64 << 20).to_be_bytes());
    wire.extend([0; 4]);
    assert_eq!(
        receive(&mut receiver, &mut wire, usize::MAX),
        Ok(Vec::new())
    );
    receiver
}

#[test]
fn a_message_that_stops_is_too_slow_after_the_timeout_and_not_before() {
    let mut receiver = begun();
    let mut look =
        |seconds| receiver.handle_timeout(seconds * SECOND, ReadState::CaughtUp, &limits());
    assert_eq!(look(100), Pace::Enough);
    assert_eq!(look(130), Pace::Enough);
    assert_eq!(look(159), Pace::Enough);
    assert_eq!(look(160), Pace::TooSlow);
}

#[test]
fn a_message_that_comes_on_may_take_as_long_as_it_needs() {
    let limits = limits();
    // A little more than 1 KiB a second, then a little less.
    for (each_quarter, pace) in [(16 << 10, Pace::Enough), (14 << 10, Pace::TooSlow)] {
        let mut receiver = begun();
        let mut last = Pace::Enough;
        for quarter in 0..60_u32 {
            let now = quarter * 15 * SECOND;
            if last == Pace::Enough {
                last = receiver.handle_timeout(now, ReadState::CaughtUp, &limits);
                let mut payload = vec![7; each_quarter];
                receive(&mut receiver, &mut payload, usize::MAX).unwrap();
            }
        }
        assert_eq!(last, pace, "{each_quarter} bytes in 15 s");
    }
}

#[test]
fn while_reading_is_paused_no_message_is_late() {
    let mut receiver = begun();
    let limits = limits();
    let mut look =
        |seconds, read_state| receiver.handle_timeout(seconds * SECOND, read_state, &limits);
    assert_eq!(look(0, ReadState::CaughtUp), Pace::Enough);
    assert_eq!(look(59, ReadState::Paused), Pace::Enough);
    assert_eq!(look(110, ReadState::CaughtUp), Pace::Enough);
    assert_eq!(look(119, ReadState::CaughtUp), Pace::TooSlow);
}

#[test]
fn each_message_has_its_own_time() {
    let mut receiver = Receiver::new(Role::Server, None);
    for quarter in 0..20_u32 {
        // The end of one message and the beginning of the next.
        let (first, rest): (&[u8], &[u8]) = (b"\x81\x83\0\0\0\0a", b"bc");
        let mut wire = match quarter {
            0 => first.to_vec(),
            _ => [rest, first].concat(),
        };
        receive(&mut receiver, &mut wire, usize::MAX).unwrap();
        let pace = receiver.handle_timeout(quarter * 15 * SECOND, ReadState::CaughtUp, &limits());
        assert_eq!(pace, Pace::Enough);
    }
}

#[test]
fn nothing_under_way_is_never_late_nor_is_anything_with_a_timeout_without_end() {
    let mut receiver = Receiver::new(Role::Server, None);
    for seconds in [0, 1000] {
        let pace = receiver.handle_timeout(seconds * SECOND, ReadState::CaughtUp, &limits());
        assert_eq!(pace, Pace::Enough);
    }
    let mut limits = limits();
    limits.message_timeout = Duration::MAX;
    let mut receiver = begun();
    for seconds in [0, 1_000_000] {
        let pace = receiver.handle_timeout(seconds * SECOND, ReadState::CaughtUp, &limits);
        assert_eq!(pace, Pace::Enough);
    }
}
