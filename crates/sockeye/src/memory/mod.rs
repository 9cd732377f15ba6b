//! The memory budget: one bound for all that peers can make a process hold.
//!
//! ```text
//!   connection, HTTP body, chat ──> MemoryAccount ──> batch of the thread ──> MemoryBudget
//!                                   (one holder)      (16 KiB)                (soft mark, hard mark)
//! ```

mod account;
mod batch;
mod budget;
mod system;

pub use account::MemoryAccount;
pub use budget::{MemoryBudget, MemoryPressure};
