//! The messages in one frame, one at a time.

use std::iter::FusedIterator;

use bytes::{Buf as _, Bytes};
use prost::Message;
use serde::de::DeserializeOwned;

use super::{Command, CommandLimits, DecodeError, Encoding, Reply, filter};

/// The commands in one frame, decoded one at a time. After an error it ends.
///
/// Dropping it leaves the rest of the frame undecoded.
#[derive(Debug)]
pub struct Commands {
    objects: Objects,
    limits: CommandLimits,
    decoded: u32,
    last_bytes: usize,
}

impl Commands {
    pub(super) fn new(encoding: Encoding, frame: Bytes, limits: CommandLimits) -> Self {
        Self {
            objects: Objects::new(encoding, frame),
            limits,
            decoded: 0,
            last_bytes: 0,
        }
    }

    /// Returns how many bytes of the frame have not been decoded.
    pub(crate) fn bytes_left(&self) -> usize {
        match &self.objects.rest {
            Rest::Frame(frame) => frame.len(),
            Rest::Nothing => 0,
        }
    }

    /// Returns the bytes of the command that was returned last, without its separator or length.
    #[must_use]
    pub fn last_bytes(&self) -> usize {
        self.last_bytes
    }

    fn decode(&mut self, object: Bytes) -> Result<Command, DecodeError> {
        if self.decoded == self.limits.commands_max {
            return Err(DecodeError::TooManyCommands);
        }
        self.decoded += 1;
        self.last_bytes = object.len();
        let command: Command = self.objects.encoding.decode(object)?;
        filter::check(command.filters(), &self.limits)?;
        Ok(command)
    }
}

impl Iterator for Commands {
    type Item = Result<Command, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let command = self
            .objects
            .next()?
            .and_then(|object| self.decode(object))
            .inspect_err(|_| self.objects.end());
        Some(command)
    }
}

impl FusedIterator for Commands {}

/// The replies in one frame, decoded one at a time. After an error it ends.
#[derive(Debug)]
pub struct Replies {
    objects: Objects,
}

impl Replies {
    pub(super) fn new(encoding: Encoding, frame: Bytes) -> Self {
        Self {
            objects: Objects::new(encoding, frame),
        }
    }
}

impl Iterator for Replies {
    type Item = Result<Reply, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let encoding = self.objects.encoding;
        let reply = self
            .objects
            .next()?
            .and_then(|object| encoding.decode(object))
            .inspect_err(|_| self.objects.end());
        Some(reply)
    }
}

impl FusedIterator for Replies {}

/// The encoded objects in one frame.
#[derive(Debug)]
struct Objects {
    encoding: Encoding,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    /// What is left of the frame. Empty only if the whole frame is.
    Frame(Bytes),
    /// Nothing is left, or nothing that can be trusted.
    Nothing,
}

impl Objects {
    fn new(encoding: Encoding, frame: Bytes) -> Self {
        Self {
            encoding,
            rest: Rest::Frame(frame),
        }
    }

    fn next(&mut self) -> Option<Result<Bytes, DecodeError>> {
        let Rest::Frame(mut frame) = std::mem::replace(&mut self.rest, Rest::Nothing) else {
            return None;
        };
        if frame.is_empty() {
            return Some(Err(DecodeError::Empty));
        }
        let object = match self.encoding {
            Encoding::Json => Ok(split_line(&mut frame)),
            Encoding::Protobuf => split_delimited(&mut frame),
        };
        if !frame.is_empty() {
            self.rest = Rest::Frame(frame);
        }
        Some(object)
    }

    fn end(&mut self) {
        self.rest = Rest::Nothing;
    }
}

/// Takes the first line off `frame`, and the newline behind it.
fn split_line(frame: &mut Bytes) -> Bytes {
    let Some(end) = memchr::memchr(b'\n', frame) else {
        return std::mem::take(frame);
    };
    let line = frame.split_to(end);
    frame.advance(1);
    line
}

/// Takes the first object off `frame`: a varint is its length.
fn split_delimited(frame: &mut Bytes) -> Result<Bytes, DecodeError> {
    let length = prost::decode_length_delimiter(&mut *frame).map_err(|_| DecodeError::Truncated)?;
    // The length is compared with the bytes that are there; nothing is allocated for it.
    if length > frame.len() {
        return Err(DecodeError::Truncated);
    }
    Ok(frame.split_to(length))
}

impl Encoding {
    /// Decodes one object without its separator or length.
    fn decode<T: Message + Default + DeserializeOwned>(
        self,
        object: Bytes,
    ) -> Result<T, DecodeError> {
        match self {
            Self::Json => {
                serde_json::from_slice(&object).map_err(|error| DecodeError::malformed(&error))
            }
            Self::Protobuf => T::decode(object).map_err(|error| DecodeError::malformed(&error)),
        }
    }
}
