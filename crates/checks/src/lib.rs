//! Checks of the whole project, from outside.
//!
//! What it is:
//! - [`tidy`]: rules about the tree itself, each one a test;
//! - [`autobahn`]: the Autobahn test suite against the real binary, both roles;
//! - [`callgrind`]: instructions of the protocol core;
//! - the tools of end-to-end tests: a [`Process`] that can't outlive its test, the real `sockeye` as
//!   [`Server`], a [`Browser`], a [`Redis`], a [`Network`] that can be broken or slow, and [`need`], which says what is missing on
//!   this machine.
//!
//! What it is not:
//! - part of the product: nothing depends on this crate, and it is never published;
//! - unit tests: those live beside the code that they prove.
//!
//! ```text
//!   tests/*.rs ──> Server, Browser, peers/*.{mjs,py} ──> Process ──> the program, its lines, its end
//! ```

pub mod autobahn;
mod browser;
pub mod callgrind;
mod certificate;
pub mod need;
mod network;
mod open_files;
mod port;
mod power_cut;
mod process;
mod redis;
mod reverse_proxy;
mod server;
mod shaped_link;
pub mod tidy;

pub use browser::{Browser, Connectivity, Tab};
pub use certificate::Certificate;
pub use network::{Network, Place};
pub use open_files::allow_open_files;
pub use port::Port;
pub use power_cut::PowerCut;
pub use process::{Ended, Line, Process, Source, let_pass};
pub use redis::Redis;
pub use reverse_proxy::{ReverseProxy, blocks_of_page, replaced};
pub use server::{Server, sockeye};
pub use shaped_link::Shape;
