//! One open WebSocket, driven by a worker's loop, by a task of tokio, or by the caller of `recv`.
//!
//! ```text
//!   socket ──> io ──> read: driver ──> Sink (an endpoint, an inbox)
//!    ^                        │ answers
//!    └── io <── write: writer <─┴──────────── Session (send, from any task)
//!                       ^
//!                       └── fan_out: messages to groups
//! ```

pub(crate) mod buffers;
mod busy_poll;
mod cold_state;
mod established;
pub(crate) mod fan_out;
mod io;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "server")]
mod mailbox;
#[cfg(not(feature = "server"))]
#[path = "mailbox/absent.rs"]
mod mailbox;
#[cfg(feature = "stream")]
mod message_sink;
mod message_writer;
mod pending_work;
#[cfg(feature = "server")]
mod permit;
#[cfg(not(feature = "server"))]
#[path = "permit/absent.rs"]
mod permit;
mod read;
mod sent;
mod session;
mod sink;
mod upgraded_stream;
mod waiters;
#[cfg(feature = "server")]
mod wake_state;
mod write;

pub(crate) use buffers::SHORT_BYTES_END;
pub(crate) use busy_poll::BusyPoll;
pub(crate) use established::Established;
pub(crate) use fan_out::{Except, Progress, SenderBacklog, Slice, SlowReaderClose};
pub use io::Stream;
#[cfg(feature = "server")]
pub(crate) use io::{AsyncSocket, Socket};
#[cfg(feature = "http2")]
pub(crate) use io::{Http2Stream, poll_room};
pub(crate) use io::{Io, TlsSocket};
pub(crate) use mailbox::{Mailbox, Note};
#[cfg(feature = "stream")]
pub(crate) use message_sink::MessageSink;
pub use message_writer::MessageWriter;
#[cfg(feature = "server")]
pub(crate) use permit::Connections;
pub(crate) use permit::Permit;
#[cfg(feature = "server")]
pub(crate) use read::NextWork;
pub(crate) use read::{DriveOutcome, Driver, ShortRead};
pub use sent::Sent;
pub use session::{Session, TrySendError};
pub(crate) use sink::{InputMessage, Room, Sink};
pub use upgraded_stream::UpgradedStream;
pub use write::Prepared;
pub(crate) use write::{Cork, ReplyBatch};
