//! Parses and writes the header of one frame (RFC 6455 section 5.2).
//!
//! ```text
//!   byte 0             byte 1            0, 2 or 8 bytes    0 or 4 bytes
//!  ┌───┬───┬───┬───┬────────┬────┬──────┬─────────────────┬──────────────┐
//!  │FIN│RSV│RSV│RSV│ opcode │MASK│ len7 │ extended length │ masking key  │
//!  └───┴───┴───┴───┴────────┴────┴──────┴─────────────────┴──────────────┘
//! ```

use alloc::vec::Vec;

use crate::{MessageKind, ProtocolError, Role, Violation};

/// Bytes. 14 = 2 fixed + 8 length + 4 mask.
pub(crate) const HEAD_BYTES_MAX: usize = 14;

/// Bytes. The longest payload of a control frame (section 5.5).
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// The opcode of a frame (section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    pub(crate) fn is_control(self) -> bool {
        self as u8 >= 8
    }

    fn parse(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(ProtocolError::Violation(Violation::ReservedOpcode)),
        })
    }
}

/// Whether RSV1 has a meaning on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompressedBit {
    /// permessage-deflate is agreed on: RSV1 marks a compressed message.
    Known,
    /// No extension is agreed on: RSV1 must be clear.
    Unknown,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) fin: bool,
    pub(crate) compressed: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<[u8; 4]>,
    /// Payload bytes; < 2^63.
    pub(crate) len: u64,
}

impl FrameHead {
    /// Creates the header of a whole message in one frame; the caller sets its length.
    #[inline]
    pub(crate) fn message(kind: MessageKind) -> Self {
        Self {
            fin: true,
            compressed: false,
            opcode: match kind {
                MessageKind::Text => Opcode::Text,
                MessageKind::Binary => Opcode::Binary,
            },
            mask: None,
            len: 0,
        }
    }

    /// Parses the header at the beginning of `bytes`, which `sender` sent. Returns the header and its length, or `None` if it
    /// needs more bytes. Fails as soon as the bytes that are there are wrong.
    #[inline]
    pub(crate) fn parse(
        bytes: &[u8],
        sender: Role,
        bit: CompressedBit,
    ) -> Result<Option<(Self, usize)>, ProtocolError> {
        let &[first, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::parse(first & 0x0F)?;
        let fin = first & 0x80 != 0;
        let compressed = first & 0x40 != 0;
        // Section 5.2: a reserved bit without an extension that defines it fails the connection.
        if first & 0x30 != 0 || (compressed && bit == CompressedBit::Unknown) {
            return violation(Violation::ReservedBit);
        }
        // RFC 7692 section 6.1: the bit stands on the first frame of a message only.
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return violation(Violation::CompressedBit);
        }
        // Section 5.5: control frames must not be fragmented.
        if opcode.is_control() && !fin {
            return violation(Violation::FragmentedControl);
        }
        let &[second, ref rest @ ..] = rest else {
            return Ok(None);
        };
        // Section 5.1: a client masks all frames, a server none.
        let masked = second & 0x80 != 0;
        match sender {
            Role::Client if !masked => return violation(Violation::Unmasked),
            Role::Server if masked => return violation(Violation::Masked),
            _ => {}
        }
        let len7 = second & 0x7F;
        // Section 5.5: control frames carry at most 125 bytes, so never an extended length.
        if opcode.is_control() && len7 as usize > CONTROL_BYTES_MAX {
            return violation(Violation::LongControl);
        }
        let (len, len_bytes) = match len7 {
            126 => match rest.first_chunk() {
                Some(&bytes) => (u64::from(u16::from_be_bytes(bytes)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(&bytes) => (u64::from_be_bytes(bytes), 8),
                None => return Ok(None),
            },
            _ => (u64::from(len7), 0),
        };
        // Section 5.2: the minimal number of bytes must be used, and the highest bit must be 0.
        if (len_bytes == 2 && len < 126) || (len_bytes == 8 && len <= 0xFFFF) {
            return violation(Violation::LongLength);
        }
        if len >> 63 != 0 {
            return violation(Violation::LengthHighBit);
        }
        let mut head_bytes = 2 + len_bytes;
        let mask = if masked {
            let Some(&mask) = rest[len_bytes..].first_chunk() else {
                return Ok(None);
            };
            head_bytes += 4;
            Some(mask)
        } else {
            None
        };
        let head = Self {
            fin,
            compressed,
            opcode,
            mask,
            len,
        };
        Ok(Some((head, head_bytes)))
    }

    #[inline]
    pub(crate) fn first_byte(&self) -> u8 {
        u8::from(self.fin) << 7 | u8::from(self.compressed) << 6 | self.opcode as u8
    }

    /// Appends the header in its shortest form.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (head, len) = self.to_bytes();
        out.extend_from_slice(&head[..len]);
    }

    /// Returns the header in its shortest form, at the beginning of the array, and its length.
    #[inline]
    pub(crate) fn to_bytes(self) -> ([u8; HEAD_BYTES_MAX], usize) {
        let mut head = [0; HEAD_BYTES_MAX];
        head[0] = self.first_byte();
        let mask_bit = u8::from(self.mask.is_some()) << 7;
        let mut len = match self.len {
            0..=125 => {
                head[1] = mask_bit | self.len as u8;
                2
            }
            126..=0xFFFF => {
                head[1] = mask_bit | 126;
                head[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                4
            }
            _ => {
                head[1] = mask_bit | 127;
                head[2..10].copy_from_slice(&self.len.to_be_bytes());
                10
            }
        };
        if let Some(mask) = self.mask {
            head[len..len + 4].copy_from_slice(&mask);
            len += 4;
        }
        (head, len)
    }
}

fn violation<T>(violation: Violation) -> Result<T, ProtocolError> {
    Err(ProtocolError::Violation(violation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_written_head_parses_to_itself(
            fin: bool, compressed: bool, text: bool, mask: Option<[u8; 4]>, len in 0..1_u64 << 63,
            shift in 0..63_u32,
        ) {
            let head = FrameHead {
                fin,
                compressed,
                opcode: if text { Opcode::Text } else { Opcode::Binary },
                mask,
                len: len >> shift,
            };
            let mut bytes = Vec::new();
            head.write(&mut bytes);
            let sender = if mask.is_some() { Role::Client } else { Role::Server };
            prop_assert_eq!(
                FrameHead::parse(&bytes, sender, CompressedBit::Known),
                Ok(Some((head, bytes.len())))
            );
            for cut in 0..bytes.len() {
                prop_assert_eq!(
                    FrameHead::parse(&bytes[..cut], sender, CompressedBit::Known),
                    Ok(None)
                );
            }
        }
    }
}
