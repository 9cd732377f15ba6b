//! Runs the benchmarks: builds the servers, starts them in turn on a core of their own, compares.
//!
//! What it is: rounds. In each round every server of a cell is measured once, one right after the other, so that
//! what the machine does meanwhile hits all of them; what counts is the median of the rounds' ratios.
//!
//! What it is not: the load (`load`) or a server (`peers`).
//!
//! ```text
//!   workshop ──> binaries ──> rounds ──> measurements ──> table, CSV, plot, page
//!                (peers)      cell × peer: server on one core, load on the other
//! ```

mod cell;
mod cli;
mod cores;
mod identity;
mod instructions;
mod measurement;
mod memory;
mod page;
mod peer;
mod plan;
mod plot;
mod record;
mod rounds;
mod scaling;
mod server;
mod setting;
mod smoke;
mod table;
mod verdict;
mod whole;
mod workshop;

pub use cli::run;
