//! What the fuzz targets do with their bytes: each function is one story, and panics if it ends badly.
//!
//! What it is: plain code that runs on stable Rust, under the fuzzer and in a test alike.
//!
//! What it is not: a fuzzer; that is the package around it.

mod choices;
mod conversation;
mod engineio;
mod extension_header;
mod frames;
mod handshake;
mod hub_frames;
mod hub_token;
mod inflate;
mod plain_request;
mod proxy_head;
mod socketio;
mod sockjs;
mod stories;
mod witness;

pub use conversation::conversation;
pub use engineio::engineio_payload;
pub use extension_header::extension_header;
pub use frames::{frames_client, frames_server};
pub use handshake::{handshake_request, handshake_response};
pub use hub_frames::{hub_json, hub_protobuf};
pub use hub_token::hub_token;
pub use inflate::inflate;
pub use proxy_head::proxy_head;
pub use socketio::socketio_packets;
pub use sockjs::sockjs_send;
pub use stories::{STORIES, Story};
