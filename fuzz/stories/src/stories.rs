//! All stories by name.

use crate::{
    conversation, engineio_payload, extension_header, frames_client, frames_server,
    handshake_request, handshake_response, hub_json, hub_protobuf, hub_token, inflate, proxy_head,
    socketio_packets, sockjs_send,
};

/// A function that tells a story from any bytes.
pub struct Story {
    /// Its target's name, and its corpus's.
    pub name: &'static str,
    /// Panics if the story ends badly.
    pub tell: fn(&[u8]),
}

const fn story(name: &'static str, tell: fn(&[u8])) -> Story {
    Story { name, tell }
}

/// All stories.
pub const STORIES: [Story; 14] = [
    story("handshake_request", handshake_request),
    story("handshake_response", handshake_response),
    story("extension_header", extension_header),
    story("frames_server", frames_server),
    story("frames_client", frames_client),
    story("proxy_head", proxy_head),
    story("inflate", inflate),
    story("conversation", conversation),
    story("hub_json", hub_json),
    story("hub_protobuf", hub_protobuf),
    story("hub_token", hub_token),
    story("sockjs_send", sockjs_send),
    story("engineio_payload", engineio_payload),
    story("socketio_packets", socketio_packets),
];
