//! The memory budget: one bound for all that peers can make a process hold.
//!
//! ```text
//!   HTTP body, chat ──────────────> MemoryAccount ──> batch of the thread ──> MemoryBudget
//!   connection ──> Holding ──────────^                (16 KiB)                (soft mark, hard mark)
//!      ^              └──── who holds much ──> Ledger <──── who must go, who may go on ──┘
//!      └──────────────────── wake ───────────────┘
//! ```

mod account;
mod batch;
mod budget;
mod holding;
mod ledger;
mod system;

pub use account::MemoryAccount;
pub use budget::{MemoryBudget, MemoryPressure};

pub(crate) use holding::Holding;
