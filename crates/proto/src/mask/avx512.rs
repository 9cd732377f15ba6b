//! Unmasks text and checks it for UTF-8 in one pass, 64 bytes at a time.
//!
//! Which two bytes may follow each other depends on three nibbles: both of the first byte and the upper one of the second.
//! For each nibble a table gives the set of mistakes that it can be part of. A mistake in all three sets is real.
//! (J. Keiser, D. Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte", 2021.)

use core::arch::x86_64::{
    __m512i, _mm512_alignr_epi8, _mm512_alignr_epi32, _mm512_and_si512, _mm512_movepi8_mask,
    _mm512_or_si512, _mm512_set_epi64, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_srli_epi16, _mm512_subs_epu8, _mm512_test_epi8_mask, _mm512_xor_si512,
};

cpufeatures::new!(cpuid, "avx512f", "avx512bw");

pub(super) fn available() -> bool {
    cpuid::get()
}

/// Bytes of a register.
const BLOCK_BYTES: usize = 64;

/// XORs `bytes` with `key`, and returns whether the result is UTF-8.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn unmask_text(bytes: &mut [u8], key: [u8; 4]) -> bool {
    let half = u64::from(u32::from_ne_bytes(key));
    let word = half << 32 | half;
    let mut check = Check::new();
    let (blocks, rest) = bytes.as_chunks_mut::<BLOCK_BYTES>();
    for block in blocks {
        check.handle(unmask(block, word));
    }
    // Zeros follow the rest: a character that lacks bytes is a mistake there.
    let mut last = [0; BLOCK_BYTES];
    for (index, (masked, last)) in rest.iter_mut().zip(&mut last).enumerate() {
        *masked ^= key[index % 4];
        *last = *masked;
    }
    check.handle(load(&last));
    check.is_right()
}

#[target_feature(enable = "avx512f,avx512bw")]
fn unmask(block: &mut [u8; BLOCK_BYTES], word: u64) -> __m512i {
    for eight in block.as_chunks_mut::<8>().0 {
        *eight = (u64::from_ne_bytes(*eight) ^ word).to_ne_bytes();
    }
    load(block)
}

#[target_feature(enable = "avx512f,avx512bw")]
fn load(block: &[u8; BLOCK_BYTES]) -> __m512i {
    let eights = block.as_chunks::<8>().0;
    let at = |index: usize| i64::from_ne_bytes(eights[index]);
    _mm512_set_epi64(at(7), at(6), at(5), at(4), at(3), at(2), at(1), at(0))
}

/// The state of the check between two blocks.
struct Check {
    before: __m512i,
    /// Whether all of `before` is ASCII.
    was_ascii: bool,
    mistakes: __m512i,
}

