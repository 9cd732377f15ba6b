//! The receiving side: reads, hands out events, and checks what no event announces.
//!
//! ```text
//!   io ──> driver ──> Sink
//!            ├── read_size: how much is read at once
//!            └── watchdog ── late_peer ── tcp_info: whether the peer still lives, or is only late
//! ```

mod driver;
mod late_peer;
mod read_size;
mod watchdog;

pub(crate) use driver::{DriveOutcome, Driver, NextWork, ShortRead};
