//! `sockeye connect`: a WebSocket client for the terminal, for pipes and for conformance runs.
//!
//! ```text
//!   terminal ──┐                              ┌──> screen (stdout: messages, stderr: the rest)
//!              ├──> Input ──> talk ──> Session │
//!   pipe ──────┘              <── WebSocket ───┘       --json: an Event a line on stdout
//!   --reconnect: stay instead of talk, Reconnecting instead of WebSocket
//!   --echo: an endpoint that answers each message with itself, nothing in between
//! ```

mod args;
mod command;
mod ending;
mod event;
mod input;
mod pings;
mod raw_mode;
mod reading;
mod screen;
mod stay;
mod stop_requests;
mod talk;
mod terminal;

pub(crate) use args::{ConnectArgs, EXIT_CODES};
pub(crate) use command::run;
