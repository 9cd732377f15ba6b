//! The sending half of a connection: messages in, bytes out.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use crate::{
    CloseCode, CloseFrame, Event, Message, MessageKind, ProtocolError, Role,
    encoder::Encoder,
    extension::{Compression, Deflate, DeflateParams, Deflater, End, Pool, Takeover},
    frame::{CONTROL_BYTES_MAX, FrameHead, Opcode},
};

/// The reason why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Our Close frame is sent, and nothing may follow it (RFC 6455 section 5.5.1); or the peer has ended TCP.
    Closing,
    /// A message in parts is not finished, and no other may begin within it (section 5.4).
    MidMessage,
}

/// The sending half of a connection. Each order appends whole frames to the caller's `out`.
///
/// ```text
///              close, answer(Close)
///   open ───────────────────────────> closing: every order fails
/// ```
pub struct Sender {
    pub(crate) encoder: Encoder,
    pub(crate) deflater: Option<Box<OwnDeflater>>,
    /// The message that is being sent in parts.
    pub(crate) fragmented: Option<FragmentedMessage>,
    /// The code in our Close frame, once it is sent.
    pub(crate) close_sent: Option<CloseCode>,
}

pub(crate) struct OwnDeflater {
    deflater: Deflater,
    pub(crate) threshold_bytes: usize,
    pub(crate) level: u8,
    pub(crate) window_bits: u8,
    pub(crate) takeover: Takeover,
}

#[derive(Clone, Copy)]
pub(crate) struct FragmentedMessage {
    compressed: bool,
    /// Whether its first frame is sent.
    begun: bool,
}

impl Sender {
    /// Creates the sending half of a server. `deflate` is what the handshake agreed on, with our settings.
    #[must_use]
    pub fn server(deflate: Option<(DeflateParams, &Deflate)>) -> Self {
        Self::new(Role::Server, Encoder::server(), deflate)
    }

    /// Creates the sending half of a client. `deflate` is what the handshake agreed on, with our settings.
    ///
    /// `seed` comes from a strong source of entropy: the masking keys are drawn from it (RFC 6455 section 5.3).
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
                    threshold_bytes: settings.threshold_bytes,
                    level: settings.level,
                    window_bits,
                    takeover,
                    deflater: params.deflater(role, settings.level),
                })
            }),
            fragmented: None,
            close_sent: None,
        }
    }

    /// Sends a whole message in one frame.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] or [`SendError::MidMessage`]. Nothing was appended.
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
                    Compression::Smaller => self.encoder.frame(head(kind, true), &compressed, out),
                    Compression::NotSmaller => self.encoder.frame(head(kind, false), payload, out),
                }
                pool.return_buffer(compressed);
            }
            _ => self.encoder.message(kind, payload, out),
        }
        Ok(())
    }

    /// Begins a message in parts: each [`Sender::send_part`] sends one fragment.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send`].
    pub fn begin_parts(&mut self) -> Result<(), SendError> {
        self.admit_message()?;
        self.fragmented = Some(FragmentedMessage {
            compressed: self.deflater.is_some(),
            begun: false,
        });
        Ok(())
    }

    /// Sends the next part of the message that [`Sender::begin_parts`] began. [`End::Yes`] ends the message.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`]. Nothing was appended.
    pub fn send_part(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        end: End,
        pool: &mut Pool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.admit()?;
        let FragmentedMessage { compressed, begun } =
            self.fragmented.unwrap_or(FragmentedMessage {
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
        self.fragmented = (!fin).then_some(FragmentedMessage {
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

    /// Sends a ping. `payload` is cut to 125 bytes.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`]. Nothing was appended.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(Opcode::Ping, payload, out)
    }

    /// Sends a pong. `payload` is cut to 125 bytes.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`]. Nothing was appended.
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(Opcode::Pong, payload, out)
    }

    /// Sends our Close frame, the last frame. A reason of more than 123 bytes is cut between characters. A code that is not
    /// [sendable](CloseCode::is_sendable) is left out, and the reason with it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`]. Nothing was appended.
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
            let reason = CloseFrame::fitting_reason(reason, 0).as_bytes();
            len = 2 + reason.len();
            body[..2].copy_from_slice(&code.as_u16().to_be_bytes());
            body[2..len].copy_from_slice(reason);
        }
        self.control(Opcode::Close, &body[..len], out)?;
        self.close_sent = Some(if len == 0 { CloseCode::NO_STATUS } else { code });
        Ok(())
    }

    /// Sends the answer that the protocol demands: a pong to a ping (RFC 6455 section 5.5.2), and to a Close frame ours, unless
    /// it is sent already (section 5.5.1).
    ///
    /// Our Close frame repeats the code and the reason, because a browser shows its page the reason in the answer, not the one
    /// that the page gave.
    pub fn answer(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        // The one error is `Closing`, after which no answer is due.
        let _ = match event {
            Event::Ping(payload) => self.pong(payload, out),
            Event::Close(frame) => self.close(frame.code, frame.reason, out),
            Event::Message(_) | Event::Part(_) | Event::Pong(_) => Ok(()),
        };
    }

    /// Sends a Close frame with the code for the peer's mistake, unless our Close frame is sent already.
    pub fn fail(&mut self, error: ProtocolError, out: &mut Vec<u8>) {
        let _ = self.close(error.close_code(), error.as_str(), out);
    }

    /// Returns the code in our Close frame, 1005 if it has none, or `None` if it is not sent yet.
    #[must_use]
    pub fn close_sent(&self) -> Option<CloseCode> {
        self.close_sent
    }

    /// Returns whether a message in parts is unfinished.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.fragmented.is_some()
    }

    #[inline]
    fn admit(&self) -> Result<(), SendError> {
        match self.close_sent {
            Some(_) => Err(SendError::Closing),
            None => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn admit_message(&self) -> Result<(), SendError> {
        self.admit()?;
        match self.fragmented {
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
            ..head(MessageKind::Binary, false)
        };
        self.encoder.frame(head, payload, out);
        Ok(())
    }
}

/// Creates the header of a message in one frame; the encoder sets its length and its mask.
pub(crate) fn head(kind: MessageKind, compressed: bool) -> FrameHead {
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
        // Like the receiver, it is in the record of each idle connection. Two pointers to what a server without compression
        // doesn't have, and the state of the close.
        assert!(size_of::<Sender>() <= 24);
    }
}
