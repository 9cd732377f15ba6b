//! Masking (RFC 6455 section 5.3): XOR with a key of four bytes, at memory speed.
//!
//! The one file with `unsafe`: a call to code compiled for AVX2, made only where the CPU has it. The
//! slow twin is `mask_bytewise`, and the tests compare the two.
#![expect(
    unsafe_code,
    reason = "calling a target_feature function is unsafe; the CPU is asked first"
)]

/// Bytes. Below this the call through the CPU check costs more than wide registers save.
const WIDE_BYTES_MIN: usize = 128;

/// XORs `bytes` with `key`, beginning at the key's first byte.
pub(crate) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE_BYTES_MIN && avx2::available() {
        // SAFETY: the CPU has AVX2, which is all that the function asks for.
        return unsafe { avx2::mask_wide(bytes, key) };
    }
    mask_words(bytes, key);
}

/// The key as it stands `count` payload bytes later.
pub(crate) fn rotated(key: [u8; 4], count: usize) -> [u8; 4] {
    // Byte order matters only in that both ends of the cast agree.
    u32::from_le_bytes(key)
        .rotate_right(8 * (count % 4) as u32)
        .to_le_bytes()
}

/// Portable: eight bytes at a time, which compilers turn into the baseline's vectors.
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

#[cfg(target_arch = "x86_64")]
mod avx2 {
    cpufeatures::new!(cpuid, "avx2");

    pub(super) fn available() -> bool {
        cpuid::get()
    }

    /// The same words, compiled for 32-byte registers.
    #[target_feature(enable = "avx2")]
    pub(super) fn mask_wide(bytes: &mut [u8], key: [u8; 4]) {
        super::mask_words(bytes, key);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// The slow twin: the formula of RFC 6455 section 5.3, letter by letter.
    fn mask_bytewise(bytes: &mut [u8], key: [u8; 4]) {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[index % 4];
        }
    }

    proptest! {
        #[test]
        fn fast_masking_equals_the_formula(
            bytes in proptest::collection::vec(any::<u8>(), 0..700),
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
