//! The hub with the SDKs that people use, unchanged: each goes through the same scenario, and gets what was published, exactly.
//!
//! `make sdks` builds the programs in Go, Java and Rust. What is missing on this machine is said, and fails with `CI=true`.

mod back_end;
mod chromium;
mod client;
mod deltas;
mod procedures;
mod programs;
mod relay;
mod scenario;
mod socketio;
mod versions;
mod world;
