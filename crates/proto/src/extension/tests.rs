//! Tests of deflater and inflater against each other, against RFC 7692's examples and against [`reference`].

mod reference;

use alloc::{format, vec, vec::Vec};

use proptest::prelude::*;
use reference::Reference;

use super::*;
use crate::Message;

/// Inflates one message that comes in these parts.
fn inflate(
    inflater: &mut Inflater,
    pool: &mut Pool,
    parts: &[&[u8]],
) -> Result<Vec<u8>, InflateError> {
    inflate_bounded(inflater, pool, parts, usize::MAX).map(|(text, _)| text)
}

/// Inflates one message, with `step_bytes` more room whenever there is none left. Returns the text and how often there was none.
fn inflate_bounded(
    inflater: &mut Inflater,
    pool: &mut Pool,
    parts: &[&[u8]],
    step_bytes: usize,
) -> Result<(Vec<u8>, usize), InflateError> {
    let mut text = Vec::new();
    let mut times_full = 0;
    for (index, part) in parts.iter().enumerate() {
        let end = if index + 1 == parts.len() {
            End::Yes
        } else {
            End::No
        };
        let mut input = *part;
        loop {
            let room = text.len().saturating_add(step_bytes);
            let progress = inflater.inflate(pool, &mut input, end, &mut text, room)?;
            assert!(text.len() <= room);
            match (progress, end) {
                (Progress::Full, _) => {
                    assert_eq!(text.len(), room);
                    times_full += 1;
                }
                (Progress::NeedInput, End::No) | (Progress::End, End::Yes) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(input.is_empty());
    }
    Ok((text, times_full))
}

fn deflate(deflater: &mut Deflater, pool: &mut Pool, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let last = parts.len() - 1;
    let ends = (0..parts.len()).map(|index| if index == last { End::Yes } else { End::No });
    parts
        .iter()
        .zip(ends)
        .map(|(part, end)| {
            let mut wire = Vec::new();
            deflater.deflate(pool, part, end, &mut wire);
            wire
        })
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace()
        .flat_map(|group| {
            let digits = group.as_bytes().chunks(2);
            digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        })
        .collect()
}

/// Returns text with repetitions at all distances up to some 100 KiB.
fn prose(bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut state = 1_u64;
    while text.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let word = state >> 33;
        text.extend_from_slice(
            format!("{{\"n\":{},\"w\":\"{:x}\"}},", word % 7, word % 999).as_bytes(),
        );
    }
    text.truncate(bytes);
    text
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7_u64;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn inflates_the_examples_of_rfc_7692() {
    let hello = hex("f2 48 cd c9 c9 07 00");
    let again = hex("f2 00 11 00 00");
    let stored = hex("00 05 00 fa ff 48 65 6c 6c 6f 00");
    let is_final = hex("f3 48 cd c9 c9 07 00 00");
    let two_blocks = hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00");
    let mut pool = Pool::new();
    let mut one = |inflater: &mut Inflater, wire: &[u8]| inflate(inflater, &mut pool, &[wire]);

    let mut kept = Inflater::new(15, Takeover::Yes);
    // Section 7.2.3.2: the second message refers to the first.
    for wire in [
        &hello,
        &again,
        &stored,
        &is_final,
        &again,
        &two_blocks,
        &again,
    ] {
        assert_eq!(one(&mut kept, wire).unwrap(), b"Hello");
    }
    let mut fresh = Inflater::new(15, Takeover::No);
    for wire in [&hello, &stored, &is_final, &two_blocks, &hello] {
        assert_eq!(one(&mut fresh, wire).unwrap(), b"Hello");
    }
    assert_eq!(one(&mut fresh, &again), Err(InflateError::Corrupt));
}

#[test]
fn empty_message_is_one_byte() {
    for takeover in [Takeover::Yes, Takeover::No] {
        let mut pool = Pool::new();
        let mut deflater = Deflater::new(15, takeover, 6);
        let mut inflater = Inflater::new(15, takeover);
        for _ in 0..3 {
            // Section 7.2.3.6.
            assert_eq!(deflate(&mut deflater, &mut pool, &[b""]), [[0x00]]);
            assert_eq!(inflate(&mut inflater, &mut pool, &[&[0x00]]).unwrap(), b"");
            // The section demands a byte, but some senders leave it out.
            assert_eq!(inflate(&mut inflater, &mut pool, &[b""]).unwrap(), b"");
        }
    }
}

#[test]
fn parts_may_be_empty() {
    let mut pool = Pool::new();
    let mut deflater = Deflater::new(15, Takeover::Yes, 6);
    let mut inflater = Inflater::new(15, Takeover::Yes);
    for parts in [
        &[&b""[..], b"Hello", b"", b" there", b""][..],
        &[b"", b"", b""],
        &[b"Hello", b""],
    ] {
        let wire = deflate(&mut deflater, &mut pool, parts);
        let wire: Vec<_> = wire.iter().map(Vec::as_slice).collect();
        let text = inflate(&mut inflater, &mut pool, &wire).unwrap();
        assert_eq!(text, parts.concat());
    }
}

#[test]
fn tail_that_a_sender_forgot_to_take_off_does_no_harm() {
    let wire = hex("f2 48 cd c9 c9 07 00 00 00 ff ff");
    let mut inflater = Inflater::new(15, Takeover::Yes);
    let mut pool = Pool::new();
    assert_eq!(
        inflate(&mut inflater, &mut pool, &[&wire]).unwrap(),
        b"Hello"
    );
    let (start, tail) = wire.split_at(9);
    assert_eq!(
        inflate(&mut inflater, &mut pool, &[start, tail, b""]).unwrap(),
        b"Hello"
    );
}

#[test]
fn final_block_ends_a_message_or_is_followed_by_more() {
    let is_final = hex("f3 48 cd c9 c9 07 00");
    let more = hex("f2 48 cd c9 c9 07 00");
    let refers_back = hex("f2 00 11 00 00");
    let mut pool = Pool::new();
    for takeover in [Takeover::Yes, Takeover::No] {
        let mut inflater = Inflater::new(15, takeover);
        for (parts, text) in [
            (vec![is_final.as_slice()], "Hello"),
            (vec![&is_final, b""], "Hello"),
            (vec![&is_final, &is_final], "HelloHello"),
            (vec![&is_final, &more], "HelloHello"),
            // The window belongs to the message, not to the deflate stream.
            (vec![&is_final, &refers_back], "HelloHello"),
            (
                vec![&is_final, b"", &is_final, &refers_back],
                "HelloHelloHello",
            ),
        ] {
            assert_eq!(
                inflate(&mut inflater, &mut pool, &parts).unwrap(),
                text.as_bytes()
            );
            let whole = parts.concat();
            assert_eq!(
                inflate(&mut inflater, &mut pool, &[&whole]).unwrap(),
                text.as_bytes()
            );
            let bytes: Vec<_> = whole.chunks(1).collect();
            let (slowly, _) = inflate_bounded(&mut inflater, &mut pool, &bytes, 1).unwrap();
            assert_eq!(slowly, text.as_bytes());
        }
    }
}

#[test]
fn history_survives_a_final_block() {
    let mut pool = Pool::new();
    let mut inflater = Inflater::new(15, Takeover::Yes);
    let is_final = hex("f3 48 cd c9 c9 07 00");
    let refers_back = hex("f2 00 11 00 00");
    assert_eq!(
        inflate(&mut inflater, &mut pool, &[&is_final]).unwrap(),
        b"Hello"
    );
    assert_eq!(
        inflate(&mut inflater, &mut pool, &[&refers_back]).unwrap(),
        b"Hello"
    );
}

#[test]
fn garbage_is_an_error_and_costs_nothing_after() {
    let mut pool = Pool::new();
    for wire in [
        "07",                      // reserved block type
        "ff ff ff ff",             // the same
        "00 05 00 fa fe 48 65",    // stored length that is not its complement
        "00 05 00 fa ff 48 65",    // stored block cut off
        "f2 48 cd c9 c9",          // compressed block cut off
        "f2 00 11 00 00",          // refers to nothing
        "f3 48 cd c9 c9 07 00 07", // garbage after a final block
        "05 e0 81 08 00 00",       // dynamic block cut off
        "00 00 00",                // stored length cut off
    ] {
        for takeover in [Takeover::Yes, Takeover::No] {
            let wire = hex(wire);
            let mut inflater = Inflater::new(15, takeover);
            let whole = inflate(&mut inflater, &mut pool, &[&wire]);
            assert!(whole.is_err(), "{wire:02x?}");
            assert_eq!(inflater.held_bytes(), 0);
            let mut inflater = Inflater::new(15, takeover);
            let bytes: Vec<_> = wire.chunks(1).collect();
            assert_eq!(inflate(&mut inflater, &mut pool, &bytes), whole);
        }
    }
    // Contexts are usable after garbage.
    let hello = hex("f2 48 cd c9 c9 07 00");
    let mut inflater = Inflater::new(15, Takeover::No);
    assert_eq!(
        inflate(&mut inflater, &mut pool, &[&hello]).unwrap(),
        b"Hello"
    );
}

#[test]
fn text_before_an_error_is_handed_out() {
    let wire = hex("00 03 00 fc ff 61 62 63 f2 48 cd c9 c9 07 00 00 00 ff ff 07");
    for pieces in 1..=wire.len() {
        let mut pool = Pool::new();
        let mut inflater = Inflater::new(15, Takeover::No);
        let mut text = Vec::new();
        let mut results = wire.chunks(pieces).map(|piece| {
            let mut input = piece;
            inflater.inflate(&mut pool, &mut input, End::No, &mut text, 1_000)
        });
        assert_eq!(
            results.find(Result::is_err),
            Some(Err(InflateError::Corrupt))
        );
        assert_eq!(text, b"abcHello");
    }
}

#[test]
fn bomb_costs_no_more_than_the_caller_allows() {
    let mut pool = Pool::new();
    let bomb = vec![0; 10 << 20];
    let wire = deflate(&mut Deflater::new(15, Takeover::No, 9), &mut pool, &[&bomb]);
    let mut inflater = Inflater::new(15, Takeover::No);
    let mut text = Vec::new();
    let mut input = wire[0].as_slice();
    let progress = inflater.inflate(&mut pool, &mut input, End::Yes, &mut text, 100_000);
    assert_eq!(progress, Ok(Progress::Full));
    assert_eq!((text.len(), text.capacity()), (100_000, 100_000));
    assert!(!input.is_empty());
    assert!(inflater.held_bytes() < 80 << 10);
}

#[test]
fn message_that_fits_exactly_is_not_full() {
    let mut pool = Pool::new();
    for bytes in [1, 2, 511, 512, 513, 70_000] {
        let text = prose(bytes);
        let wire = deflate(&mut Deflater::new(15, Takeover::No, 6), &mut pool, &[&text]);
        for (room, expected) in [
            (bytes - 1, Progress::Full),
            (bytes, Progress::End),
            (bytes + 1, Progress::End),
        ] {
            let mut inflater = Inflater::new(15, Takeover::No);
            let mut out = Vec::new();
            let mut input = wire[0].as_slice();
            let progress = inflater.inflate(&mut pool, &mut input, End::Yes, &mut out, room);
            assert_eq!(progress, Ok(expected), "{bytes} bytes, room for {room}");
        }
    }
}

#[test]
fn idle_direction_holds_nothing_or_at_most_its_window() {
    let mut pool = Pool::new();
    let text = prose(200_000);
    for bits in 8..=15 {
        for (takeover, kept) in [(Takeover::No, 0), (Takeover::Yes, 1 << bits)] {
            let mut deflater = Deflater::new(bits, takeover, 1);
            let mut inflater = Inflater::new(bits, takeover);
            for text in [&text[..], &text[..3], &text[..100_000]] {
                let wire = deflate(&mut deflater, &mut pool, &[text]);
                assert_eq!(
                    inflate(&mut inflater, &mut pool, &[&wire[0]]).unwrap(),
                    text
                );
                // A compressor may refer to as little of earlier messages as it likes.
                assert_eq!(deflater.held_bytes(), kept.min(4 << 10));
                assert_eq!(inflater.held_bytes(), kept);
            }
        }
    }
}

#[test]
fn small_history_takes_little_memory() {
    let mut pool = Pool::new();
    let mut deflater = Deflater::new(15, Takeover::Yes, 6);
    deflate(&mut deflater, &mut pool, &[b"Hello"]);
    assert!(deflater.held_bytes() <= 8);
}

#[test]
fn no_reference_leaves_the_window_at_any_level() {
    let mut pool = Pool::new();
    let texts = [prose(3_000), vec![b'a'; 5_000], noise(700), prose(60_000)];
    for bits in 8..=15 {
        for level in 0..=9 {
            for takeover in [Takeover::Yes, Takeover::No] {
                let mut deflater = Deflater::new(bits, takeover, level);
                let mut reference = Reference::new(bits);
                // Small and large parts, so that the window moves at odd positions.
                for (text, part) in texts.iter().zip([97, 5_000, 700, 1_013]) {
                    let parts: Vec<_> = text.chunks(part).collect();
                    let wire = deflate(&mut deflater, &mut pool, &parts).concat();
                    assert_eq!(reference.inflate(&wire).as_ref(), Ok(text));
                    if takeover == Takeover::No {
                        reference.forget();
                    }
                }
                if bits == 8 {
                    assert!(reference.distance_max <= 250, "{}", reference.distance_max);
                }
            }
        }
    }
}

#[test]
fn short_messages_at_level_1_need_no_context_of_zlib() {
    let mut pool = Pool::new();
    for takeover in [Takeover::Yes, Takeover::No] {
        let mut deflater = Deflater::new(15, takeover, 1);
        for bytes in [100, 1_000, 16_384] {
            let compression = deflater.deflate_whole(&mut pool, &prose(bytes), &mut Vec::new());
            assert_eq!(compression, Compression::Smaller);
        }
    }
    assert!(format!("{pool:?}").contains("deflaters: 0"));
}

#[test]
fn a_message_at_level_1_does_not_depend_on_other_connections_of_the_thread() {
    let mut busy = Pool::new();
    for text in [prose(16_384), noise(9_000), vec![b'a'; 5_000]] {
        Deflater::new(15, Takeover::No, 1).deflate_whole(&mut busy, &text, &mut Vec::new());
    }
    let mut pools = [Pool::new(), busy];
    for takeover in [Takeover::Yes, Takeover::No] {
        let wires = pools.each_mut().map(|pool| {
            let mut deflater = Deflater::new(15, takeover, 1);
            let mut wire = Vec::new();
            for bytes in [700, 5_000, 16_384, 80] {
                deflater.deflate_whole(pool, &prose(bytes), &mut wire);
            }
            wire
        });
        assert_eq!(wires[0], wires[1]);
    }
}

#[test]
fn level_1_is_no_worse_than_that_of_zlib() {
    // The sizes of zlib-rs 0.6.8 at its level 1 with the same 4 KiB of history.
    for (takeover, zlib_bytes) in [(Takeover::No, 21_813), (Takeover::Yes, 18_967)] {
        let (mut pool, mut wire) = (Pool::new(), Vec::new());
        let mut deflater = Deflater::new(15, takeover, 1);
        for text in prose(64_000).chunks(1_000) {
            deflater.deflate_whole(&mut pool, text, &mut wire);
        }
        assert!(wire.len() <= zlib_bytes, "{takeover:?}: {}", wire.len());
    }
}

#[test]
fn takeover_makes_the_second_message_smaller() {
    let mut pool = Pool::new();
    let text = noise(4_000);
    for (takeover, bytes) in [(Takeover::Yes, ..100), (Takeover::No, ..5_000)] {
        let mut deflater = Deflater::new(15, takeover, 6);
        deflate(&mut deflater, &mut pool, &[&text]);
        let wire = deflate(&mut deflater, &mut pool, &[&text]);
        assert!(
            bytes.contains(&wire[0].len()),
            "{takeover:?}: {}",
            wire[0].len()
        );
        assert_eq!(wire[0].len() < 4_000, takeover == Takeover::Yes);
    }
}

#[test]
fn message_that_does_not_shrink_leaves_no_trace() {
    let mut pool = Pool::new();
    for level in 0..=9 {
        let mut deflater = Deflater::new(15, Takeover::Yes, level);
        let mut wire = vec![1, 2, 3];
        for text in [&noise(3_000)[..], b"", b"a", b"ab", &noise(100_000)] {
            let compression = deflater.deflate_whole(&mut pool, text, &mut wire);
            assert_eq!(compression, Compression::NotSmaller);
            assert_eq!(wire, [1, 2, 3]);
            assert_eq!(deflater.held_bytes(), 0);
        }
    }
    // The peer did not get that message, so nothing may refer to it.
    let mut deflater = Deflater::new(15, Takeover::Yes, 6);
    let text = noise(3_000);
    let mut wire = Vec::new();
    deflater.deflate_whole(&mut pool, &text, &mut wire);
    deflater.deflate(&mut pool, &text, End::Yes, &mut wire);
    let mut inflater = Inflater::new(15, Takeover::Yes);
    assert_eq!(inflate(&mut inflater, &mut pool, &[&wire]).unwrap(), text);
}

#[test]
fn connections_that_share_a_pool_see_nothing_of_each_other() {
    let mut pool = Pool::new();
    let text = noise(2_000);
    let lonely = deflate(
        &mut Deflater::new(12, Takeover::No, 6),
        &mut Pool::new(),
        &[&text],
    );
    deflate(
        &mut Deflater::new(12, Takeover::Yes, 6),
        &mut pool,
        &[&text],
    );
    let shared = deflate(&mut Deflater::new(12, Takeover::No, 6), &mut pool, &[&text]);
    assert_eq!(shared, lonely);
    // Another level in the same context.
    for level in 0..=9 {
        let text = prose(9_000);
        let lonely = deflate(
            &mut Deflater::new(12, Takeover::No, level),
            &mut Pool::new(),
            &[&text],
        );
        let shared = deflate(
            &mut Deflater::new(12, Takeover::No, level),
            &mut pool,
            &[&text],
        );
        assert_eq!(shared, lonely, "level {level}");
    }
}

#[test]
fn context_is_gone_on_with_only_by_the_direction_that_left_it() {
    let texts: Vec<_> = (0..40).map(|index| prose(500 + index * 37)).collect();
    // More connections than contexts, some incompressible messages, and two pools.
    let mut pools = [Pool::new(), Pool::new()];
    let mut peers = Pool::new();
    let mut directions: Vec<_> = (0..6)
        .map(|_| {
            (
                Deflater::new(15, Takeover::Yes, 6),
                Inflater::new(15, Takeover::Yes),
            )
        })
        .collect();
    for (index, text) in texts.iter().enumerate() {
        // 0 0 1 1 2 2 …, then 0 1 2 3 …
        let who = if index < 20 { index / 2 % 6 } else { index % 6 };
        let (deflater, inflater) = &mut directions[who];
        let pool = &mut pools[index / 5 % 2];
        let mut wire = Vec::new();
        assert_eq!(
            deflater.deflate_whole(pool, &noise(300 + index), &mut wire),
            Compression::NotSmaller
        );
        assert_eq!(
            deflater.deflate_whole(pool, text, &mut wire),
            Compression::Smaller
        );
        assert_eq!(inflate(inflater, &mut peers, &[&wire]).as_ref(), Ok(text));
        wire.clear();
        deflater.deflate(pool, text, End::Yes, &mut wire);
        assert!(wire.len() < 60, "{}", wire.len());
        assert_eq!(inflate(inflater, &mut peers, &[&wire]).as_ref(), Ok(text));
    }
}

#[test]
fn large_messages_at_level_1_go_on_with_their_context_unless_a_short_one_came_between() {
    let mut pool = Pool::new();
    let mut deflater = Deflater::new(15, Takeover::Yes, 1);
    let mut inflater = Inflater::new(15, Takeover::Yes);
    let large = noise(20_000);
    let mut wire = deflate(&mut deflater, &mut pool, &[&large]).concat();
    inflate(&mut inflater, &mut pool, &[&wire]).unwrap();
    for (text, shrinks_to) in [
        (&large[..], 0..1_000),
        (&prose(500), 0..300),
        // The context has not processed that message, so another is primed with the short history.
        (&large, 14_000..20_000),
    ] {
        wire.clear();
        let compression = deflater.deflate_whole(&mut pool, text, &mut wire);
        assert_eq!(compression, Compression::Smaller);
        assert!(shrinks_to.contains(&wire.len()), "{}", wire.len());
        assert_eq!(
            inflate(&mut inflater, &mut pool, &[&wire]).as_deref(),
            Ok(text)
        );
    }
}

#[test]
fn pool_keeps_a_bounded_number() {
    let mut pool = Pool::new();
    let mut open: Vec<_> = (9..=15)
        .map(|bits| {
            (
                Deflater::new(bits, Takeover::No, 1),
                Inflater::new(bits, Takeover::No),
            )
        })
        .collect();
    let mut text = Vec::new();
    for (deflater, inflater) in &mut open {
        let mut wire = Vec::new();
        deflater.deflate(&mut pool, b"Hello", End::No, &mut wire);
        inflater
            .inflate(&mut pool, &mut &wire[..], End::No, &mut text, 1_000)
            .unwrap();
        assert!(inflater.held_bytes() > 32 << 10);
    }
    for (deflater, inflater) in &mut open {
        let mut wire = Vec::new();
        deflater.deflate(&mut pool, b"", End::Yes, &mut wire);
        inflater
            .inflate(&mut pool, &mut &wire[..], End::Yes, &mut text, 1_000)
            .unwrap();
        assert_eq!((inflater.held_bytes(), deflater.held_bytes()), (0, 0));
    }
    for bytes in [100, 1 << 20, 100, 100, 100, 100, 100] {
        pool.return_buffer(Vec::with_capacity(bytes));
    }
    assert_eq!(
        format!("{pool:?}"),
        "Pool { inflaters: 4, deflaters: 7, buffers: 4 }"
    );
    assert!(pool.take_buffer().is_empty());
}

#[test]
fn pool_keeps_a_compressor_for_each_of_the_last_directions() {
    let mut pool = Pool::new();
    let mut directions: Vec<_> = (0..70)
        .map(|_| Deflater::new(9, Takeover::Yes, 2))
        .collect();
    let mut wire = Vec::new();
    for _ in 0..2 {
        for deflater in &mut directions {
            wire.clear();
            deflater.deflate_whole(&mut pool, &prose(500), &mut wire);
        }
    }
    assert_eq!(
        format!("{pool:?}"),
        "Pool { inflaters: 0, deflaters: 64, buffers: 0 }"
    );
}

#[test]
fn contexts_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<(Pool, Inflater, Deflater)>();
}

/// Returns `text` in parts, cut at these positions.
fn cut<'a>(text: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places
        .iter()
        .map(|place| place.index(text.len() + 1))
        .collect();
    places.sort_unstable();
    let mut parts = Vec::new();
    let mut from = 0;
    for place in places {
        parts.push(&text[from..place]);
        from = place;
    }
    parts.push(&text[from..]);
    parts
}

