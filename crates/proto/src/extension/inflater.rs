//! Compressed payload in, plain payload out (RFC 7692 section 7.2.2).

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
/// Memory: while idle nothing, and under context takeover at most the window (2 to the power of
/// `window_bits`). While a message is unfinished a context from the pool (47 KiB) and the window.
/// Plain text goes to the caller's buffer, never beyond the length that the caller allows.
///
/// A window smaller than 32 KiB limits what is kept between messages. Within one message a peer that
/// refers back further than it agreed to is not found out; it costs nothing.
pub struct Inflater {
    /// 8 to 15.
    window_bits: u8,
    takeover: Takeover,
    /// `Some` from the first byte of a deflate stream to the end of the message, or to the stream's
    /// final block.
    context: Option<Box<zlib_rs::Inflate>>,
    /// Plain text that the next context must know: earlier messages under takeover, and this message
    /// as far as earlier calls inflated it.
    history: History,
    /// The last four bytes of this message's compressed payload; [`TAIL`] at its start and after a
    /// final block, because that is what an empty block looks like that ends at a byte boundary.
    last: [u8; 4],
    /// A byte of plain text for which there was no room. In `history` already.
    spilled: Option<u8>,
}

impl Inflater {
    /// An inflater for a sender whose window is at most 2 to the power of `window_bits` (8 to 15;
    /// a value outside is taken as the nearest).
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

    /// Reads `input`, advances it, and appends its plain text to `output` until `output.len()` is
    /// `output_bytes_max`.
    ///
    /// `end` tells whether the message ends with `input`; the four bytes that the sender took off are
    /// put back here. A message may be given in any number of pieces, empty ones too. After
    /// [`Progress::Full`] call again with what is left of the input, the same `end` and more room.
    ///
    /// # Errors
    ///
    /// [`InflateError`], after which the connection must fail. All text before the error is in `output`.
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
            // The spilled byte came after the output; `advance` remembered both.
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

    /// Bytes of memory held for this direction, without the inflater itself: 0 while idle, with
    /// takeover at most 2 to the power of `window_bits`.
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
                // The next stream may refer to this one's text: the window is the message's (or,
                // with takeover, the direction's), not the stream's.
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

    /// One call of zlib. All input is used unless all `space` is, or the stream ended or is corrupt.
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
            // zlib stops for want of input or of space; for anything else it has errors.
            Ok(_) if consumed == given.len() || space == Space::Used => StreamState::Open,
            Ok(_) | Err(_) => StreamState::Corrupt,
        };
        InflateStep {
            produced,
            stream,
            space,
        }
    }

    /// Checks that the message ends where a message may end. No text waits in the context.
    fn close(&mut self) -> Result<(), InflateError> {
        // No payload at all, or none after a final block. Strictly there should have been one
        // byte, the header of an empty block; but senders exist that leave it out.
        let Some(context) = &mut self.context else {
            return Ok(());
        };
        // RFC 7692 section 7.2.2: put back what the sender took off. A sender that forgot to take
        // it off (its last frame was empty, say) has said the same thing.
        let ending = if self.last == TAIL {
            &ENDING[TAIL.len()..]
        } else {
            &ENDING[..]
        };
        // zlib doesn't tell whether it stands between two blocks. But only there are the bytes
        // after the tail a final block, empty; anywhere else they are text, an error or not enough.
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
    /// The inflater of an endpoint in this role: it reads what the other role wrote.
    #[must_use]
    pub fn inflater(&self, role: Role) -> Inflater {
        let (bits, takeover) = self.direction(role.peer());
        Inflater::new(bits, takeover)
    }
}

/// What one call of zlib did.
struct InflateStep {
    /// Bytes of plain text.
    produced: usize,
    stream: StreamState,
    space: Space,
}

#[derive(PartialEq, Eq)]
enum StreamState {
    Open,
    /// Its final block is complete.
    Final,
    /// It can't go on, and says so whenever it is asked. The text before that is good.
    Corrupt,
}

#[derive(PartialEq, Eq)]
enum Space {
    /// More text may wait.
    Used,
    /// No text waits.
    Left,
}

/// Makes room for `space` more bytes: grows by doubling, but never beyond `bytes_max`.
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

/// RFC 7692 section 7.2.1: LEN and NLEN of an empty stored block, which a sender takes off.
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The tail, then an empty stored block that is final.
const ENDING: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// Bytes. 32 KiB of window, tables and their lengths.
const CONTEXT_BYTES: usize = 47 << 10;

/// Bytes. Space for one call of zlib; it is zeroed first, so a small message should not pay for much.
const STEP_BYTES_MIN: usize = 512;

/// Bytes. Beyond this a larger step saves nothing, and zeroing should stay within the fast caches.
const STEP_BYTES_MAX: usize = 32 << 10;
