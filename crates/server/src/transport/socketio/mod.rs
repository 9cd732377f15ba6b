//! The hub by Socket.IO 5: what a client of `/socket.io/` sends as events are commands of the hub, and what the hub sends are acks and
//! events. The table is in docs/reference/socketio.md.
//!
//! ```text
//!   event ── arguments ──> namespace ── command ──> client (hub)
//!   ack   <── output <── link <── reply ──────────────┤
//!   event <── output <── link, receivers <── push ────┘
//! ```

mod arguments;
mod link;
mod namespace;
mod output;
mod positions;
mod record;
mod recovery;
mod settings;
mod transport;

pub use namespace::socketio_mount;
pub use settings::SocketIoTransportSettings;
