//! Fast deflate compression of short messages, for level 1 (RFC 1951).

use alloc::{boxed::Box, vec, vec::Vec};

use super::Compression;

/// A compressor of whole messages of at most [`TEXT_BYTES_MAX`].
///
/// ```text
///   history │ text
///   ────────┼──────────────────────
///       ^───┼──── four bytes seen before ──> one block of fixed codes, then the empty one without its tail
/// ```
///
/// zlib clears 128 KiB before each message, or keeps 290 KiB for each connection. This compressor fills a hash table from the
/// history before each message. The table is as large as the message needs and fits the fast caches, and only the history is
/// kept for a connection. The output depends on history and text alone.
pub(super) struct FastDeflate {
    /// The hash table: for the hash of four bytes, their latest position. A wrong position costs one comparison.
    table: Box<[u16; TABLE_ENTRIES_MAX]>,
    /// History and text of the current message, if there is history.
    joined: Vec<u8>,
}

impl FastDeflate {
    pub(super) fn new() -> Self {
        let table = vec![0; TABLE_ENTRIES_MAX].into_boxed_slice();
        Self {
            table: table.try_into().expect("so many were made"),
            joined: Vec::new(),
        }
    }

    /// Appends the compressed form of `text`, if that is smaller. References go back at most 2 to the power of `window_bits`
    /// (8 to 15) bytes, and not beyond `history`, which has at most [`HISTORY_BYTES_MAX`].
    pub(super) fn deflate(
        &mut self,
        history: [&[u8]; 2],
        text: &[u8],
        window_bits: u8,
        output: &mut Vec<u8>,
    ) -> Compression {
        let history_bytes = history[0].len() + history[1].len();
        debug_assert!(history_bytes <= HISTORY_BYTES_MAX && text.len() <= TEXT_BYTES_MAX);
        let joined = if history_bytes == 0 {
            text
        } else {
            self.joined.clear();
            for part in [history[0], history[1], text] {
                self.joined.extend_from_slice(part);
            }
            &self.joined
        };
        let bits = joined.len().ilog2().clamp(TABLE_BITS_MIN, TABLE_BITS_MAX);
        self.table[..1 << bits].fill(0);
        let mut matcher = Matcher {
            text: joined,
            window_bytes: 1 << window_bits,
            table: &mut self.table,
            shift: 32 - bits,
            lazy_bytes_max: if text.len() <= LAZY_TEXT_BYTES_MAX {
                LAZY_BYTES_MAX
            } else {
                0
            },
        };
        matcher.learn(history_bytes);

        let start = output.len();
        output.resize(start + text.len(), 0);
        let mut writer = BitWriter::new(&mut output[start..]);
        writer.put(FIXED_BLOCK, 3);
        matcher.write(history_bytes, &mut writer);
        writer.put(END_OF_BLOCK, 7);
        writer.put(STORED_BLOCK, 3);
        match writer.finish() {
            Some(len) if len < text.len() => {
                output.truncate(start + len);
                Compression::Smaller
            }
            _ => {
                output.truncate(start);
                Compression::NotSmaller
            }
        }
    }
}

struct Matcher<'a> {
    text: &'a [u8],
    window_bytes: usize,
    table: &'a mut [u16; TABLE_ENTRIES_MAX],
    /// Shifts a hash of 32 bits right, to an index of the table in use.
    shift: u32,
    /// Bytes. A reference of this length is used without checking whether the next byte begins a longer one.
    lazy_bytes_max: usize,
}

impl Matcher<'_> {
    /// Enters everything before `end` into the table.
    fn learn(&mut self, end: usize) {
        let mut at = 0;
        // Eight bytes hold five overlapping words.
        while at + 5 <= end && at + 8 <= self.text.len() {
            let bytes = self.text[at..][..8].try_into().expect("eight");
            let bytes = u64::from_le_bytes(bytes);
            for step in 0..5 {
                self.remember((bytes >> (8 * step)) as u32, at + step);
            }
            at += 5;
        }
        while at < end && at + 4 <= self.text.len() {
            self.remember(word(self.text, at), at);
            at += 1;
        }
    }

    /// Writes everything from `start` on.
    fn write(&mut self, start: usize, writer: &mut BitWriter<'_>) {
        let text = self.text;
        // start <= written <= at: everything before `written` is written, and no reference begins between the two.
        let (mut written, mut at) = (start, start);
        while at + 4 <= text.len() {
            let Some(mut found) = self.find(at) else {
                at += 1 + ((at - written) >> SKIP_SHIFT);
                continue;
            };
            // Skipped bytes may belong to it.
            while at > written && found > 0 && text[at - 1] == text[found - 1] {
                at -= 1;
                found -= 1;
            }
            let mut len = common(text, found, at);
            // The next byte may begin a longer one.
            if len < self.lazy_bytes_max
                && at + 5 <= text.len()
                && let Some(later) = self.find(at + 1)
            {
                let longer = common(text, later, at + 1);
                if longer > len {
                    (at, found, len) = (at + 1, later, longer);
                }
            }
            writer.literals(&text[written..at]);
            writer.reference(len, at - found);
            if writer.is_full() {
                return;
            }
            written = at + len;
            // Only the ends of the reference are entered into the table: all of it would take as long again.
            if written + 3 <= text.len() {
                for passed in [at + 1, at + 2, written - 2, written - 1] {
                    self.remember(word(text, passed), passed);
                }
            }
            at = written;
        }
        writer.literals(&text[written..]);
    }

    /// Returns where the four bytes at `at` occur before it, within the window. Enters `at` into the table.
    #[inline(always)]
    fn find(&mut self, at: usize) -> Option<usize> {
        let here = word(self.text, at);
        let found = self.remember(here, at);
        let fits = found < at && at - found <= self.window_bytes && word(self.text, found) == here;
        fits.then_some(found)
    }

    /// Enters the position `at` of the four bytes `word` into the table, and returns where they may have been before.
    #[inline(always)]
    fn remember(&mut self, word: u32, at: usize) -> usize {
        let hash = word.wrapping_mul(HASH_FACTOR) >> self.shift;
        let entry = &mut self.table[hash as usize % TABLE_ENTRIES_MAX];
        usize::from(core::mem::replace(entry, at as u16))
    }
}

