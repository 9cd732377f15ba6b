//! The callback style: one value per connection, called for each event.
//!
//! ```text
//!   driver ──> Endpoint ──> Reply ──> writer
//!     ^
//!     └── a task of tokio's (task_driver), or a worker
//! ```

mod app_heartbeat;
mod endpoint;
mod run;
mod task_driver;

pub(crate) use app_heartbeat::Answering;
pub use endpoint::{Endpoint, Reply};
pub(crate) use run::{open, serve, spawn};
pub(crate) use task_driver::TaskDriver;
