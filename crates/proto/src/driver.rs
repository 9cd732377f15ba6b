//! The fast path of [`Receiver`] and [`Sender`], for a driver that counts copies and instructions.
//!
//! It does nothing that the methods of the two don't do. Each of the three groups can be used alone:
//! - [`poll_short`], [`poll_long`] and [`poll_other`] are [`Receiver::poll_event`] in three parts. The first two return messages
//!   that borrow the input alone, so that the driver may use the receiver while it holds a batch of them.
//! - [`payload_buffer`] and [`commit`] let a read put the payload of a large message in its place.
//! - [`send_head`], [`plain_len_limit`], [`prepared_form`] and the `encode_*` functions frame a payload without copying it, or
//!   once for many connections.

use alloc::vec::Vec;

use crate::{
    Event, Input, Limits, Message, MessageKind, ProtocolError, Receiver, SendError, Sender,
    encoder::Encoder,
    extension::{Compression, Pool, Takeover, deflate_once},
    frame::{CONTROL_BYTES_MAX, FrameHead},
    sender::head,
};

/// Returns the next message if it is short (at most 125 bytes), in one frame, not compressed and whole in the input, as most
/// messages are that a server receives. On `None` go on with [`poll_long`].
///
/// # Errors
///
/// Those of [`Receiver::poll_event`].
#[inline(always)] // Inlining into the caller's loop saves half of the instructions.
pub fn poll_short<'e>(
    receiver: &mut Receiver,
    input: &mut Input<'e>,
    limits: &Limits,
) -> Option<Result<Message<'e>, ProtocolError>> {
    receiver.poll_short(input, limits)
}

/// Returns the next message like [`poll_short`], but one of 126 bytes or more. On `None` go on with [`poll_other`].
///
/// # Errors
///
/// Those of [`Receiver::poll_event`].
#[inline]
pub fn poll_long<'e>(
    receiver: &mut Receiver,
    input: &mut Input<'e>,
    limits: &Limits,
) -> Option<Result<Message<'e>, ProtocolError>> {
    receiver.poll_long(input, limits)
}

/// Returns the next event of any other kind, or `None` if all of the input is consumed.
///
/// # Errors
///
/// Those of [`Receiver::poll_event`].
#[inline]
pub fn poll_other<'e>(
    receiver: &'e mut Receiver,
    input: &'e mut Input<'_>,
    pool: &'e mut Pool,
    limits: &Limits,
) -> Result<Option<Event<'e>>, ProtocolError> {
    receiver.poll_other(input, pool, limits)
}

/// Returns memory into which the next bytes from the peer may be read without a copy: that of a large unfinished binary
/// message. On `None` read into a buffer of your own and give it as input.
///
/// Call it when an input is consumed. Write any number of bytes to the beginning of the slice, then call [`commit`].
#[inline]
pub fn payload_buffer(receiver: &mut Receiver) -> Option<&mut [u8]> {
    receiver.payload_buffer()
}

/// Adds `len` bytes that were written into [`payload_buffer`] to the message, and returns the message if it is whole now.
///
/// Give its memory back to the pool when it is handled ([`Pool::recycle`]).
///
/// # Panics
///
/// `len` is more than the length of the buffer.
pub fn commit(receiver: &mut Receiver, len: usize) -> Option<Message<'static>> {
    receiver.commit(len)
}

/// Appends only the header of a message of `len` bytes and returns `true`, if its payload may be sent as it is. The caller
/// must send exactly `len` bytes next. Otherwise appends nothing and returns `false`.
///
/// # Errors
///
/// Those of [`Sender::send`].
#[inline]
pub fn send_head(
    sender: &mut Sender,
    kind: MessageKind,
    len: usize,
    out: &mut Vec<u8>,
) -> Result<bool, SendError> {
    sender.admit_message()?;
    let compresses = sender
        .deflater
        .as_ref()
        .is_some_and(|own| len >= own.threshold_bytes);
    if compresses || sender.encoder.masks() {
        return Ok(false);
    }
    sender.encoder.head(
        FrameHead {
            len: len as u64,
            ..head(kind, false)
        },
        out,
    );
    Ok(true)
}

/// Returns the limit in bytes below which a whole message is sent as [`encode_plain`] frames it; 0 if none is.
#[must_use]
#[inline]
pub fn plain_len_limit(sender: &Sender) -> usize {
    if sender.close_sent.is_some() || sender.fragmented.is_some() || sender.encoder.masks() {
        return 0;
    }
    (sender.deflater.as_ref()).map_or(usize::MAX, |own| own.threshold_bytes)
}

/// The form that a prepared frame must have for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PreparedForm {
    /// An uncompressed frame, as [`encode_plain`] writes it.
    Plain,
    /// A compressed frame, as [`encode_compressed`] writes it with these parameters.
    Compressed {
        /// 8 to 15. The window has at most 2 to the power of this many bytes.
        window_bits: u8,
        /// 0 to 9: how hard the deflater tries.
        level: u8,
    },
    /// None: this connection masks its frames, or compresses them with a context of its own.
    Own,
}

/// Returns the form of a prepared frame that may be appended to the outgoing bytes as a message of `payload_bytes`.
///
/// # Errors
///
/// Those of [`Sender::send`].
#[inline]
pub fn prepared_form(sender: &Sender, payload_bytes: usize) -> Result<PreparedForm, SendError> {
    sender.admit_message()?;
    Ok(match &sender.deflater {
        _ if sender.encoder.masks() => PreparedForm::Own,
        Some(own) if payload_bytes < own.threshold_bytes => PreparedForm::Plain,
        Some(own) if own.takeover == Takeover::Yes => PreparedForm::Own,
        Some(own) => PreparedForm::Compressed {
            window_bits: own.window_bits,
            level: own.level,
        },
        None => PreparedForm::Plain,
    })
}

/// Appends a server's frame with an uncompressed `payload`, for [`PreparedForm::Plain`].
#[inline]
pub fn encode_plain(kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
    Encoder::server().message(kind, payload, out);
}

/// Writes a server's frame with an uncompressed `payload` to the beginning of `room`, and returns the length of the frame.
/// Returns `None` if the payload has more than 65,535 bytes, or if the frame has more bytes than `room`.
#[inline(always)]
pub fn encode_into(kind: MessageKind, payload: &[u8], room: &mut [u8]) -> Option<usize> {
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

/// Writes the header of a server's frame with an uncompressed payload of `payload_bytes` to the beginning of `room`, and
/// returns the length of the header. Returns `None` if `room` is too small; ten bytes are always enough.
#[inline]
pub fn encode_head(kind: MessageKind, payload_bytes: usize, room: &mut [u8]) -> Option<usize> {
    let mut head = FrameHead::message(kind);
    head.len = payload_bytes as u64;
    let (bytes, len) = head.to_bytes();
    room.get_mut(..len)?.copy_from_slice(&bytes[..len]);
    Some(len)
}

/// Appends a server's frame with `payload` compressed without context, for [`PreparedForm::Compressed`] with these
/// parameters. The payload stays uncompressed if compression doesn't make it smaller.
pub fn encode_compressed(
    kind: MessageKind,
    payload: &[u8],
    window_bits: u8,
    level: u8,
    pool: &mut Pool,
    out: &mut Vec<u8>,
) {
    let mut compressed = pool.take_buffer();
    match deflate_once(pool, payload, window_bits, level, &mut compressed) {
        Compression::Smaller => Encoder::server().frame(head(kind, true), &compressed, out),
        Compression::NotSmaller => encode_plain(kind, payload, out),
    }
    pool.return_buffer(compressed);
}
