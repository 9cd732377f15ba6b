//! The sending half of a connection: messages to bytes.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use crate::{
    CloseCode, Event, Kind, Message, ProtocolError, Role,
    close::fitting_reason,
    encoder::Encoder,
    extension::{Deflate, DeflateParams, Deflater, End, Pool, Takeover, Worth},
    frame::{CONTROL_BYTES_MAX, FrameHead, Opcode},
};

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Our Close frame is out: nothing may follow it (RFC 6455 section 5.5.1).
    Closing,
    /// A message is being sent in parts, and no other may begin within it (section 5.4).
    MidMessage,
}

/// What a prepared frame must be for this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PreparedForm {
    /// The plain frame, as [`encode_plain`] makes it.
    Plain,
    /// A frame as [`encode_compressed`] makes it with this window.
    Compressed {
        /// 8..=15.
        window_bits: u8,
        /// 0..=9.
        level: u8,
    },
    /// None: this connection masks, or compresses with a context of its own.
    Own,
}

/// The sending half of a connection: every order appends whole frames to the caller's `out`.
///
/// ```text
///              close, answer(Close)
///   open ───────────────────────────> closing: no order has an effect any more
/// ```
pub struct Sender {
    encoder: Encoder,
    deflater: Option<Box<OwnDeflater>>,
    /// The message that is being sent in parts.
    stream: Option<Stream>,
    /// The code in our Close frame.
    close_sent: Option<CloseCode>,
}

struct OwnDeflater {
    deflater: Deflater,
    threshold_bytes: usize,
    level: u8,
    window_bits: u8,
    takeover: Takeover,
}

#[derive(Clone, Copy)]
struct Stream {
    compressed: bool,
    /// Whether a frame of it is out.
    begun: bool,
}

impl Sender {
    /// The sending half of a server.
    #[must_use]
    pub fn server(deflate: Option<(DeflateParams, &Deflate)>) -> Self {
        Self::new(Role::Server, Encoder::server(), deflate)
    }

    /// The sending half of a client. `seed` comes from a strong source of entropy: the masking keys
    /// are drawn from it (RFC 6455 section 5.3).
    #[must_use]
    pub fn client(seed: [u8; 32], deflate: Option<(DeflateParams, &Deflate)>) -> Self {
        Self::new(Role::Client, Encoder::client(seed), deflate)
    }

    fn new(role: Role, encoder: Encoder, deflate: Option<(DeflateParams, &Deflate)>) -> Self {
        Self {
            encoder,
            deflater: deflate.map(|(params, settings)| {
                let (window_bits, takeover) = params.direction(role);
                Box::new(OwnDeflater {
                    deflater: params.deflater(role, settings.level),
                    threshold_bytes: settings.threshold_bytes,
                    level: settings.level,
                    window_bits,
                    takeover,
                })
            }),
            stream: None,
            close_sent: None,
        }
    }

    /// Sends a whole message in one frame.
    ///
    /// # Errors
    ///
    /// Nothing was appended: we are closing, or within a message of parts.
    #[inline]
    pub fn send(
        &mut self,
        message: &Message<'_>,
        pool: &mut Pool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.admit_message()?;
        let (kind, payload) = (message.kind(), message.as_bytes());
        match &mut self.deflater {
            Some(own) if payload.len() >= own.threshold_bytes => {
                let mut compressed = pool.take_buffer();
                match own.deflater.deflate_whole(pool, payload, &mut compressed) {
                    Worth::Smaller => self.encoder.frame(head(kind, true), &compressed, out),
                    Worth::NotSmaller => self.encoder.frame(head(kind, false), payload, out),
                }
                pool.return_buffer(compressed);
            }
            _ => self.encoder.message(kind, payload, out),
        }
        Ok(())
    }

