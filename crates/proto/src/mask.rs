//! Masking (RFC 6455 section 5.3): XOR with a key of four bytes, at memory speed.
//!
//! The one file with `unsafe`. It calls code compiled for AVX2 and AVX-512 where the CPU has them, and it takes text for
//! UTF-8 that was checked while it was unmasked. The slow twins are `mask_bytewise` and the standard library's check; the
//! tests compare.
#![expect(
    unsafe_code,
    reason = "calling a target_feature function is unsafe; the CPU is asked first. A second pass over short text would cost more than unmasking it"
)]

use core::str;

/// Bytes. For less, the check of the CPU costs more than wide registers save.
const WIDE_BYTES_MIN: usize = 128;

/// XORs `bytes` with `key`, beginning with the first byte of the key.
#[inline]
pub(crate) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    if bytes.len() < WIDE_BYTES_MIN {
        mask_short(bytes, key);
    } else {
        mask_long(bytes, key);
    }
}

/// XORs `bytes` with `key`, and returns the result if it is UTF-8.
#[inline]
pub(crate) fn mask_text(bytes: &mut [u8], key: [u8; 4]) -> Option<&str> {
    if bytes.len() < WIDE_BYTES_MIN {
        if mask_short(bytes, key) & NOT_ASCII == 0 {
            // SAFETY: `mask_short` returns the OR of all bytes, so each is below 0x80, which is ASCII.
            return Some(unsafe { str::from_utf8_unchecked(bytes) });
        }
    } else {
        #[cfg(target_arch = "x86_64")]
        if avx512::available() {
            // SAFETY: the CPU has AVX-512 F and BW, the features that the function needs.
            let is_text = unsafe { avx512::unmask_text(bytes, key) };
            // SAFETY: the function has checked that they are UTF-8.
            return is_text.then(|| unsafe { str::from_utf8_unchecked(bytes) });
        }
        mask_long(bytes, key);
    }
    simdutf8::basic::from_utf8(bytes).ok()
}

/// The highest bit of each byte.
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

/// XORs a few bytes, and returns the OR of the results, each in some byte of the word.
///
/// The last word overlaps the one before it unless the length is a multiple of eight. It is read before the other words are
/// written and written after them, so that both write the same bytes where they overlap.
#[inline(always)]
fn mask_short(bytes: &mut [u8], key: [u8; 4]) -> u64 {
    let len = bytes.len();
    let half = u32::from_ne_bytes(key);
    let Some(&last) = bytes.last_chunk::<8>() else {
        return mask_tiny(bytes, key);
    };
    let word = u64::from(half) << 32 | u64::from(half);
    // The last word begins at byte `len - 8`, so the key is rotated for it.
    let turned = u64::from_le_bytes(last) ^ u64::from_le(word).rotate_right(8 * (len % 4) as u32);
    let mut seen = turned;
    let (words, _) = bytes.as_chunks_mut::<8>();
    for bytes in words {
        let turned = u64::from_ne_bytes(*bytes) ^ word;
        seen |= turned;
        *bytes = turned.to_ne_bytes();
    }
    if let Some(last) = bytes.last_chunk_mut::<8>() {
        *last = turned.to_le_bytes();
    }
    seen
}

/// XORs less than eight bytes, and returns the OR of the results.
#[inline(always)]
fn mask_tiny(bytes: &mut [u8], key: [u8; 4]) -> u64 {
    let mut seen = 0;
    for (byte, key) in bytes.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
        seen |= *byte;
    }
    u64::from(seen)
}

/// Bytes. From here on it pays to mask the bytes before the first aligned address separately. A payload begins where its
/// header ends, and some processors take twice as long for a store that is not aligned to 16 bytes.
const ALIGNED_BYTES_MIN: usize = 2 << 10;

/// Bytes. The width of an AVX2 register.
const REGISTER_BYTES: usize = 32;

/// XORs many bytes. It is not inlined, because so many bytes pay for a call.
#[inline(never)]
fn mask_long(bytes: &mut [u8], key: [u8; 4]) {
    if bytes.len() < ALIGNED_BYTES_MIN {
        return mask_fast(bytes, key);
    }
    let lead = bytes.as_ptr().align_offset(REGISTER_BYTES);
    let (few, others) = bytes.split_at_mut(lead.min(bytes.len()));
    mask_short(few, key);
    mask_fast(others, rotated(key, few.len()));
}

