//! Unmasking against copying, by the clock.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Bytes: one that stays in the nearest cache, one in the next.
const SIZES: [usize; 2] = [16 << 10, 256 << 10];

/// The two take turns so many times, and each one's best time counts: what disturbs the machine can only
/// make a turn slower, and one turn in thousands is left alone.
const TURNS: usize = 4_000;

/// Bytes that one turn works on: some 30 µs, long for a clock and short for a scheduler.
const TURN_BYTES: usize = 2 << 20;

/// Where a payload begins in the frame: behind a header of 8 bytes, that is, not where vectors like it.
const HEAD_BYTES: usize = 8;

/// Prints one line for each size: bytes, and the speed of unmasking in place as a share of memcpy's.
pub(crate) fn measure() {
    for size in SIZES {
        println!("{size} {:.3}", share(size));
    }
}

fn share(size: usize) -> f64 {
    let mut frame = vec![7_u8; HEAD_BYTES + size];
    let (source, mut target) = (vec![7_u8; HEAD_BYTES + size], vec![7_u8; HEAD_BYTES + size]);
    let repeats = TURN_BYTES / size;
    let (mut unmask, mut copy) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        unmask = unmask.min(time(repeats, || {
            crate::mask::mask(black_box(&mut frame[HEAD_BYTES..]), black_box([1, 2, 3, 4]));
        }));
        copy = copy.min(time(repeats, || {
            black_box(&mut target[HEAD_BYTES..]).copy_from_slice(black_box(&source[HEAD_BYTES..]));
        }));
    }
    copy.as_secs_f64() / unmask.as_secs_f64()
}

fn time(repeats: usize, mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..repeats {
        work();
    }
    start.elapsed()
}
