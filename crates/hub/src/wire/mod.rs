//! The Centrifugal client protocol, version 2: its messages and their two encodings.
//!
//! What it is:
//! - the messages: a client sends a [`Command`], the server answers with a [`Reply`] or sends a [`Push`] inside a `Reply`;
//! - [`Encoding`]: JSON and Protobuf, from a frame's bytes to messages and back;
//! - [`check_json`]: the check of a payload that must be JSON.
//!
//! What it is not:
//! - rules: whether a command is allowed here and now is decided elsewhere;
//! - a transport: it takes the content of one frame or one request body, and returns the same.
//!
//! ```text
//!   frame ──> Encoding::decode_commands ──> Command, Command, …
//!   frame <── Encoding::encode_reply    <── Reply
//! ```
//!
//! # Payloads
//!
//! A field of type [`Bytes`](bytes::Bytes) holds what an application sends: over Protobuf any bytes, over JSON one JSON
//! value. The hub doesn't look inside. Bytes that aren't JSON therefore reach every client with Protobuf, and end the
//! connection of a client with JSON ([`EncodeError::NotJson`]).
//!
//! # Zero values
//!
//! Neither encoding tells a field that is absent from one that is zero, empty or false. An absent field is decoded as
//! its zero value, and so is `null` in JSON, except in a payload, where `null` is a value. A zero value is left out
//! when encoding. JSON keeps a few zero values, because clients read those fields without asking whether they exist;
//! the fields' docs say so.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use sockeye_hub::wire::{CommandLimits, Encoding, PublishResult, Reply};
//!
//! let frame = Bytes::from_static(br#"{"id":1,"publish":{"channel":"news","data":{"text":"hi"}}}"#);
//! for command in Encoding::Json.decode_commands(frame, CommandLimits::default()) {
//!     let command = command?;
//!     let publish = command.publish.expect("a publish command");
//!     assert_eq!(publish.channel, "news");
//!     assert_eq!(publish.data, r#"{"text":"hi"}"#);
//!
//!     let reply = Reply {
//!         id: command.id,
//!         publish: Some(PublishResult::default()),
//!         ..Reply::default()
//!     };
//!     let mut frame = Vec::new();
//!     Encoding::Json.encode_reply(&reply, &mut frame)?;
//!     assert_eq!(frame, br#"{"id":1,"publish":{}}"#);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command;
mod emulation;
mod encoding;
mod error;
mod filter;
mod fossil_delta;
mod json_field;
mod limits;
mod map;
mod messages;
mod objects;
mod payload;
mod publication;
mod push;
mod reply;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use command::{
    Command, ConnectRequest, HistoryRequest, KeyedItem, PingRequest, PresenceRequest,
    PresenceStatsRequest, PublishRequest, RefreshRequest, RpcRequest, SendRequest,
    SubRefreshRequest, SubscribeRequest, TrackBatch, UnsubscribeRequest,
};
pub use emulation::EmulationRequest;
pub use encoding::Encoding;
pub use error::{DecodeError, EncodeError};
pub use filter::FilterNode;
pub use limits::CommandLimits;
pub use map::{Map, MapEntry, MessageEntry, TextEntry};
pub use objects::{Commands, Replies};
pub use payload::{NotJson, check_json};
pub use publication::{ClientInfo, Publication, StreamPosition};
pub use push::{
    ConnectPush, DisconnectPush, JoinPush, LeavePush, MessagePush, Push, RefreshPush,
    SubscribePush, UnsubscribePush,
};
pub use reply::{
    ConnectResult, Dictionary, ErrorReply, HistoryResult, PingResult, PresenceResult,
    PresenceStatsResult, PublishResult, RefreshResult, Reply, RpcResult, SubRefreshResult,
    SubscribeResult, UnsubscribeResult,
};
