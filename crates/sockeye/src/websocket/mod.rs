//! The loop style: `recv` in a loop, while a task looks after the connection whenever nobody is in `recv`.
//!
//! ```text
//!   driver ──> inbox ──> WebSocket::recv
//!     ^          └── shelf: its messages, and the memory for them
//!     └── the caller of recv, or the attendant in a round of its thread
//! ```

mod attendant;
mod inbox;
mod lull;
mod message_reader;
mod round;
mod shelf;
mod websocket;

pub use inbox::Control;
pub use message_reader::MessageReader;
pub use websocket::WebSocket;
