//! Any bytes as compressed payload.

use sockeye_proto::extension::{
    Compression, Deflater, End, InflateError, Inflater, Pool, Progress, Takeover,
};

use crate::choices::Choices;

/// Bytes. Enough for any window to be left behind, little enough for a fast search.
const OUTPUT_BYTES_MAX: usize = 200_000;

/// However the messages are cut, their text is the same, and never more than is allowed.
pub fn inflate(data: &[u8]) {
    let mut choices = Choices::new(data);
    let window_bits = 8 + choices.byte() % 8;
    let takeover = match choices.flag() {
        true => Takeover::Yes,
        false => Takeover::No,
    };
    let pieces = 1 + usize::from(choices.byte() % 32);
    let step = 1 + choices.number();
    let (mut one, mut other) = (Pool::new(), Pool::new());
    let mut whole = Inflater::new(window_bits, takeover);
    let mut cut = Inflater::new(window_bits, takeover);
    while !choices.is_empty() {
        let bytes = choices.number();
        let message = choices.bytes(bytes);
        let text = inflated(&mut whole, &mut one, &[message], usize::MAX);
        let parts: Vec<_> = message.chunks(pieces).chain([&[][..]]).collect();
        assert_eq!(inflated(&mut cut, &mut other, &parts, step), text);
        let Ok(Some(text)) = text else { return };
        for inflater in [&whole, &cut] {
            let held_max = match takeover {
                Takeover::Yes => 1 << window_bits,
                Takeover::No => 0,
            };
            assert!(inflater.held_bytes() <= held_max);
        }
        for level in [1, 2 + window_bits % 8] {
            is_identity(&text, window_bits, takeover, level);
        }
    }
}

/// `None` if there is more than anybody wants to see.
fn inflated(
    inflater: &mut Inflater,
    pool: &mut Pool,
    parts: &[&[u8]],
    step: usize,
) -> Result<Option<Vec<u8>>, InflateError> {
    let mut text = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let end = match index + 1 == parts.len() {
            true => End::Yes,
            false => End::No,
        };
        let mut input = *part;
        loop {
            let room = text.len().saturating_add(step).min(OUTPUT_BYTES_MAX);
            match inflater.inflate(pool, &mut input, end, &mut text, room)? {
                Progress::Full if text.len() == OUTPUT_BYTES_MAX => return Ok(None),
                Progress::Full => assert_eq!(text.len(), room),
                Progress::NeedInput => {
                    assert_eq!(end, End::No);
                    break;
                }
                Progress::End => {
                    assert_eq!(end, End::Yes);
                    break;
                }
            }
        }
        assert!(input.is_empty());
    }
    Ok(Some(text))
}

fn is_identity(text: &[u8], window_bits: u8, takeover: Takeover, level: u8) {
    let mut pool = Pool::new();
    let mut deflater = Deflater::new(window_bits, takeover, level);
    let mut inflater = Inflater::new(window_bits, takeover);
    for _ in 0..2 {
        let mut wire = Vec::new();
        deflater.deflate(&mut pool, text, End::Yes, &mut wire);
        let back = inflated(&mut inflater, &mut pool, &[&wire], usize::MAX);
        assert_eq!(back.expect("our own"), Some(text.to_vec()));
        wire.clear();
        // Whole, and at level 1 without zlib.
        match deflater.deflate_whole(&mut pool, text, &mut wire) {
            Compression::NotSmaller => assert!(wire.is_empty()),
            Compression::Smaller => {
                let back = inflated(&mut inflater, &mut pool, &[&wire], usize::MAX);
                assert_eq!(back.expect("our own"), Some(text.to_vec()));
            }
        }
    }
}
