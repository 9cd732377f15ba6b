//! The broker: carries publications between nodes and keeps the history of channels.
//!
//! ```text
//!   node ── publish ──> broker ── one lock for each channel ──> BrokerEvents::publication, in the order of offsets
//!        ── history ──>    │ stream: epoch, top offset, version
//!                          │ publications: the newest `history_size`, for `history_ttl`
//!                          └ idempotency keys
//! ```
//!
//! What each channel's history promises:
//! - An offset that anybody has seen is never given to another publication under the same epoch.
//! - Publications expire together, `history_ttl` after the last one. Their removal and their expiry leave offset, epoch
//!   and version as they are.
//! - Offset and epoch are forgotten `history_meta_ttl` after the last publication or question; then the channel begins a
//!   new epoch.
//!
//! | broker | after a restart | several nodes | what it holds is limited by |
//! |---|---|---|---|
//! | [`Memory`] | nothing is known; channels get new epochs | no | [`MemoryLimits`] |
//! | [`LogBroker`] | everything is known; after a power cut as [`LogSync`] says | no | [`LogSettings`] |

pub(crate) mod epochs;
mod error;
mod history;
mod interface;
pub(crate) mod keys;
mod log_broker;
mod memory;
mod publish;
pub(crate) mod refusal_log;
pub(crate) mod usage;

pub use crate::log::{LogError, LogReport, LogSync, check_log, dump_log, repair_log};
pub use error::BrokerError;
pub(crate) use history::AnswerBytes;
pub use history::{History, HistoryQuery, Limit};
pub use interface::{Broker, BrokerEvents};
pub use log_broker::{LogBroker, LogSettings};
pub use memory::{Memory, MemoryLimits, MemoryUsage};
pub use publish::{PublishOptions, Published, Suppression};