    /// Appends only the header for a message of `len` bytes, if its payload may go to the wire as it
    /// is: then the caller sends exactly those bytes next. Otherwise appends nothing and gives `false`.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    #[inline]
    pub fn send_head(
        &mut self,
        kind: Kind,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, SendError> {
        self.admit_message()?;
        let compresses = self
            .deflater
            .as_ref()
            .is_some_and(|own| len >= own.threshold_bytes);
        if compresses || self.encoder.masks() {
            return Ok(false);
        }
        self.encoder.head(
            FrameHead {
                len: len as u64,
                ..head(kind, false)
            },
            out,
        );
        Ok(true)
    }

    /// Payload bytes below which a whole message goes out as [`encode_plain`] makes it; 0 if none does.
    #[must_use]
    #[inline]
    pub fn plain_end(&self) -> usize {
        if self.close_sent.is_some() || self.stream.is_some() || self.encoder.masks() {
            return 0;
        }
        (self.deflater.as_ref()).map_or(usize::MAX, |own| own.threshold_bytes)
    }

    /// Begins a message that is sent in parts: every [`Sender::send_part`] is a fragment.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn begin_parts(&mut self) -> Result<(), SendError> {
        self.admit_message()?;
        self.stream = Some(Stream {
            compressed: self.deflater.is_some(),
            begun: false,
        });
        Ok(())
    }

    /// Sends the next part of the message that [`Sender::begin_parts`] began; `End::Yes` ends it.
    ///
    /// # Errors
    ///
    /// Nothing was appended: we are closing.
    pub fn send_part(
        &mut self,
        kind: Kind,
        payload: &[u8],
        end: End,
        pool: &mut Pool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.admit()?;
        let Stream { compressed, begun } = self.stream.unwrap_or(Stream {
            compressed: false,
            begun: false,
        });
        let fin = end == End::Yes;
        let head = if begun {
            FrameHead {
                opcode: Opcode::Continuation,
                fin,
                ..head(kind, false)
            }
        } else {
            FrameHead {
                fin,
                ..head(kind, compressed)
            }
        };
        self.stream = (!fin).then_some(Stream {
            compressed,
            begun: true,
        });
        match &mut self.deflater {
            Some(own) if compressed => {
                let mut compressed = pool.take_buffer();
                own.deflater.deflate(pool, payload, end, &mut compressed);
                self.encoder.frame(head, &compressed, out);
                pool.return_buffer(compressed);
            }
            _ => self.encoder.frame(head, payload, out),
        }
        Ok(())
    }

    /// Which prepared frame may be appended to the outgoing bytes as a message of its own.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    #[inline]
    pub fn prepared_form(&self, payload_bytes: usize) -> Result<PreparedForm, SendError> {
        self.admit_message()?;
        Ok(match &self.deflater {
            _ if self.encoder.masks() => PreparedForm::Own,
            Some(own) if payload_bytes < own.threshold_bytes => PreparedForm::Plain,
            Some(own) if own.takeover == Takeover::Yes => PreparedForm::Own,
            Some(own) => PreparedForm::Compressed {
                window_bits: own.window_bits,
                level: own.level,
            },
            None => PreparedForm::Plain,
        })
    }

    /// Sends a ping; `payload` is cut to 125 bytes.
    ///
    /// # Errors
    ///
    /// Nothing was appended: we are closing.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(Opcode::Ping, payload, out)
    }

    /// Sends a pong; `payload` is cut to 125 bytes.
    ///
    /// # Errors
    ///
    /// Nothing was appended: we are closing.
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(Opcode::Pong, payload, out)
    }

    /// Sends a Close frame: the last one. A reason over 123 bytes is cut between characters; a code
    /// that may not stand on the wire is left out, and the reason with it.
    ///
    /// # Errors
    ///
    /// Nothing was appended: we are closing already.
    pub fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.admit()?;
        let mut body = [0; CONTROL_BYTES_MAX];
        let mut len = 0;
        if code.is_sendable() {
            let reason = fitting_reason(reason).as_bytes();
            len = 2 + reason.len();
            body[..2].copy_from_slice(&code.as_u16().to_be_bytes());
            body[2..len].copy_from_slice(reason);
        }
        self.control(Opcode::Close, &body[..len], out)?;
        self.close_sent = Some(if len == 0 { CloseCode::NO_STATUS } else { code });
        Ok(())
    }

    /// Gives the answer that the protocol asks for: to a ping the pong (RFC 6455 section 5.5.2), to a
    /// Close frame ours with the same code and reason, unless it is out already (section 5.5.1). The
    /// reason too, because a browser shows its page what the answer holds, not what the page gave.
    pub fn answer(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        // The only refusal is "closing", after which no answer is owed.
        let _ = match event {
            Event::Ping(payload) => self.pong(payload, out),
            Event::Close(frame) => self.close(frame.code, frame.reason, out),
            Event::Message(_) | Event::Part(_) | Event::Pong(_) => Ok(()),
        };
    }

    /// Closes with the code that belongs to the peer's mistake, unless we are closing already.
    pub fn fail(&mut self, error: ProtocolError, out: &mut Vec<u8>) {
        let _ = self.close(error.close_code(), error.as_str(), out);
    }

    /// The code in our Close frame, once it is out; 1005 if it had none.
    #[must_use]
    pub fn close_sent(&self) -> Option<CloseCode> {
        self.close_sent
    }

    /// Whether a message of parts is unfinished.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.stream.is_some()
    }

    #[inline]
    fn admit(&self) -> Result<(), SendError> {
        match self.close_sent {
            Some(_) => Err(SendError::Closing),
            None => Ok(()),
        }
    }

    #[inline]
    fn admit_message(&self) -> Result<(), SendError> {
        self.admit()?;
        match self.stream {
            Some(_) => Err(SendError::MidMessage),
            None => Ok(()),
        }
    }

    fn control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.admit()?;
        let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
        let head = FrameHead {
            opcode,
            ..head(Kind::Binary, false)
        };
        self.encoder.frame(head, payload, out);
        Ok(())
    }
}

