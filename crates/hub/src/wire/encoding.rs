//! The two encodings, from a frame's bytes to messages and back.

use bytes::Bytes;
use prost::Message;
use serde::Serialize;

use super::{Command, CommandLimits, Commands, EncodeError, Push, Replies, Reply, filter};

/// An encoding of the protocol. A connection has one, from its opening on.
///
/// | | JSON | Protobuf |
/// |---|---|---|
/// | WebSocket messages | text | binary |
/// | several objects in one frame | joined by a newline | each with its length before it, a varint |
/// | payloads | one JSON value | any bytes |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// One JSON object on each line.
    Json,
    /// Protobuf messages, each with its length before it.
    Protobuf,
}

impl Encoding {
    /// Decodes the commands in one frame, one at a time.
    ///
    /// Payloads are slices of `frame` with Protobuf, and copies with JSON. A payload that is kept for long should be
    /// copied, because a slice keeps the whole frame in memory.
    ///
    /// JSON tolerates blanks around an object and one newline at the end of the frame. Both encodings tolerate unknown
    /// fields.
    ///
    /// # Errors
    ///
    /// The iterator returns a [`DecodeError`](super::DecodeError) in place of the first command that can't be decoded, and then ends. A frame
    /// without an object is [`DecodeError::Empty`](super::DecodeError::Empty).
    #[must_use]
    pub fn decode_commands(self, frame: Bytes, limits: CommandLimits) -> Commands {
        Commands::new(self, frame, limits)
    }

    /// Decodes the replies in one frame, one at a time: the client's side.
    ///
    /// # Errors
    ///
    /// As for [`Encoding::decode_commands`]. No limits apply but the frame's size.
    #[must_use]
    pub fn decode_replies(self, frame: Bytes) -> Replies {
        Replies::new(self, frame)
    }

    /// Appends `reply` to the frame in `into`. If `into` isn't empty, a newline comes first with JSON.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NotJson`] with JSON, if a payload isn't. `into` is then as it was.
    pub fn encode_reply(self, reply: &Reply, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.append(reply, into)
    }

    /// Appends `command` to the frame in `into`: the client's side. If `into` isn't empty, a newline comes first with
    /// JSON.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NotJson`] with JSON, if a payload isn't. [`EncodeError::FilterTooDeep`] if a filter has more levels
    /// than any server accepts. `into` is then as it was.
    pub fn encode_command(self, command: &Command, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        if filter::is_too_deep(command.filters()) {
            return Err(EncodeError::FilterTooDeep);
        }
        self.append(command, into)
    }

    /// Appends `push` to the frame in `into`, without a [`Reply`] around it: what unidirectional transports send. If `into`
    /// isn't empty, a newline comes first with JSON. An empty push is a ping, and has the same bytes as
    /// [`Encoding::ping`].
    ///
    /// # Errors
    ///
    /// [`EncodeError::NotJson`] with JSON, if a payload isn't. `into` is then as it was.
    pub fn encode_push(self, push: &Push, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.append(push, into)
    }

    /// Appends `object`, which [`Encoding::encode_reply`] has encoded into a buffer of its own, to the frame in `into`.
    pub fn append_encoded(self, object: &[u8], into: &mut Vec<u8>) {
        self.separate(into);
        into.extend_from_slice(object);
    }

    /// Returns a ping of the server as a frame: an empty reply. An empty command, the client's pong, has the same bytes.
    #[must_use]
    pub fn ping(self) -> &'static [u8] {
        match self {
            Self::Json => b"{}",
            Self::Protobuf => b"\0",
        }
    }

    /// Returns the WebSocket subprotocol that stands for the encoding.
    #[must_use]
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "centrifuge-json",
            Self::Protobuf => "centrifuge-protobuf",
        }
    }

    /// Returns whether a frame is a binary WebSocket message; if not, it is a text message.
    #[must_use]
    pub fn is_binary(self) -> bool {
        self == Self::Protobuf
    }

    fn append<T: Message + Serialize>(
        self,
        object: &T,
        into: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let before = into.len();
        self.separate(into);
        match self {
            Self::Json => serde_json::to_writer(&mut *into, object).map_err(|_| {
                into.truncate(before);
                // Writing to memory doesn't fail and keys are strings, so only payloads are left.
                EncodeError::NotJson
            }),
            Self::Protobuf => {
                object
                    .encode_length_delimited(into)
                    .expect("a vector has room for everything");
                Ok(())
            }
        }
    }

    /// Separates the next object from those in `frame`.
    fn separate(self, frame: &mut Vec<u8>) {
        if self == Self::Json && !frame.is_empty() {
            frame.push(b'\n');
        }
    }
}
