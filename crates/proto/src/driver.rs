//! What a driver needs beyond the contract of [`Receiver`] and [`Sender`], to be fast.

use alloc::vec::Vec;

use crate::{
    Event, Input, Limits, Message, MessageKind, ProtocolError, Receiver, SendError, Sender,
    encoder::Encoder,
    extension::{Compression, Pool, Takeover, deflate_once},
    frame::{CONTROL_BYTES_MAX, FrameHead},
    sender::head,
};

/// The next message, if it is what most are that a server hears: short, in one frame, not compressed and
/// whole in the input. `None`: go on with [`poll_long`].
///
/// # Errors
///
/// As [`Receiver::poll_event`].
#[inline(always)] // Into the caller's loop: half of the instructions.
pub fn poll_short<'e>(
    receiver: &mut Receiver,
    input: &mut Input<'e>,
    limits: &Limits,
) -> Option<Result<Message<'e>, ProtocolError>> {
    receiver.poll_short(input, limits)
}

/// The same for a message that isn't short. `None`: go on with [`poll_other`]; together the
/// three are [`Receiver::poll_event`], but what the first two hand out lives as long as the input.
///
/// # Errors
///
/// As [`Receiver::poll_event`].
#[inline]
pub fn poll_long<'e>(
    receiver: &mut Receiver,
    input: &mut Input<'e>,
    limits: &Limits,
) -> Option<Result<Message<'e>, ProtocolError>> {
    receiver.poll_long(input, limits)
}

/// Whatever isn't a whole message in one frame: see [`poll_short`].
///
/// # Errors
///
/// As [`Receiver::poll_event`].
#[inline]
pub fn poll_other<'e>(
    receiver: &'e mut Receiver,
    input: &'e mut Input<'_>,
    pool: &'e mut Pool,
    limits: &Limits,
) -> Result<Option<Event<'e>>, ProtocolError> {
    receiver.poll_other(input, pool, limits)
}

/// Where the next bytes from the peer may be put, instead of into an input: the memory of a large
/// binary message that is under way. They need no copy then. `None`: give the next bytes as input.
///
/// To be asked when an input is used up. Put any number of bytes at the begin of the slice, then
/// call [`commit`].
#[inline]
pub fn payload_buffer(receiver: &mut Receiver) -> Option<&mut [u8]> {
    receiver.payload_buffer()
}

/// `len` bytes were put where [`payload_buffer`] said. The message, if it is whole now; give its
/// memory back to the pool when it is handled ([`Pool::recycle`]).
///
/// # Panics
///
/// If there was no room for so many.
pub fn commit(receiver: &mut Receiver, len: usize) -> Option<Message<'static>> {
    receiver.commit(len)
}

/// Appends only the header for a message of `len` bytes, if its payload may go to the wire as it
/// is: then the caller sends exactly those bytes next. Otherwise appends nothing and gives `false`.
///
/// # Errors
///
/// As [`Sender::send`].
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

/// Payload bytes below which a whole message goes out as [`encode_plain`] makes it; 0 if none does.
#[must_use]
#[inline]
pub fn plain_len_limit(sender: &Sender) -> usize {
    if sender.close_sent.is_some() || sender.fragmented.is_some() || sender.encoder.masks() {
        return 0;
    }
    (sender.deflater.as_ref()).map_or(usize::MAX, |own| own.threshold_bytes)
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

/// Which prepared frame may be appended to the outgoing bytes as a message of its own.
///
/// # Errors
///
/// As [`Sender::send`].
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

/// Appends a server's frame with `payload` as it is, for [`PreparedForm::Plain`].
#[inline]
pub fn encode_plain(kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
    Encoder::server().message(kind, payload, out);
}

/// Writes a server's frame with `payload` as it is to the begin of `room`, and gives its length. `None` if
/// the payload has more than 65,535 bytes, or the frame more than there is room for.
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

/// Writes the header of a server's frame whose payload of `payload_bytes` follows as it is to the begin of
/// `room`, and gives its length. `None` if there is no room for it; ten bytes are always enough.
#[inline]
pub fn encode_head(kind: MessageKind, payload_bytes: usize, room: &mut [u8]) -> Option<usize> {
    let mut head = FrameHead::message(kind);
    head.len = payload_bytes as u64;
    let (bytes, len) = head.to_bytes();
    room.get_mut(..len)?.copy_from_slice(&bytes[..len]);
    Some(len)
}

/// Appends a server's frame with `payload` compressed on its own, for [`PreparedForm::Compressed`]
/// with these numbers; plain if that is smaller.
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
