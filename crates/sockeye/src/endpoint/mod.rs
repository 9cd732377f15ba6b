//! The callback style: one value per connection, called for each event.
//!
//! ```text
//!   socket ──> driver ──> run ──> (app_heartbeat) ──> Endpoint ──> Reply ──> reply_batch or writer ──> socket
//!                ^
//!                └── a tokio task (task_driver), or a worker of a server
//! ```

mod app_heartbeat;
mod endpoint;
mod run;
mod task_driver;

pub(crate) use app_heartbeat::Answering;
pub use endpoint::{Endpoint, Reply};
pub(crate) use run::{open, serve, spawn};
pub(crate) use task_driver::TaskDriver;
