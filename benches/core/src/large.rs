//! Large messages by the clock: given as inputs of one read each, and read directly into their memory.

use std::time::{Duration, Instant};

use sockeye_proto::{Event, Input, Limits, Message, Receiver, Role, driver, extension::Pool};

/// Bytes of payload.
const SIZES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];

/// Bytes. The buffer that a thread reads into.
const INPUT_BYTES: usize = 64 << 10;

/// Bytes. What a socket has to give at a time.
const DIRECT_BYTES: usize = 256 << 10;

/// Messages.
const ROUNDS: usize = 300;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Input,
    Direct,
}

/// Prints for each size: bytes, microseconds per message as input, and directly.
pub(crate) fn measure() {
    for size in SIZES {
        let mut wire = vec![0x82, 0xff];
        wire.extend((size as u64).to_be_bytes());
        wire.extend([1, 2, 3, 4]);
        wire.resize(wire.len() + size, 7);
        let [input, direct] = [Way::Input, Way::Direct].map(|way| micros(&wire, way));
        println!("{size} {input:.1} {direct:.1}");
    }
}

fn micros(wire: &[u8], way: Way) -> f64 {
    let mut receiver = Receiver::new(Role::Server, None);
    let (mut pool, limits, mut buffer) = (Pool::new(), Limits::default(), vec![0; INPUT_BYTES]);
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut rest = wire;
        while !rest.is_empty() {
            let whole = match driver::payload_buffer(&mut receiver) {
                Some(room) if way == Way::Direct => {
                    let (piece, after) =
                        rest.split_at(room.len().min(DIRECT_BYTES).min(rest.len()));
                    room[..piece.len()].copy_from_slice(piece);
                    rest = after;
                    driver::commit(&mut receiver, piece.len())
                }
                _ => {
                    let (piece, after) = rest.split_at(INPUT_BYTES.min(rest.len()));
                    let bytes = &mut buffer[..piece.len()];
                    bytes.copy_from_slice(piece);
                    rest = after;
                    owned(receiver.poll_event(&mut Input::new(bytes), &mut pool, &limits))
                }
            };
            if let Some(message) = whole
                && way == Way::Direct
            {
                pool.recycle(message);
            }
        }
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e6
}

fn owned<E: std::fmt::Debug>(event: Result<Option<Event<'_>>, E>) -> Option<Message<'static>> {
    match event.expect("right bytes") {
        Some(Event::Message(message)) => Some(message.into_owned()),
        _ => None,
    }
}
