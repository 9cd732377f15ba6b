//! Measures the hub and its log, beside other servers.
//!
//! What it is:
//! - `log-start`: how long a start takes with a million channels, and the memory of the index;
//! - `durable`: publications per second of 100 publishers, in memory and on the disk, beside NATS JetStream and Redis;
//! - `fan-out`: deliveries, storms and idle clients, beside Centrifugo.
//!
//! What it is not: a load generator for clients, which `sockeye bench` is; it starts that one.
//!
//! Each measurement writes its part of `docs/hub-benchmarks.md`.

mod cli;
mod durable;
mod fan_out;
mod log_start;
mod machine;
mod page;
mod process;
mod publishers;

pub use cli::run;
