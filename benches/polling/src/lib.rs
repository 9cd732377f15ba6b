//! What polling costs, and what WebSocket costs instead: the same updates from the same server to the same number of
//! clients, by Ajax polling, long polling and WebSocket.
//!
//! What it measures: bytes in both directions, requests, TCP segments, processor time of the server, the delay from an
//! update to a client that has it.
//!
//! What it is not: a race between servers. One server answers all three; only the way of asking differs.
//!
//! ```text
//!   this process                                       its child, `polling --serve`
//!   cli ──> cell ──> visitor ──> counted ══ TCP ══>  server: /updates  Ajax polling
//!             │      (browser's request heads)               /wait     long polling
//!             │                                              /ws       WebSocket
//!             └──> results ──> table, CSV, plot, page
//! ```

mod cell;
mod child;
mod cli;
mod counted;
mod machine;
mod page;
mod plot;
mod results;
mod segments;
mod server;
mod update;
mod visitor;

pub use cli::run;
