//! The loop style: `recv` in a loop, while a task looks after the connection whenever nobody is in `recv`.
//!
//! ```text
//!   driver ──> inbox ──> WebSocket::recv
//!     ^          └── message_queue: its messages, and the memory for them
//!     └── the caller of recv, or the background driver in a queue of its thread
//! ```

mod background_driver;
mod drive_queue;
mod inbox;
#[cfg(feature = "json")]
mod json;
mod message_queue;
mod message_reader;
#[cfg(feature = "stream")]
mod stream_and_sink;
mod wait;
mod websocket;

pub use inbox::Control;
pub use message_reader::MessageReader;
pub use websocket::WebSocket;
