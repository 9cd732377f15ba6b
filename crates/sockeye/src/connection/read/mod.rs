//! The receiving side: reads, hands out events, and sees to what no event tells of.
//!
//! ```text
//!   io ──> driver ──> Sink
//!            ├── appetite: how much is read at once
//!            └── vigil ── doubt ── tcp_info: whether the peer still lives, or is only late
//! ```

mod appetite;
mod doubt;
mod driver;
mod vigil;

pub(crate) use driver::{Driver, ShortRead, Turn};
