//! Fossil's delta format: one payload written as its differences from another.
//!
//! The description of the format is "The Delta Encoding Format" of the Fossil project. In short:
//!
//! ```text
//!   delta   = LENGTH "\n" command* CHECKSUM ";"
//!   command = COUNT "@" OFFSET ","     COUNT bytes of the source, from OFFSET
//!           | COUNT ":" BYTES          these COUNT bytes
//! ```
//!
//! LENGTH is that of the target. Numbers have digits of six bits.
//!
//! A delta that leads to valid UTF-8 is valid UTF-8 itself, because no command ends inside a character. JSON clients get
//! deltas as JSON strings, which can't hold anything else.

/// Bytes. A shorter match isn't worth the numbers that a copy takes.
const MATCH_BYTES_MIN: usize = 8;

/// Places of the source that are remembered: more need more memory, and find little more.
const INDEX_LEN_MAX: usize = 1 << 16;

/// Returns the delta that leads from `source` to `target`, or nothing if it would not be shorter than `target`.
///
/// It takes time in proportion to both lengths, and 4 bytes of memory for each byte of the source, at most 256 KiB.
pub(crate) fn encode(source: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let mut delta = Delta {
        source,
        target,
        bytes: Vec::with_capacity(target.len()),
        done: 0,
    };
    delta.number(target.len());
    delta.bytes.push(b'\n');
    let prefix = common_prefix(source, target);
    delta.copy(0, 0, prefix);
    let suffix = common_suffix(source, &target[delta.done..]);
    let suffix_start = target.len() - suffix;
    if suffix_start - delta.done > MATCH_BYTES_MIN && source.len() > MATCH_BYTES_MIN {
        delta.find_matches(suffix_start);
    }
    delta.copy(source.len() - suffix, suffix_start, target.len());
    delta.insert(target.len());
    delta.number(checksum(target) as usize);
    delta.bytes.push(b';');
    (delta.bytes.len() < target.len()).then_some(delta.bytes)
}

struct Delta<'a> {
    source: &'a [u8],
    target: &'a [u8],
    bytes: Vec<u8>,
    /// Bytes of the target that are covered by commands.
    done: usize,
}

impl Delta<'_> {
    /// Covers what is before `end` of the target with copies, as far as they are found.
    fn find_matches(&mut self, end: usize) {
        let index = Index::new(self.source);
        let mut at = self.done;
        while at + MATCH_BYTES_MIN <= end {
            let Some(offset) = index.find(&self.target[at..]) else {
                at += 1;
                continue;
            };
            let len = common_prefix(&self.source[offset..], &self.target[at..end]);
            let before = common_suffix(&self.source[..offset], &self.target[self.done..at]);
            self.copy(offset - before, at - before, at + len);
            at = self.done.max(at + 1);
        }
    }

    /// Covers `from..to` of the target, which are equal to the source from `offset`, and what is before them. Leaves out
    /// parts of characters at both ends, and all of it if it is too short.
    fn copy(&mut self, mut offset: usize, mut from: usize, mut to: usize) {
        while from < to && !is_boundary(self.target, from) {
            from += 1;
            offset += 1;
        }
        while from < to && !is_boundary(self.target, to) {
            to -= 1;
        }
        if to - from < MATCH_BYTES_MIN {
            return;
        }
        self.insert(from);
        self.number(to - from);
        self.bytes.push(b'@');
        self.number(offset);
        self.bytes.push(b',');
        self.done = to;
    }

    /// Covers what is before `to` with its bytes.
    fn insert(&mut self, to: usize) {
        let bytes = &self.target[self.done..to];
        if bytes.is_empty() {
            return;
        }
        self.number(bytes.len());
        self.bytes.push(b':');
        self.bytes.extend_from_slice(bytes);
        self.done = to;
    }

    fn number(&mut self, number: usize) {
        let digits = (usize::BITS - number.leading_zeros()).div_ceil(DIGIT_BITS);
        for digit in (0..digits.max(1)).rev() {
            let digit = number >> (digit * DIGIT_BITS) & (DIGITS.len() - 1);
            self.bytes.push(DIGITS[digit]);
        }
    }
}

const DIGIT_BITS: u32 = 6;
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

