//! All stories by name.

use crate::{
    conversation, extension_header, frames_client, frames_server, handshake_request,
    handshake_response, inflate,
};

/// A story's name, which is its target's and its corpus's too, and the story.
pub const STORIES: [(&str, fn(&[u8])); 7] = [
    ("handshake_request", handshake_request),
    ("handshake_response", handshake_response),
    ("extension_header", extension_header),
    ("frames_server", frames_server),
    ("frames_client", frames_client),
    ("inflate", inflate),
    ("conversation", conversation),
];
