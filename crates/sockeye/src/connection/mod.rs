//! One open WebSocket, whoever drives it: a worker's loop, a task of tokio's, or the caller of `recv`.
//!
//! ```text
//!   socket ──> io ──> read: driver ──> Sink (an endpoint, an inbox)
//!    ^                        │ answers
//!    └── io <── write: wire <─┴──────────── Session (send, from any task)
//!                       ^
//!                       └── fan_out: what groups send
//! ```

mod agenda;
mod annex;
mod busy_poll;
mod connections;
mod established;
pub(crate) mod fan_out;
mod io;
pub(crate) mod lend;
mod mailbox;
mod message_writer;
mod read;
mod session;
mod sink;
mod waiters;
mod write;

pub(crate) use busy_poll::BusyPoll;
pub(crate) use connections::{Connections, Permit};
pub(crate) use established::Established;
pub(crate) use fan_out::{Backlog, Progress, Slice};
pub use io::Stream;
pub(crate) use io::{Carrier, Http2Stream, TlsSocket, poll_room};
pub(crate) use lend::SHORT_BYTES_END;
pub(crate) use mailbox::{Mailbox, Note};
pub use message_writer::MessageWriter;
pub(crate) use read::{Driver, ShortRead, Turn};
pub use session::{Session, TrySendError};
pub(crate) use sink::{Room, Sink};
pub use write::Prepared;
pub(crate) use write::{Cork, Replies};
