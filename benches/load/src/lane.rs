//! One connection under load.

use std::net::TcpStream;

use crate::{
    cycle::{READ_BYTES_MAX, WRITE_BYTES_MAX},
    line::Line,
    readiness::Ready,
    squeezed::Unsqueezer,
    track::{Pace, Reading, Track},
    wrong::Wrong,
};

/// One connection: where it is in the cycle, in both directions.
#[derive(Debug)]
pub(crate) struct Lane {
    line: Line,
    /// If what comes back is compressed.
    unsqueezer: Option<Box<Unsqueezer>>,
    /// `0 <= sent_at < cycle.sent_bytes()`.
    sent_at: usize,
    /// The frame of the cycle that is sent next: `0 <= sending < cycle.frames()`.
    sending: usize,
    /// Bytes that are due and which the kernel hasn't taken.
    owed: usize,
    /// The frame of the cycle that is read next or is being read: `0 <= frame < cycle.frames()`.
    frame: usize,
    /// Bytes of it that were read: `0 <= within < cycle.expected_frame`.
    within: usize,
    /// Messages that were sent and haven't come back.
    pub(crate) outstanding: usize,
    /// Messages that have come back, as far as one can tell without having read them.
    unread: usize,
    /// Reads since the last one whose bytes were compared.
    uncompared: usize,
}

impl Lane {
    pub(crate) fn new(line: Line, unsqueezer: Option<Box<Unsqueezer>>) -> Self {
        Self {
            line,
            unsqueezer,
            sent_at: 0,
            sending: 0,
            owed: 0,
            frame: 0,
            within: 0,
            outstanding: 0,
            unread: 0,
            uncompared: 0,
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.line.socket
    }

    /// Sends `count` more messages, as far as the kernel takes them.
    pub(crate) fn send(&mut self, track: &mut Track, count: usize) -> Result<(), Wrong> {
        let count = count.min(track.left);
        track.left -= count;
        self.outstanding += count;
        let lengths = &track.cycle.lengths;
        for _ in 0..count {
            self.owed += lengths[self.sending];
            self.sending = (self.sending + 1) % lengths.len();
        }
        self.flush(track)
    }

    /// Takes what came, and sends as many messages as are missing again. Bytes that came.
    pub(crate) fn turn(&mut self, track: &mut Track, ready: Ready) -> Result<isize, Wrong> {
        if ready.writable {
            self.line.flush()?;
            self.flush(track)?;
        }
        if !ready.readable {
            return Ok(0);
        }
        if self.is_believed(track, ready) {
            self.unread += 1;
            self.outstanding = 0;
            self.send(track, 1)?;
            return Ok(track.cycle.expected_frame as isize);
        }
        self.take(track)
    }

    /// Whether it is enough to know that something came.
    ///
    /// With one small message under way, something that came is its echo. To read each of several echoes with
    /// a call of its own would make the load generator as expensive as the server; they are read together,
    /// and compared to the last byte, a little later.
    fn is_believed(&self, track: &Track, ready: Ready) -> bool {
        track.reading == Reading::Believing
            && track.pace == Pace::Answering
            && self.unread + 1 < BELIEVED_MAX
            && self.outstanding == 1
            && !ready.ended
    }

    /// Reads all that is there.
    pub(crate) fn take(&mut self, track: &mut Track) -> Result<isize, Wrong> {
        // What was counted when it was believed is not counted again.
        let mut received = -((self.unread * track.cycle.expected_frame) as isize);
        self.outstanding += std::mem::take(&mut self.unread);
        while let Some((count, room)) = self.read(track)? {
            let whole = match &mut self.unsqueezer {
                Some(unsqueezer) => {
                    let whole = unsqueezer.handle(&track.buffer[..count], &track.cycle)?;
                    track.wire_bytes += count;
                    received += (whole * track.cycle.expected_frame) as isize;
                    whole
                }
                None => {
                    received += count as isize;
                    self.advance(track, count)
                }
            };
            self.outstanding = self
                .outstanding
                .checked_sub(whole)
                .ok_or_else(|| Wrong::Answer("more messages than were sent".into()))?;
            // Less than there was room for: the kernel has no more, and will say so when it has.
            if count < room && self.line.ends_short() {
                break;
            }
        }
        if self.outstanding > track.in_flight && track.reading == Reading::Believing {
            // This server sends an echo in pieces: each one has to be read.
            track.reading = Reading::Each;
        }
        if track.pace == Pace::Answering && self.outstanding < track.in_flight {
            self.send(track, track.in_flight - self.outstanding)?;
        }
        Ok(received)
    }

    /// One read, compared with what has to come: bytes that came, bytes there was room for. `None`: nothing there.
    pub(crate) fn read(&mut self, track: &mut Track) -> Result<Option<(usize, usize)>, Wrong> {
        if track.reading == Reading::Sampling && self.uncompared < UNCOMPARED_MAX {
            self.uncompared += 1;
            let room = track.buffer.len();
            let count = self.line.discard(&mut track.buffer)?;
            return Ok(count.map(|count| (count, room)));
        }
        self.uncompared = 0;
        let Some(count) = self.line.read(&mut track.buffer[..READ_BYTES_MAX])? else {
            return Ok(None);
        };
        if self.unsqueezer.is_none() {
            let start = self.frame * track.cycle.expected_frame + self.within;
            let expected = &track.cycle.expected[start..start + count];
            if track.buffer[..count] != *expected {
                return Err(Wrong::differs(&track.buffer[..count], expected));
            }
        }
        Ok(Some((count, READ_BYTES_MAX)))
    }

    /// Goes `count` bytes further in what comes. The messages that became whole by it.
    pub(crate) fn advance(&mut self, track: &Track, count: usize) -> usize {
        let within = self.within + count;
        let whole = within / track.cycle.expected_frame;
        self.within = within % track.cycle.expected_frame;
        self.frame = (self.frame + whole) % track.cycle.frames();
        whole
    }

    fn flush(&mut self, track: &Track) -> Result<(), Wrong> {
        let period = track.cycle.sent_bytes();
        while self.owed > 0 {
            let end = self.sent_at + self.owed.min(WRITE_BYTES_MAX);
            let count = self.line.write(&track.cycle.sent[self.sent_at..end])?;
            if count == 0 {
                break;
            }
            self.owed -= count;
            self.sent_at = (self.sent_at + count) % period;
        }
        Ok(())
    }
}

/// Messages that are read together, where one is under way at a time.
const BELIEVED_MAX: usize = 16;

/// Reads of large messages of which only the length is looked at, between two that are compared.
const UNCOMPARED_MAX: usize = 7;
