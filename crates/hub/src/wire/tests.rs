//! Tests of both encodings.

mod fields;
mod frames;
mod properties;

use bytes::Bytes;

/// Returns the bytes that hex digits spell. Blanks are for the reader.
fn hex(digits: &str) -> Bytes {
    let digits: Vec<u8> = digits
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).expect("a hex digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
