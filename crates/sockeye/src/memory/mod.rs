//! The memory budget: one bound for all the memory that peers can make a process hold.
//!
//! ```text
//!   HTTP body, chat ──> MemoryAccount ──> unreported: bytes of one thread ──> count of the MemoryBudget
//!                          ^              (reported 16 KiB at a time)         (soft mark, hard mark)
//!   connection ──> Holding ┘                                                             │
//!      ^              └── 64 KiB or more ──> LargeHolders <── beyond a mark: close, or wake
//!      └──────────────────── wake ─────────────┘
//! ```

mod account;
mod budget;
mod count;
mod holder;
mod holding;
mod large_holders;
mod system;
mod unreported;

pub use account::MemoryAccount;
pub use budget::{MemoryBudget, MemoryPressure};
pub use holder::MemoryHolder;

pub(crate) use holding::Holding;
