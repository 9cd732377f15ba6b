//! A second inflater, for tests only: slow, simple, and strict about the window.
//!
//! It is written from RFC 1951 alone, so that it is independent of the compressor that it checks.

use alloc::{vec, vec::Vec};

/// An inflater of messages (RFC 7692 section 7.2.2).
pub(super) struct Reference {
    /// Bytes. No reference may go further back.
    window_bytes: usize,
    /// All text so far, or without takeover that of the current message.
    text: Vec<u8>,
    /// Bytes. The furthest reference so far.
    pub(super) distance_max: usize,
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits from the beginning of `bytes`.
    at: usize,
}

impl Reference {
    pub(super) fn new(window_bits: u8) -> Self {
        Self {
            window_bytes: 1 << window_bits,
            text: Vec::new(),
            distance_max: 0,
        }
    }

    pub(super) fn forget(&mut self) {
        self.text.clear();
    }

    pub(super) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, &'static str> {
        let start = self.text.len();
        let bytes = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
        let mut bits = Bits {
            bytes: &bytes,
            at: 0,
        };
        while bits.at < bytes.len() * 8 {
            let is_final = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => self.stored(&mut bits)?,
                1 => {
                    let mut lengths = vec![8; 288];
                    lengths[144..256].fill(9);
                    lengths[256..280].fill(7);
                    self.compressed(&mut bits, &lengths, &[5; 30])?;
                }
                2 => {
                    let (literals, distances) = dynamic(&mut bits)?;
                    self.compressed(&mut bits, &literals, &distances)?;
                }
                _ => return Err("reserved block type"),
            }
            if is_final {
                bits.align();
            }
        }
        Ok(self.text[start..].to_vec())
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), &'static str> {
        bits.align();
        let length = bits.take(16)?;
        if bits.take(16)? != !length & 0xffff {
            return Err("stored length");
        }
        for _ in 0..length {
            let byte = bits.take(8)?;
            self.text.push(byte as u8);
        }
        Ok(())
    }

    fn compressed(
        &mut self,
        bits: &mut Bits<'_>,
        literals: &[u8],
        distances: &[u8],
    ) -> Result<(), &'static str> {
        loop {
            let length = match bits.symbol(literals)? {
                literal @ 0..=255 => {
                    self.text.push(literal as u8);
                    continue;
                }
                256 => return Ok(()),
                285 => 258,
                symbol @ 257..=264 => symbol - 257 + 3,
                symbol @ 265..=284 => {
                    let extra = (symbol - 261) / 4;
                    ((4 + (symbol - 261) % 4) << extra) + 3 + bits.take(extra)?
                }
                _ => return Err("length symbol"),
            };
            let distance = match bits.symbol(distances)? {
                symbol @ 0..=3 => symbol + 1,
                symbol @ 4..=29 => {
                    let extra = symbol / 2 - 1;
                    ((2 + symbol % 2) << extra) + 1 + bits.take(extra)?
                }
                _ => return Err("distance symbol"),
            };
            self.distance_max = self.distance_max.max(distance);
            if distance > self.window_bytes {
                return Err("reference beyond the window");
            }
            let from = self.text.len().checked_sub(distance);
            let from = from.ok_or("reference to before the text")?;
            for index in from..from + length {
                self.text.push(self.text[index]);
            }
        }
    }
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    let codes = bits.take(4)? + 4;
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let mut code_lengths = [0; 19];
    for &code in &ORDER[..codes] {
        code_lengths[code] = bits.take(3)? as u8;
    }
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (value, times) = match bits.symbol(&code_lengths)? {
            16 => (
                *lengths.last().ok_or("nothing to repeat")?,
                bits.take(2)? + 3,
            ),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (length as u8, 1),
        };
        lengths.resize(lengths.len() + times, value);
    }
    if lengths.len() > literals + distances {
        return Err("too many lengths");
    }
    let distances = lengths.split_off(literals);
    Ok((lengths, distances))
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<usize, &'static str> {
        let mut value = 0;
        for index in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or("out of bits")?;
            value |= usize::from(byte >> (self.at % 8) & 1) << index;
            self.at += 1;
        }
        Ok(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// Reads one symbol of the canonical Huffman code with these lengths (RFC 1951 section 3.2.2).
    fn symbol(&mut self, lengths: &[u8]) -> Result<usize, &'static str> {
        let mut code = 0;
        let mut first = 0;
        for length in 1..=15 {
            code = code << 1 | self.take(1)?;
            let mut of_this_length = (0..lengths.len()).filter(|&one| lengths[one] == length);
            let count = of_this_length.clone().count();
            if code < first + count {
                return of_this_length.nth(code - first).ok_or("no such code");
            }
            first = (first + count) << 1;
        }
        Err("no such code")
    }
}
