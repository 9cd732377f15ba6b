//! What every server of the benchmarks is asked on its command line, and the line it prints when it listens.
//!
//! A server listens on a free port of 127.0.0.1, prints `listening PORT`, uses one processor, and serves
//! - `/`: what comes is sent back,
//! - `/room` and `/publish`, if it can broadcast: what is sent to the second comes out of every connection of the first.

mod asked;
#[cfg(feature = "stream")]
mod stream;

pub use asked::{Asked, Deflate, listening};
#[cfg(feature = "stream")]
pub use stream::echo;
