//! The loop style: a program calls `recv` in a loop. While it does something else, a task of the drive queue reads,
//! answers pings and flushes.
//!
//! ```text
//!   socket ──> driver ──> inbox (message_queue) ──> recv, poll_recv, stream_and_sink ──> Message
//!                ^                                  recv_json ─────────────────────────> a value
//!                │                                  recv_stream ───────────────────────> MessageReader
//!                ├── a task in recv (wait: it spins, then sleeps)
//!                └── background_driver (drive_state), in the drive_queue of its thread
//! ```
//!
//! Which of the two drives next is decided by `drive_state`, where its states are drawn.

mod background_driver;
mod drive_queue;
mod drive_state;
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
