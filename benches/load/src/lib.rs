//! The load generator: one thread, frames encoded beforehand, and every byte that comes back compared.
//!
//! What it is: the other end of every server in the benchmarks, cheaper per message than any of them, and
//! strict: a wrong answer ends it with an error and no figure.
//!
//! What it is not: a WebSocket client. It knows what will come back, so it parses nothing.
//!
//! ```text
//!   cycle (frames, encoded) ──> lane ──> socket ══> server
//!        expected bytes <──────── lane <── socket <══
//!                                  └──> tally ──> one line of JSON
//! ```

mod broadcast;
mod cli;
mod course;
mod cycle;
mod echo;
mod handshakes;
mod idle;
mod lane;
mod line;
mod opening;
mod readiness;
mod report;
mod squeezed;
mod track;
mod usage;
mod wrong;

pub use cli::run;