/// The places of the source, by the hash of the bytes there. Of places with one hash the first stays: where bytes repeat, it has
/// the longest match.
struct Index<'a> {
    source: &'a [u8],
    /// Offset + 1. 0: none.
    places: Vec<u32>,
    shift: u32,
}

impl<'a> Index<'a> {
    fn new(source: &'a [u8]) -> Self {
        let len = source.len().next_power_of_two().min(INDEX_LEN_MAX);
        let mut index = Self {
            source,
            places: vec![0; len],
            shift: u64::BITS - len.ilog2(),
        };
        for (place, bytes) in (1..).zip(source.windows(MATCH_BYTES_MIN)) {
            if let Some(slot) = index.slot(bytes)
                && index.places[slot] == 0
            {
                index.places[slot] = place;
            }
        }
        index
    }

    /// Returns where the source has the first bytes of `bytes`.
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        let place = self.places[self.slot(bytes)?];
        let offset = usize::try_from(place).ok()?.checked_sub(1)?;
        let found = self.source.get(offset..offset + MATCH_BYTES_MIN)?;
        (bytes.get(..MATCH_BYTES_MIN)? == found).then_some(offset)
    }

    fn slot(&self, bytes: &[u8]) -> Option<usize> {
        let first: &[u8; MATCH_BYTES_MIN] = bytes.first_chunk()?;
        // The multiplier is 2^64 divided by the golden ratio: it spreads what is near over the high bits.
        let hash = u64::from_le_bytes(*first).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some((hash >> self.shift) as usize)
    }
}

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let equal = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other);
    equal.count()
}

fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev());
    pairs.take_while(|(one, other)| one == other).count()
}