/// Generates messages: repetitive, random or mixed, from empty to longer than a window.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(0_u8..4, 0..3_000),
        (0_usize..50_000).prop_map(prose),
        (0_u8..=255, 0_usize..70_000).prop_map(|(byte, count)| vec![byte; count]),
        (0_usize..40_000).prop_map(noise),
    ]
}

fn takeover() -> impl Strategy<Value = Takeover> {
    prop_oneof![Just(Takeover::Yes), Just(Takeover::No)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deflate_then_inflate_is_identity(
        bits in 8_u8..=15,
        level in 0_u8..=9,
        takeover in takeover(),
        step_bytes in prop_oneof![1_usize..100, Just(4_096), Just(usize::MAX)],
        messages in prop::collection::vec(
            (
                message(),
                prop::collection::vec(any::<prop::sample::Index>(), 0..5),
                prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            ),
            1..6,
        ),
    ) {
        let (mut ours, mut theirs) = (Pool::new(), Pool::new());
        let mut deflater = Deflater::new(bits, takeover, level);
        let mut inflater = Inflater::new(bits, takeover);
        for (text, send_cuts, receive_cuts) in messages {
            let wire = deflate(&mut deflater, &mut ours, &cut(&text, &send_cuts)).concat();
            let parts = cut(&wire, &receive_cuts);
            let (back, _) = inflate_bounded(&mut inflater, &mut theirs, &parts, step_bytes).unwrap();
            prop_assert_eq!(back, text);
        }
    }

    #[test]
    fn whole_messages_are_smaller_or_left_alone(
        bits in 8_u8..=15,
        level in 0_u8..=9,
        takeover in takeover(),
        messages in prop::collection::vec(message(), 1..6),
    ) {
        let mut pool = Pool::new();
        let mut deflater = Deflater::new(bits, takeover, level);
        let mut inflater = Inflater::new(bits, takeover);
        for text in messages {
            let mut wire = Vec::new();
            match deflater.deflate_whole(&mut pool, &text, &mut wire) {
                Compression::Smaller => {
                    prop_assert!(wire.len() < text.len());
                    prop_assert_eq!(inflate(&mut inflater, &mut pool, &[&wire]), Ok(text));
                }
                Compression::NotSmaller => prop_assert!(wire.is_empty()),
            }
        }
    }

    #[test]
    fn level_1_makes_what_every_inflater_reads_and_refers_back_no_further_than_agreed(
        bits in 8_u8..=15,
        takeover in takeover(),
        messages in prop::collection::vec((message(), any::<bool>()), 1..12),
    ) {
        let (mut pool, mut theirs) = (Pool::new(), Pool::new());
        let mut deflater = Deflater::new(bits, takeover, 1);
        let mut inflater = Inflater::new(bits, takeover);
        // The reference checks the window, and is written from the RFC alone.
        let mut reference = Reference::new(bits);
        for (text, whole) in messages {
            // Sometimes zlib sends the message in one part: both compressors go on after the other.
            let mut wire = Vec::new();
            if !whole {
                deflater.deflate(&mut pool, &text, End::Yes, &mut wire);
            } else if deflater.deflate_whole(&mut pool, &text, &mut wire) == Compression::NotSmaller {
                prop_assert!(wire.is_empty());
                continue;
            }
            prop_assert_eq!(reference.inflate(&wire), Ok(text.clone()));
            prop_assert_eq!(inflate(&mut inflater, &mut theirs, &[&wire]), Ok(text));
            if takeover == Takeover::No {
                reference.forget();
            }
        }
    }

    #[test]
    fn any_bytes_end_the_same_way_wherever_they_are_cut(
        takeover in takeover(),
        start in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..20), Just(hex("f2 48 cd c9 c9 07 00"))],
        rest in prop::collection::vec(any::<u8>(), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        step_bytes in 1_usize..50,
    ) {
        let wire = [start, rest].concat();
        let mut pool = Pool::new();
        let whole = inflate(&mut Inflater::new(15, takeover), &mut pool, &[&wire]);
        let mut inflater = Inflater::new(15, takeover);
        let parts = cut(&wire, &cuts);
        let bounded = inflate_bounded(&mut inflater, &mut pool, &parts, step_bytes);
        prop_assert_eq!(bounded.map(|(text, _)| text), whole.clone());
        let bytes: Vec<_> = if wire.is_empty() { vec![&wire[..]] } else { wire.chunks(1).collect() };
        prop_assert_eq!(inflate(&mut Inflater::new(15, takeover), &mut pool, &bytes), whole);
    }
}

#[test]
fn an_owned_message_is_the_same_whatever_its_length() {
    let mut pool = Pool::new();
    for len in [0, 1, 2047, 2048, 2049, 5000, 70_000] {
        let text = "a鲑🐟".repeat(len / 8) + &"b".repeat(len % 8);
        for message in [Message::from(&*text), Message::from(text.as_bytes())] {
            let own = pool.own(message.clone());
            assert!(own.is_owned());
            assert_eq!(own, message);
            pool.recycle(own);
        }
    }
}
