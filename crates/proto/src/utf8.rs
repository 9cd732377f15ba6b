//! Checks text for UTF-8 as it arrives (RFC 6455 section 8.1).

use core::str;

/// The bytes are not UTF-8, and no further bytes can make them so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

/// An incremental UTF-8 check. Its input may be split between any two bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8Checker {
    /// `carry[..carried]` is the valid beginning of a character whose end has not arrived.
    carry: [u8; 4],
    /// 0 <= carried <= 3 between calls.
    carried: u8,
}

impl Utf8Checker {
    /// Checks the next `bytes`, and returns the characters that they complete: the one that an earlier chunk began (in
    /// `split`), then the rest. Fails at the first byte that can't be right.
    pub(crate) fn check<'a>(
        &mut self,
        bytes: &'a [u8],
        split: &'a mut SplitChar,
    ) -> Result<(&'a str, &'a str), InvalidUtf8> {
        let rest = self.complete(bytes, split)?;
        let tail_at = incomplete_tail(rest);
        let (body, tail) = rest.split_at(tail_at);
        let body = simdutf8::basic::from_utf8(body).map_err(|_| InvalidUtf8)?;
        if !tail.is_empty() {
            // A tail such as E0 80 begins no character: it fails now, not when the next byte arrives.
            is_prefix(tail)?;
            self.carry[..tail.len()].copy_from_slice(tail);
            self.carried = tail.len() as u8;
        }
        Ok((split.as_str(), body))
    }

    /// Ends the text, and fails if it ends within a character. The next `check` begins another text.
    pub(crate) fn finish(&mut self) -> Result<(), InvalidUtf8> {
        match core::mem::take(&mut self.carried) {
            0 => Ok(()),
            _ => Err(InvalidUtf8),
        }
    }

    /// Completes the carried character with the beginning of `bytes`, and returns the remaining bytes.
    fn complete<'a>(
        &mut self,
        bytes: &'a [u8],
        split: &mut SplitChar,
    ) -> Result<&'a [u8], InvalidUtf8> {
        split.len = 0;
        let mut taken = 0;
        while self.carried > 0 && taken < bytes.len() {
            self.carry[self.carried as usize] = bytes[taken];
            self.carried += 1;
            taken += 1;
            let character = &self.carry[..self.carried as usize];
            if str::from_utf8(character).is_ok() {
                split.bytes = self.carry;
                split.len = core::mem::take(&mut self.carried);
            } else {
                is_prefix(character)?;
            }
        }
        Ok(&bytes[taken..])
    }
}

/// A character that was split between two chunks.
#[derive(Default)]
pub(crate) struct SplitChar {
    bytes: [u8; 4],
    len: u8,
}

impl SplitChar {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len as usize]).expect("checked when it became whole")
    }
}

/// Succeeds if `bytes` (at most 3) can begin a character.
fn is_prefix(bytes: &[u8]) -> Result<(), InvalidUtf8> {
    match str::from_utf8(bytes) {
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => Ok(()),
        _ => Err(InvalidUtf8),
    }
}

/// Returns where the last character begins if it lacks bytes, otherwise the length.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let len = bytes.len();
    for back in 1..=len.min(3) {
        let needed = match bytes[len - back] {
            0x80..=0xBF => continue,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            0x00..=0x7F => 1,
        };
        return if needed > back { len - back } else { len };
    }
    len
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn check_in_chunks(chunks: &[&[u8]]) -> Result<String, (usize, InvalidUtf8)> {
        let mut checker = Utf8Checker::default();
        let mut text = String::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let mut split = SplitChar::default();
            let (head, body) = checker
                .check(chunk, &mut split)
                .map_err(|error| (index, error))?;
            text.push_str(head);
            text.push_str(body);
        }
        checker.finish().map_err(|error| (chunks.len(), error))?;
        Ok(text)
    }

    #[test]
    fn fails_at_the_first_bad_byte_even_in_an_unfinished_character() {
        for bad in [
            &[0xE0, 0x80][..],
            &[0xED, 0xA0],
            &[0xF4, 0x90],
            &[0xC0],
            &[0xF5],
            &[0xFF],
            &[0xF0, 0x80],
            &[b'a', 0x80],
        ] {
            let chunks: Vec<&[u8]> = bad.chunks(1).collect();
            let (at, _) = check_in_chunks(&chunks).unwrap_err();
            assert_eq!(at, bad.len() - 1, "{bad:x?}");
            assert!(check_in_chunks(&[bad]).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn text_must_not_end_within_a_character() {
        assert!(check_in_chunks(&["中".as_bytes().split_at(2).0]).is_err());
    }

    proptest! {
        #[test]
        fn any_split_of_a_text_gives_the_text(text in ".{0,200}", sizes in proptest::collection::vec(1..9_usize, 1..300)) {
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for size in sizes {
                let (chunk, tail) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = tail;
            }
            chunks.push(rest);
            prop_assert_eq!(check_in_chunks(&chunks).unwrap(), text);
        }

        #[test]
        fn any_split_of_bytes_agrees_with_the_standard_library(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xE4), Just(0xBD), Just(0xA0), Just(b'a')], 0..40),
            split in 0..40_usize,
        ) {
            let (first, second) = bytes.split_at(split.min(bytes.len()));
            prop_assert_eq!(check_in_chunks(&[first, second]).is_ok(), str::from_utf8(&bytes).is_ok());
        }
    }
}
