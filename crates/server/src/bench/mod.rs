//! `sockeye bench`: a load generator for WebSocket servers.
//!
//! ```text
//!   args, tokens ──> command ──> opening ──┬──> echo ─────────┐ <── schedule (--rate)
//!                      │                   ├──> idle          ├──> tally, errors   ──> Report ──> text or JSON
//!                      │                   ├──> fan_out ──────┤                          ^
//!                      │                   │       ^  └──> publisher                     │
//!                      │                   ├──> hub_client ───┤                          │
//!                      │                   ├──> recover ──────┘                          │
//!                      │                   └──> handshakes (opens for itself)            │
//!                      └── watch: time, ctrl-C, the progress line          machine: processor, open files
//! ```

mod args;
mod command;
mod echo;
mod fan_out;
mod handshakes;
mod hub_args;
mod hub_client;
mod hub_measurement;
mod idle;
mod link;
mod machine;
mod measurement;
mod opening;
mod payload;
mod publisher;
mod quantity;
mod recover;
mod report;
mod schedule;
mod tally;
mod tokens;
mod watch;

pub(crate) use args::{BenchArgs, EXIT_CODES};
pub(crate) use command::run;
