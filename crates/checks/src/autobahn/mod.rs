//! The Autobahn test suite: 517 cases, both roles, no list of exceptions.
//!
//! ```text
//!   server role:   wstest fuzzingclient ──> sockeye serve          one wstest per shard, its own cases
//!   client role:   sockeye connect --echo ──> wstest fuzzingserver one wstest per shard, one dial per case
//!                                                    │
//!                                              index.json ──> Report ──> complaints
//! ```

mod cases;
mod report;
mod run;

pub use cases::{Selection, select};
pub use report::{Outcome, Report};
pub use run::{AGENT, against_client, against_server};
