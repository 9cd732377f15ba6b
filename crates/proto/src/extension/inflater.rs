//! Inflates messages (RFC 7692 section 7.2.2).

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use zlib_rs::{InflateFlush, Status};

use super::{
    DeflateParams, End, InflateError, Pool, Progress, Takeover, contexts::GIVEN_BYTES_MAX,
    history::History,
};
use crate::Role;

/// Inflates the messages of one direction, one after the other.
///
/// ```text
///            input                input, no end              more output than room
///   idle ─────────────> working ───────┐  working <───────────────── full
///    ^                   │  ^          │     └──────────────────────> ^
///    └──── end, error ───┘  └──────────┘
/// ```
///
/// Memory between messages: nothing without context takeover; with it at most the window (2 to the power of `window_bits`
/// bytes). While a message is unfinished, a context from the pool (47 KiB) and the window. Plain text goes to the caller's
/// buffer, never beyond the length that the caller allows.
///
/// A window smaller than 32 KiB limits what is kept between messages. A peer that refers further back within one message is
/// not rejected, because that costs nothing.
pub struct Inflater {
    /// 8 to 15.
    window_bits: u8,
    takeover: Takeover,
    /// `Some` from the first byte of a deflate stream to the end of the message or to the end of the stream's final block.
    context: Option<Box<zlib_rs::Inflate>>,
    /// Plain text that the next context must know: with takeover that of earlier messages, and that of this message which
    /// earlier calls inflated.
    history: History,
    /// The last four bytes of this message's compressed payload. At its beginning and after a final block it is [`TAIL`], the
    /// end of an empty block.
    last: [u8; 4],
    /// A byte of plain text for which there was no room in the output. It is in `history` already.
    spilled: Option<u8>,
}

impl Inflater {
    /// Creates an inflater for a sender whose window has at most 2 to the power of `window_bits` bytes (8 to 15; a value outside
    /// is taken as the nearest).
    #[must_use]
    pub fn new(window_bits: u8, takeover: Takeover) -> Self {
        Self {
            window_bits: window_bits.clamp(8, 15),
            takeover,
            context: None,
            history: History::default(),
            last: TAIL,
            spilled: None,
        }
    }

    /// Consumes `input`, and appends its plain text to `output` until `output.len()` is `output_bytes_max`.
    ///
    /// `end` tells whether the message ends with `input`; the four bytes that the sender removed are added here. A message may
    /// come in any number of pieces, which may be empty. After [`Progress::Full`] call again with the rest of the input, the
    /// same `end` and more room.
    ///
    /// # Errors
    ///
    /// The message does not inflate, and the connection must fail. All text before the error is in `output`.
    pub fn inflate(
        &mut self,
        pool: &mut Pool,
        input: &mut &[u8],
        end: End,
        output: &mut Vec<u8>,
        output_bytes_max: usize,
    ) -> Result<Progress, InflateError> {
        let mut remembered = output.len();
        let result = self.advance(pool, input, end, output, output_bytes_max, &mut remembered);
        match result {
            Ok(Progress::NeedInput) => self.remember(&output[remembered..]),
            // `advance` has remembered the output and the spilled byte behind it.
            Ok(Progress::Full) => {}
            Ok(Progress::End) => {
                match self.takeover {
                    Takeover::Yes => self.remember(&output[remembered..]),
                    Takeover::No => self.history.clear(),
                }
                self.return_context(pool);
                self.last = TAIL;
            }
            Err(_) => {
                self.history.clear();
                self.return_context(pool);
            }
        }
        result
    }

