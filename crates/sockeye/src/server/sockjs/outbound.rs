//! The messages that wait for a receiver, as the client gets them.

use super::json::push_string;
use crate::server::polling::Outbound;

/// JSON strings, joined by commas.
#[derive(Default)]
pub(super) struct JsonMessages(String);

impl Outbound for JsonMessages {
    type Batch = String;

    fn push_text(&mut self, text: &str) {
        let mut json = std::mem::take(&mut self.0).into_bytes();
        if !json.is_empty() {
            json.push(b',');
        }
        push_string(text, &mut json);
        self.0 = String::from_utf8(json).unwrap_or_default();
    }

    fn push_binary(&mut self, _: &[u8]) {
        // A message of a group may be binary for the members that can have it.
        tracing::debug!("a binary message can't be sent by SockJS");
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has_room(&self, batch_bytes_max: usize) -> bool {
        self.0.len() < batch_bytes_max
    }

    fn take_batch(&mut self, _: usize) -> String {
        std::mem::take(&mut self.0)
    }
}