impl Check {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new() -> Self {
        Self {
            before: _mm512_setzero_si512(),
            was_ascii: true,
            mistakes: _mm512_setzero_si512(),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn handle(&mut self, block: __m512i) {
        let is_ascii = _mm512_movepi8_mask(block) == 0;
        if !(is_ascii && self.was_ascii) {
            self.look_at(block);
        }
        (self.before, self.was_ascii) = (block, is_ascii);
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn look_at(&mut self, block: __m512i) {
        // For each lane of sixteen bytes, the lane before it.
        let lanes = _mm512_alignr_epi32::<12>(block, self.before);
        let one_back = _mm512_alignr_epi8::<15>(block, lanes);
        let two_back = _mm512_alignr_epi8::<14>(block, lanes);
        let three_back = _mm512_alignr_epi8::<13>(block, lanes);
        let found = _mm512_and_si512(
            _mm512_and_si512(
                _mm512_shuffle_epi8(table(&FIRST_UPPER), upper(one_back)),
                _mm512_shuffle_epi8(table(&FIRST_LOWER), lower(one_back)),
            ),
            _mm512_shuffle_epi8(table(&SECOND_UPPER), upper(block)),
        );
        // The saturating differences have their highest bit set for leads from E0 and from F0 on. Two bytes after the
        // former and three after the latter a second continuation is right, and wrong everywhere else.
        let third = _mm512_subs_epu8(two_back, _mm512_set1_epi8(0xE0_u8.wrapping_sub(0x80) as i8));
        let fourth = _mm512_subs_epu8(
            three_back,
            _mm512_set1_epi8(0xF0_u8.wrapping_sub(0x80) as i8),
        );
        let wanted = _mm512_and_si512(
            _mm512_or_si512(third, fourth),
            _mm512_set1_epi8(TWO_CONTINUATIONS as i8),
        );
        self.mistakes = _mm512_or_si512(self.mistakes, _mm512_xor_si512(found, wanted));
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn is_right(&self) -> bool {
        _mm512_test_epi8_mask(self.mistakes, self.mistakes) == 0
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn upper(bytes: __m512i) -> __m512i {
    lower(_mm512_srli_epi16::<4>(bytes))
}

#[target_feature(enable = "avx512f,avx512bw")]
fn lower(bytes: __m512i) -> __m512i {
    _mm512_and_si512(bytes, _mm512_set1_epi8(0x0F))
}

/// Loads the sixteen entries into each lane.
#[target_feature(enable = "avx512f,avx512bw")]
fn table(entries: &[u8; 16]) -> __m512i {
    let halves = entries.as_chunks::<8>().0;
    let (low, high) = (i64::from_ne_bytes(halves[0]), i64::from_ne_bytes(halves[1]));
    _mm512_set_epi64(high, low, high, low, high, low, high, low)
}

/// A pair of bytes that is wrong in UTF-8: for each nibble the set of values that makes it, one bit for each value.
struct Mistake {
    first_upper: u16,
    first_lower: u16,
    second_upper: u16,
}

/// Returns the set of nibbles from `first` to `last`.
const fn halves(first: u32, last: u32) -> u16 {
    ((1 << (last + 1)) - (1_u32 << first)) as u16
}

const ANY: u16 = halves(0, 15);
const ASCII: u16 = halves(0x0, 0x7);
const CONTINUATION: u16 = halves(0x8, 0xB);
const LEAD: u16 = halves(0xC, 0xF);

/// The mistakes (RFC 3629 section 4). Each has one bit of a byte.
const MISTAKES: [Mistake; 8] = [
    // A lead without a continuation.
    Mistake {
        first_upper: LEAD,
        first_lower: ANY,
        second_upper: ASCII | LEAD,
    },
    // A continuation without a lead.
    Mistake {
        first_upper: ASCII,
        first_lower: ANY,
        second_upper: CONTINUATION,
    },
    // C0 and C1: two bytes where one would do.
    Mistake {
        first_upper: halves(0xC, 0xC),
        first_lower: halves(0, 1),
        second_upper: CONTINUATION,
    },
    // E0 80 to E0 9F: three bytes where two would do.
    Mistake {
        first_upper: halves(0xE, 0xE),
        first_lower: halves(0, 0),
        second_upper: halves(0x8, 0x9),
    },
    // ED A0 to ED BF: surrogates.
    Mistake {
        first_upper: halves(0xE, 0xE),
        first_lower: halves(0xD, 0xD),
        second_upper: halves(0xA, 0xB),
    },
    // F4 90 and more, F5 and more: beyond U+10FFFF.
    Mistake {
        first_upper: halves(0xF, 0xF),
        first_lower: halves(0x4, 0xF),
        second_upper: halves(0x9, 0xB),
    },
    // F0 80 to F0 8F: four bytes where three would do. Also the rest of what is beyond U+10FFFF.
    Mistake {
        first_upper: halves(0xF, 0xF),
        first_lower: halves(0x0, 0x0) | halves(0x5, 0xF),
        second_upper: halves(0x8, 0x8),
    },
    // Two continuations: right after a lead of three or four bytes.
    Mistake {
        first_upper: CONTINUATION,
        first_lower: ANY,
        second_upper: CONTINUATION,
    },
];

/// The bit of the last of [`MISTAKES`].
const TWO_CONTINUATIONS: u8 = 1 << 7;

const FIRST_UPPER: [u8; 16] = entries(0);
const FIRST_LOWER: [u8; 16] = entries(1);
const SECOND_UPPER: [u8; 16] = entries(2);

/// Returns for each nibble the mistakes that it can be part of. `place` is 0, 1 or 2: which of the three nibbles.
const fn entries(place: usize) -> [u8; 16] {
    let mut entries = [0; 16];
    let mut bit = 0;
    while bit < MISTAKES.len() {
        let mistake = &MISTAKES[bit];
        let sets = [
            mistake.first_upper,
            mistake.first_lower,
            mistake.second_upper,
        ];
        let mut half = 0;
        while half < 16 {
            entries[half] |= ((sets[place] >> half & 1) as u8) << bit;
            half += 1;
        }
        bit += 1;
    }
    entries
}