    /// Returns the bytes of memory that this direction holds, without the inflater itself: between messages 0, with takeover at
    /// most 2 to the power of `window_bits`.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let context = match self.context {
            Some(_) => CONTEXT_BYTES,
            None => 0,
        };
        context + self.history.held_bytes()
    }

    fn advance(
        &mut self,
        pool: &mut Pool,
        input: &mut &[u8],
        end: End,
        output: &mut Vec<u8>,
        output_bytes_max: usize,
        remembered: &mut usize,
    ) -> Result<Progress, InflateError> {
        let mut text_waits = false;
        if let Some(byte) = self.spilled {
            if output.len() >= output_bytes_max {
                return Ok(Progress::Full);
            }
            output.push(byte);
            *remembered = output.len();
            self.spilled = None;
            text_waits = self.context.is_some();
        }

        while text_waits || !input.is_empty() {
            let room = output_bytes_max.saturating_sub(output.len());
            let step = if room == 0 {
                let mut byte = [0];
                let step = self.step(pool, input, &mut byte);
                if step.produced == 1 {
                    self.remember(&output[*remembered..]);
                    self.remember(&byte);
                    self.spilled = Some(byte[0]);
                }
                step
            } else {
                let start = output.len();
                let space = (start - *remembered)
                    .max(input.len().saturating_mul(4))
                    .clamp(STEP_BYTES_MIN, STEP_BYTES_MAX)
                    .min(room);
                reserve(output, space, output_bytes_max);
                output.resize(start + space, 0);
                let step = self.step(pool, input, &mut output[start..]);
                output.truncate(start + step.produced);
                step
            };
            if step.stream == StreamState::Final {
                // The next deflate stream may refer to the text of this one: the window belongs to the message, and with takeover
                // to the direction.
                if self.spilled.is_none() {
                    self.remember(&output[*remembered..]);
                    *remembered = output.len();
                }
                self.return_context(pool);
            }
            if self.spilled.is_some() {
                return Ok(Progress::Full);
            }
            if step.stream == StreamState::Corrupt {
                return Err(InflateError::Corrupt);
            }
            text_waits = step.space == Space::Used && step.stream == StreamState::Open;
        }

        match end {
            End::No => Ok(Progress::NeedInput),
            End::Yes => {
                self.close()?;
                Ok(Progress::End)
            }
        }
    }

    /// Calls zlib once. It consumes all input unless `space` is full or the stream has ended or is corrupt.
    fn step(&mut self, pool: &mut Pool, input: &mut &[u8], space: &mut [u8]) -> InflateStep {
        let mut context = match self.context.take() {
            Some(context) => context,
            None => self.primed_context(pool),
        };
        let given = &input[..input.len().min(GIVEN_BYTES_MAX)];
        let (total_in, total_out) = (context.total_in(), context.total_out());
        let status = context.decompress(given, space, InflateFlush::NoFlush);
        let consumed = (context.total_in() - total_in) as usize;
        let produced = (context.total_out() - total_out) as usize;
        self.context = Some(context);

        let used = &given[..consumed];
        *input = &input[consumed..];
        let kept = used.len().min(TAIL.len());
        self.last.rotate_left(kept);
        self.last[TAIL.len() - kept..].copy_from_slice(&used[used.len() - kept..]);

        let space = if produced == space.len() {
            Space::Used
        } else {
            Space::Left
        };
        let stream = match status {
            Ok(Status::StreamEnd) => StreamState::Final,
            // Without an error zlib stops only when it lacks input or space.
            Ok(_) if consumed == given.len() || space == Space::Used => StreamState::Open,
            Ok(_) | Err(_) => StreamState::Corrupt,
        };
        InflateStep {
            produced,
            stream,
            space,
        }
    }

    /// Checks that the message ends at the end of a block. No text waits in the context.
    fn close(&mut self) -> Result<(), InflateError> {
        // There was no payload at all, or none after a final block. Strictly, there should have been one byte, the header of an
        // empty block, but some senders leave it out.
        let Some(context) = &mut self.context else {
            return Ok(());
        };
        // RFC 7692 section 7.2.2: add the tail that the sender removed. A sender that didn't remove it, for instance because its
        // last frame was empty, means the same.
        let ending = if self.last == TAIL {
            &ENDING[TAIL.len()..]
        } else {
            &ENDING[..]
        };
        // zlib doesn't tell whether it is between two blocks. Only there are the bytes after the tail an empty final block;
        // anywhere else they are text, an error or incomplete.
        let (total_in, total_out) = (context.total_in(), context.total_out());
        let status = context.decompress(ending, &mut [0], InflateFlush::NoFlush);
        let consumed = context.total_in() - total_in;
        let produced = context.total_out() - total_out;
        match status {
            Ok(Status::StreamEnd) if consumed == ending.len() as u64 && produced == 0 => Ok(()),
            _ => Err(InflateError::Truncated),
        }
    }

    fn primed_context(&mut self, pool: &mut Pool) -> Box<zlib_rs::Inflate> {
        let mut context = pool.contexts.take_inflater();
        for half in self.history.halves() {
            if !half.is_empty() {
                context
                    .set_dictionary(half)
                    .expect("a bare stream takes a dictionary at its start");
            }
        }
        context
    }

    fn remember(&mut self, text: &[u8]) {
        self.history.append(text, 1 << self.window_bits);
    }

    fn return_context(&mut self, pool: &mut Pool) {
        if let Some(context) = self.context.take() {
            pool.contexts.return_inflater(context);
        }
        self.last = TAIL;
    }
}

impl DeflateParams {
    /// Creates the inflater of the end `role`, for messages of the other end.
    #[must_use]
    pub fn inflater(&self, role: Role) -> Inflater {
        let (bits, takeover) = self.direction(role.peer());
        Inflater::new(bits, takeover)
    }
}

/// The result of one call of zlib.
struct InflateStep {
    /// Bytes of plain text.
    produced: usize,
    stream: StreamState,
    space: Space,
}

#[derive(PartialEq, Eq)]
enum StreamState {
    Open,
    /// The final block is complete.
    Final,
    /// It can't go on, and every further call fails too. The text before the error is valid.
    Corrupt,
}

#[derive(PartialEq, Eq)]
enum Space {
    /// The context may hold more text.
    Used,
    /// The context holds no more text.
    Left,
}

/// Reserves `space` more bytes: doubles the capacity, but not beyond `bytes_max`.
fn reserve(output: &mut Vec<u8>, space: usize, bytes_max: usize) {
    let needed = output.len() + space;
    if needed > output.capacity() {
        let capacity = output
            .capacity()
            .saturating_mul(2)
            .min(bytes_max)
            .max(needed);
        output.reserve_exact(capacity - output.len());
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("window_bits", &self.window_bits)
            .field("takeover", &self.takeover)
            .field("held_bytes", &self.held_bytes())
            .finish_non_exhaustive()
    }
}

/// RFC 7692 section 7.2.1: LEN and NLEN of an empty stored block, which a sender removes.
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The tail, and an empty stored block that is final.
const ENDING: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// Bytes. 32 KiB of window, and the tables.
const CONTEXT_BYTES: usize = 47 << 10;

/// Bytes. The least space for one call of zlib. It is zeroed before, and a small message should not pay for more.
const STEP_BYTES_MIN: usize = 512;

/// Bytes. The most space for one call of zlib. More saves nothing, and zeroing should stay within the fast caches.
const STEP_BYTES_MAX: usize = 32 << 10;
