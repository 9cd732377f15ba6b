//! The broker of one node whose history is in a log on the disk: it survives the process, and as configured a power cut.
//!
//! ```text
//!   LogBroker ── publish ──> queue ──> thread ── Log::commit: one write, one sync ──> deliver, answer
//!      │      ── history ──> index: position, places ──> files
//!      └──────── without history ──> subscriptions: one lock for each channel ──> BrokerEvents
//! ```
//!
//! A publication that is kept is delivered by the log's thread, in the order of offsets. One that isn't is delivered at once,
//! under the same lock of its channel.

mod broker;
mod queue;
mod settings;
mod subscriptions;
mod thread;

pub use broker::LogBroker;
pub use settings::LogSettings;