#[inline(always)]
fn mask_fast(bytes: &mut [u8], key: [u8; 4]) {
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        // SAFETY: the CPU has AVX2, the feature that the function needs.
        return unsafe { avx2::mask_wide(bytes, key) };
    }
    mask_words(bytes, key);
}

/// Returns the key for the payload that begins `count` bytes later.
pub(crate) fn rotated(key: [u8; 4], count: usize) -> [u8; 4] {
    // Any byte order is right, if both conversions use the same.
    u32::from_le_bytes(key)
        .rotate_right(8 * (count % 4) as u32)
        .to_le_bytes()
}

/// XORs eight bytes at a time, in portable code that the compiler vectorizes for the target.
#[inline(always)]
fn mask_words(bytes: &mut [u8], key: [u8; 4]) {
    let half = u64::from(u32::from_ne_bytes(key));
    let word = half << 32 | half;
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in &mut words {
        let chunk: &mut [u8; 8] = chunk.try_into().expect("chunks of eight");
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

// The path is given because a benchmark includes this file alone.
#[cfg(target_arch = "x86_64")]
#[path = "mask/avx512.rs"]
mod avx512;

#[cfg(target_arch = "x86_64")]
mod avx2 {
    cpufeatures::new!(cpuid, "avx2");

    pub(super) fn available() -> bool {
        cpuid::get()
    }

    /// XORs like `mask_words`, compiled for 32-byte registers.
    #[target_feature(enable = "avx2")]
    pub(super) fn mask_wide(bytes: &mut [u8], key: [u8; 4]) {
        super::mask_words(bytes, key);
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    /// XORs byte by byte, as the formula of RFC 6455 section 5.3 says: the slow twin.
    fn mask_bytewise(bytes: &mut [u8], key: [u8; 4]) {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[index % 4];
        }
    }

    /// The first and the last byte of every range in RFC 3629 section 4.
    const ENDS: [u8; 22] = [
        0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
        0xED, 0xEE, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5,
    ];

    #[test]
    fn every_four_bytes_are_judged_as_the_standard_library_does() {
        let mut text = [b'a'; 2 * WIDE_BYTES_MIN];
        for number in 0..ENDS.len().pow(4) {
            let mut rest = number;
            let four = [(); 4].map(|()| {
                let byte = ENDS[rest % ENDS.len()];
                rest /= ENDS.len();
                byte
            });
            // Across the boundary of wide registers, and at the end of the text.
            let start = WIDE_BYTES_MIN - 1 - number % 4;
            for len in [start + 4, text.len()] {
                text[start..start + 4].copy_from_slice(&four);
                let expected = str::from_utf8(&text[..len]).is_ok();
                let is_text = mask_text(&mut text[..len], [0; 4]).is_some();
                assert_eq!(is_text, expected, "{four:02x?} at {start} of {len}");
            }
            text[start..start + 4].fill(b'a');
        }
    }

    proptest! {
        #[test]
        fn fast_masking_equals_the_formula(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..700),
                proptest::collection::vec(any::<u8>(), ALIGNED_BYTES_MIN..ALIGNED_BYTES_MIN + 200),
            ],
            start in 0..64_usize,
            key: [u8; 4],
        ) {
            let start = start.min(bytes.len());
            let mut fast = bytes.clone();
            mask(&mut fast[start..], key);
            let mut slow = bytes;
            mask_bytewise(&mut slow[start..], key);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn masked_text_is_what_the_standard_library_says(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..30),
                proptest::collection::vec(0..0x80_u8, 0..300),
                ".{0,200}".prop_map(String::into_bytes),
                "[鲑鱼é🐟a]{40,200}".prop_map(String::into_bytes),
            ],
            odd in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
            key: [u8; 4],
        ) {
            let mut bytes = bytes;
            if let Some((place, byte)) = odd && !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let mut masked = bytes.clone();
            mask_bytewise(&mut masked, key);
            prop_assert_eq!(mask_text(&mut masked, key), str::from_utf8(&bytes).ok());
        }

        #[test]
        fn rotated_key_continues_where_the_first_part_ended(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            split in 0..300_usize,
            key: [u8; 4],
        ) {
            let split = split.min(bytes.len());
            let mut whole = bytes.clone();
            mask(&mut whole, key);
            let mut parts: Vec<u8> = bytes;
            mask(&mut parts[..split], key);
            mask(&mut parts[split..], rotated(key, split));
            prop_assert_eq!(whole, parts);
        }
    }
}