/// Appends a server's frame with `payload` as it is, for [`PreparedForm::Plain`].
#[inline]
pub fn encode_plain(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    Encoder::server().message(kind, payload, out);
}

/// Writes a server's frame with `payload` as it is to the begin of `room`, and gives its length. `None` if
/// the payload has more than 65,535 bytes, or the frame more than there is room for.
#[inline(always)]
pub fn encode_into(kind: Kind, payload: &[u8], room: &mut [u8]) -> Option<usize> {
    let len = payload.len();
    let first = FrameHead::message(kind).first_byte();
    if len <= CONTROL_BYTES_MAX {
        let frame = room.get_mut(..2 + len)?;
        frame[..2].copy_from_slice(&[first, len as u8]);
        frame[2..].copy_from_slice(payload);
        return Some(2 + len);
    }
    let [high, low] = u16::try_from(len).ok()?.to_be_bytes();
    let frame = room.get_mut(..4 + len)?;
    frame[..4].copy_from_slice(&[first, 126, high, low]);
    frame[4..].copy_from_slice(payload);
    Some(4 + len)
}

/// Writes the header of a server's frame whose payload of `payload_bytes` follows as it is to the begin of
/// `room`, and gives its length. `None` if there is no room for it; ten bytes are always enough.
#[inline]
pub fn encode_head(kind: Kind, payload_bytes: usize, room: &mut [u8]) -> Option<usize> {
    let mut head = FrameHead::message(kind);
    head.len = payload_bytes as u64;
    let (bytes, len) = head.to_bytes();
    room.get_mut(..len)?.copy_from_slice(&bytes[..len]);
    Some(len)
}

/// Appends a server's frame with `payload` compressed on its own, for [`PreparedForm::Compressed`]
/// with these numbers; plain if that is smaller.
pub fn encode_compressed(
    kind: Kind,
    payload: &[u8],
    window_bits: u8,
    level: u8,
    pool: &mut Pool,
    out: &mut Vec<u8>,
) {
    let mut compressed = pool.take_buffer();
    let mut deflater = Deflater::new(window_bits, Takeover::No, level);
    match deflater.deflate_whole(pool, payload, &mut compressed) {
        Worth::Smaller => Encoder::server().frame(head(kind, true), &compressed, out),
        Worth::NotSmaller => encode_plain(kind, payload, out),
    }
    pool.return_buffer(compressed);
}

/// The header of an unfragmented message; the encoder puts length and mask in.
fn head(kind: Kind, compressed: bool) -> FrameHead {
    FrameHead {
        compressed,
        ..FrameHead::message(kind)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "the connection is closing",
            Self::MidMessage => "a message is being sent in parts",
        })
    }
}

impl core::error::Error for SendError {}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn an_idle_sender_is_three_words() {
        // As with the receiver: it stands in the record of every idle connection. Two pointers to what a
        // server without compression doesn't have, and how far the closing is.
        assert!(size_of::<Sender>() <= 24);
    }
}