/// Returns whether no character of UTF-8 has bytes on both sides of `at`.
fn is_boundary(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

/// The sum of the target's words of four bytes, the first byte being the highest, as if zeros followed the target.
fn checksum(target: &[u8]) -> u32 {
    let (words, rest) = target.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    words
        .iter()
        .chain([&last])
        .fold(0, |sum, word| sum.wrapping_add(u32::from_be_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// What is left of a delta.
    struct Rest<'a>(&'a [u8]);

    impl<'a> Rest<'a> {
        fn number(&mut self) -> usize {
            let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
            let digits: Vec<_> = self.0.iter().map_while(digit).collect();
            assert!(!digits.is_empty(), "{:?}", self.0);
            self.0 = &self.0[digits.len()..];
            digits.iter().fold(0, |number, digit| number << 6 | digit)
        }

        fn bytes(&mut self, count: usize) -> &'a [u8] {
            let (bytes, rest) = self.0.split_at(count);
            self.0 = rest;
            bytes
        }
    }

    /// Applies a delta as the description of the format says, and checks all that it says of itself.
    fn apply(source: &[u8], delta: &[u8]) -> Vec<u8> {
        let mut rest = Rest(delta);
        let len = rest.number();
        assert_eq!(rest.bytes(1), b"\n");
        let mut target = Vec::new();
        loop {
            let number = rest.number();
            match rest.bytes(1) {
                b"@" => {
                    let offset = rest.number();
                    assert_eq!(rest.bytes(1), b",");
                    target.extend_from_slice(&source[offset..offset + number]);
                }
                b":" => target.extend_from_slice(rest.bytes(number)),
                end => {
                    assert_eq!(end, b";");
                    assert_eq!(rest.0, b"");
                    assert_eq!(number, checksum(&target) as usize);
                    assert_eq!(target.len(), len);
                    return target;
                }
            }
        }
    }

    /// Parts of a payload, and changes of it that leave most as it is.
    fn payloads() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let part = prop_oneof![
            vec(any::<u8>(), 0..40),
            "[a-z{}:,\"]{0,40}".prop_map(String::into_bytes),
            "[äßé日本語👩]{0,20}".prop_map(String::into_bytes),
        ];
        (
            vec(part, 1..12),
            vec((any::<prop::sample::Index>(), 0..4_u8), 0..4),
        )
            .prop_map(|(parts, changes)| {
                let mut changed = parts.clone();
                for (at, change) in changes {
                    let at = at.index(changed.len());
                    match change {
                        0 => drop(std::mem::take(&mut changed[at])),
                        1 => changed[at].reverse(),
                        2 => changed.swap(0, at),
                        _ => changed.push(changed[at].clone()),
                    }
                }
                (parts.concat(), changed.concat())
            })
    }

    proptest! {
        #[test]
        fn the_delta_leads_to_the_target_and_is_shorter((source, target) in payloads()) {
            if let Some(delta) = encode(&source, &target) {
                prop_assert_eq!(apply(&source, &delta), &target[..]);
                prop_assert!(delta.len() < target.len());
            }
        }

        #[test]
        fn text_has_deltas_that_are_text(
            (source, target) in ("[äßé日本語👩a-d]{0,60}", "[äßé日本語👩a-d]{0,60}"),
            common in "[äßé日本語👩a-d]{20,60}",
        ) {
            // The bytes of ä and ä's neighbours begin alike, so that matches begin and end inside of characters.
            let (source, target) = (format!("{source}ä{common}ö"), format!("{target}ã{common}õ"));
            if let Some(delta) = encode(source.as_bytes(), target.as_bytes()) {
                prop_assert!(std::str::from_utf8(&delta).is_ok());
                prop_assert_eq!(apply(source.as_bytes(), &delta), target.as_bytes());
            }
        }
    }

    #[test]
    fn a_change_inside_is_two_copies_and_the_change() {
        let (source, target) = (
            br#"{"price":1200,"name":"Sockeye"}"#,
            br#"{"price":1185,"name":"Sockeye"}"#,
        );
        // 31 bytes; 10 from 0, three new ones, 18 from 13.
        let sum = target.chunks(4).fold(0_u32, |sum, word| {
            let mut padded = [0; 4];
            padded[..word.len()].copy_from_slice(word);
            sum.wrapping_add(u32::from_be_bytes(padded))
        });
        let delta = encode(source, target).expect("a delta");
        let expected = b"V\nA@0,3:185I@D,";
        assert_eq!(delta[..expected.len()], *expected);
        assert_eq!(Rest(&delta[expected.len()..]).number(), sum as usize);
        assert_eq!(apply(source, &delta), target);
    }

    #[test]
    fn a_moved_part_is_found() {
        let (head, part): (Vec<u8>, Vec<u8>) = ((0..=99).collect(), (100..=199).collect());
        let (source, target) = (
            [&head[..], &part].concat(),
            [&part[..], b"-", &head].concat(),
        );
        let delta = encode(&source, &target).expect("a delta");
        assert!(delta.len() < 30, "{}", delta.len());
        assert_eq!(apply(&source, &delta), target);
    }

    #[test]
    fn what_has_nothing_in_common_has_no_delta() {
        assert_eq!(encode(b"", b""), None);
        assert_eq!(encode(b"", b"something"), None);
        assert_eq!(encode(b"something", b""), None);
        assert_eq!(encode(b"one payload", b"ANOTHER ONE"), None);
        assert_eq!(encode(b"short", b"short"), None);
    }

    #[test]
    fn an_equal_payload_is_one_copy() {
        let payload = [7; 1000];
        let delta = encode(&payload, &payload).expect("a delta");
        // 1000 = 15 * 64 + 40, and the digits are F and d.
        assert_eq!(delta[..8], *b"Fd\nFd@0,");
        assert_eq!(apply(&payload, &delta), payload);
    }

    #[test]
    fn words_are_summed_with_zeros_behind_the_last() {
        assert_eq!(checksum(b""), 0);
        assert_eq!(checksum(b"abcd"), 0x6162_6364);
        assert_eq!(
            checksum(b"abcde"),
            0x6162_6364_u32.wrapping_add(0x6500_0000)
        );
        assert_eq!(checksum(&[0xff; 8]), 0xffff_fffe);
    }

    #[test]
    fn a_megabyte_of_one_byte_takes_no_square_of_the_time() {
        // Every place of the source matches every place of the target.
        let source = vec![b'a'; 1 << 20];
        let target = [&b"b"[..], &source[..1 << 19], b"c", &source[..1 << 18]].concat();
        let delta = encode(&source, &target).expect("a delta");
        assert!(delta.len() < 64);
        assert_eq!(apply(&source, &delta), target);
    }
}
