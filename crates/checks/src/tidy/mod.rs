//! Rules about the tree itself. Each one looks at a [`Tree`] and complains, one line per offence.
//!
//! What can be checked is a test and not a remark in a review; `tests/tidy.rs` runs every rule on this
//! repository, and each rule's own tests run it on trees that break it.

mod imports;
mod logs;
mod map;
mod modules;
mod names;
mod sizes;
mod text;
mod tree;

pub use imports::import_cycles;
pub use logs::debug_in_logs;
pub use map::stale_map;
pub use modules::{dead_files, logic_in_lists, missing_docs};
pub use names::{bad_names, getters};
pub use sizes::{Exception, long_files};
pub use text::{RealTime, machine_paths, sleeping_tests, unsafe_code};
pub use tree::{File, Tree};