#[inline(always)]
fn word(text: &[u8], at: usize) -> u32 {
    let bytes = text[at..][..4].try_into().expect("four");
    u32::from_le_bytes(bytes)
}

/// Returns how many bytes are equal from both positions on, at most 258. `before < at`.
#[inline(always)]
fn common(text: &[u8], before: usize, at: usize) -> usize {
    let here = &text[at..text.len().min(at + LENGTH_MAX)];
    let there = &text[before..before + here.len()];
    let mut len = 0;
    for (here, there) in here.chunks_exact(8).zip(there.chunks_exact(8)) {
        let differ = u64::from_le_bytes(here.try_into().expect("eight"))
            ^ u64::from_le_bytes(there.try_into().expect("eight"));
        if differ != 0 {
            return len + differ.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = here[len..].iter().zip(&there[len..]);
    len + rest.take_while(|(here, there)| here == there).count()
}

/// A writer of bits, the lowest first (RFC 1951 section 3.1.1).
struct BitWriter<'a> {
    room: &'a mut [u8],
    /// Bytes written. Larger than the length of `room` if that was too small.
    at: usize,
    /// The lowest `count` bits are not written yet; the others are 0.
    bits: u64,
    /// < 32 between two calls.
    count: u32,
}

impl<'a> BitWriter<'a> {
    fn new(room: &'a mut [u8]) -> Self {
        Self {
            room,
            at: 0,
            bits: 0,
            count: 0,
        }
    }

    /// Writes the lowest `count` bits. `count <= 32`, and all other bits are 0.
    #[inline(always)]
    fn put(&mut self, bits: u32, count: u32) {
        self.bits |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            if let Some(room) = self.room.get_mut(self.at..self.at + 4) {
                room.copy_from_slice(&(self.bits as u32).to_le_bytes());
            }
            self.at += 4;
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    #[inline(always)]
    fn literals(&mut self, text: &[u8]) {
        for &byte in text {
            let code = LITERALS[usize::from(byte)];
            self.put(u32::from(code.bits), u32::from(code.count));
        }
    }

    /// Writes a reference. `4 <= len <= 258`, `1 <= distance <= 32768`.
    #[inline(always)]
    fn reference(&mut self, len: usize, distance: usize) {
        let length = LENGTHS[len % LENGTHS.len()];
        // RFC 1951 section 3.2.5: each power of two has two codes, and extra bits for the rest.
        let distance = distance as u32 - 1;
        let extra = distance.max(2).ilog2() - 1;
        let code = if distance < 2 {
            distance
        } else {
            2 * extra + (distance >> extra)
        };
        let extra = if distance < 2 { 0 } else { extra };
        // Section 3.2.6: codes of distances have five bits, the highest first.
        let code = code.reverse_bits() >> 27;
        let rest = distance & ((1 << extra) - 1);
        let bits = code | rest << 5;
        self.put(
            u32::from(length.bits) | bits << length.count,
            u32::from(length.count) + 5 + extra,
        );
    }

    fn is_full(&self) -> bool {
        self.at > self.room.len()
    }

    /// Fills up the last byte, and returns the length, or `None` if there was no room.
    fn finish(mut self) -> Option<usize> {
        while self.count > 0 {
            *self.room.get_mut(self.at)? = self.bits as u8;
            self.at += 1;
            self.bits >>= 8;
            self.count = self.count.saturating_sub(8);
        }
        (!self.is_full()).then_some(self.at)
    }
}

/// A code as it is written, with its extra bits.
#[derive(Clone, Copy)]
struct HuffmanCode {
    bits: u16,
    count: u8,
}

/// Returns the fixed code of a literal, of the end of a block or of a length (RFC 1951 section 3.2.6), the highest bit first.
const fn fixed(symbol: u16) -> HuffmanCode {
    let (bits, count) = match symbol {
        0..=143 => (0x30 + symbol, 8),
        144..=255 => (0x190 + symbol - 144, 9),
        256..=279 => (symbol - 256, 7),
        _ => (0xc0 + symbol - 280, 8),
    };
    HuffmanCode {
        bits: bits.reverse_bits() >> (16 - count),
        count: count as u8,
    }
}

static LITERALS: [HuffmanCode; 256] = {
    let mut codes = [fixed(0); 256];
    let mut byte = 0;
    while byte < codes.len() {
        codes[byte] = fixed(byte as u16);
        byte += 1;
    }
    codes
};

/// The codes of lengths, indexed by the length. Lengths below 3 have none.
static LENGTHS: [HuffmanCode; LENGTH_MAX + 1] = {
    let mut codes = [fixed(0); LENGTH_MAX + 1];
    let mut len = 3;
    while len <= LENGTH_MAX {
        // RFC 1951 section 3.2.5: each power of two has four codes, and extra bits for the rest.
        let beyond = len as u16 - 3;
        let extra = if beyond < 8 { 0 } else { beyond.ilog2() - 2 };
        let mut code = fixed(257 + 4 * extra as u16 + (beyond >> extra));
        code.bits |= (beyond & ((1 << extra) - 1)) << code.count;
        code.count += extra as u8;
        codes[len] = code;
        len += 1;
    }
    // The largest length has a code of its own.
    codes[LENGTH_MAX] = fixed(285);
    codes
};

/// RFC 1951 section 3.2.3: the header of a block with fixed codes that is not the last.
const FIXED_BLOCK: u32 = 0b010;

/// RFC 1951 section 3.2.6: the code of symbol 256.
const END_OF_BLOCK: u32 = 0;

/// The header of a stored block that is not the last. The block is empty, and its length is the tail that is not sent (RFC 7692
/// section 7.2.1).
const STORED_BLOCK: u32 = 0b000;

/// Bytes. The longest reference (RFC 1951 section 3.2.5).
const LENGTH_MAX: usize = 258;

/// Bytes. So much of the earlier messages can be referred to. Entering it into the table costs as much as compressing a few
/// hundred bytes.
pub(super) const HISTORY_BYTES_MAX: usize = 4 << 10;

/// Bytes. For longer messages zlib is as fast. With the history it is less than 64 KiB, so that a position fits 16 bits.
pub(super) const TEXT_BYTES_MAX: usize = 16 << 10;

/// The table has at most 2 to the power of this many entries, of 2 bytes each.
const TABLE_BITS_MAX: u32 = 14;
const TABLE_ENTRIES_MAX: usize = 1 << TABLE_BITS_MAX;

/// The table has at least 2 to the power of this many entries; fewer would save no time.
const TABLE_BITS_MIN: u32 = 8;

/// 2 to the power of 32, divided by the golden ratio: it spreads neighbours, and the highest bits of the product depend on all
/// four bytes.
const HASH_FACTOR: u32 = 0x9e37_79b1;

/// After 2 to the power of this many bytes without a reference only every second byte is tried, after twice as many every
/// third, and so on, so that random bytes take little time.
const SKIP_SHIFT: u32 = 5;

/// Bytes. Longer references seldom are followed by one that is longer still.
const LAZY_BYTES_MAX: usize = 16;

/// Bytes. Checking the next byte too saves two per cent of size and takes a fifth more time. Against zlib, only messages of up
/// to this length have that time to spare.
const LAZY_TEXT_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_section_3_2_5_of_rfc_1951_lists_them() {
        for (len, symbol, extra, count) in [
            (3, 257, 0, 0),
            (10, 264, 0, 0),
            (11, 265, 0, 1),
            (12, 265, 1, 1),
            (13, 266, 0, 1),
            (18, 268, 1, 1),
            (19, 269, 0, 2),
            (114, 279, 15, 4),
            (115, 280, 0, 4),
            (130, 280, 15, 4),
            (131, 281, 0, 5),
            (257, 284, 30, 5),
            (258, 285, 0, 0),
        ] {
            let (code, written) = (fixed(symbol), LENGTHS[len]);
            let bits = code.bits | extra << code.count;
            assert_eq!((written.bits, written.count), (bits, code.count + count));
        }
    }

    #[test]
    fn gives_up_when_there_is_no_room_and_leaves_the_output_as_it_was() {
        let mut fast_deflate = FastDeflate::new();
        let mut output = vec![1, 2, 3];
        for text in [&b"a"[..], b"abc", b"no four of these are twice here"] {
            let compression = fast_deflate.deflate([b"", b""], text, 15, &mut output);
            assert_eq!(
                (compression, output.as_slice()),
                (Compression::NotSmaller, &[1, 2, 3][..])
            );
        }
        let compression =
            fast_deflate.deflate([b"again ", b"and "], b"again and again", 15, &mut output);
        assert_eq!((compression, output.len()), (Compression::Smaller, 3 + 4));
    }
}
