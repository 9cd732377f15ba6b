//! The JSON events that the chat and the login send to their pages.

use serde::Serialize;
use serde_json::json;
use sockeye::{CloseCode, Message, Session, TrySendError};

/// Returns an event as JSON text.
pub(crate) fn event(name: &str, response: impl Serialize) -> String {
    json!({ "event": name, "response": response }).to_string()
}

/// Sends a text, or closes the connection if its outbox is full. The page can't see a gap, so it reconnects and asks for
/// what it missed. A group does the same.
pub(crate) fn send_or_close(session: &Session, text: String) {
    if let Err(TrySendError::Full(_)) = session.try_send(Message::from(text)) {
        session.close(CloseCode::TRY_AGAIN_LATER, "the page reads too slowly");
    }
}
