//! Messaging rules without sockets.
//!
//! What it is:
//! - [`wire`]: the messages of the Centrifugal client protocol and their two encodings, and its codes: [`ErrorCode`],
//!   [`UnsubscribeCode`], [`Disconnect`];
//! - [`namespace`]: what the name of a channel means, and which options it has;
//! - [`broker`]: what is published to channels, and their history;
//! - [`presence`]: which clients are online, on how many devices, and when the others were last seen;
//! - [`token`]: who a client is and what it may subscribe to, as signed by the application (JWT).
//!
//! What it is not:
//! - a server: it has no client socket, no HTTP and no configuration file; its caller has those;
//! - a source of time: the program passes the time, or a [`Clock`].
//!
//! ```text
//!   a client's connection                                             application, back end
//!   opens ──> join ──> ┐                         ┌──> status, list, count
//!                      ├──> registry (pure) ─────┤
//!   ends ──> drop ───> ┘       ^     │           └──> changes: online, offline
//!                       events │     v unsaved
//!                          store task ──> store: memory, durable, redis
//! ```

mod answer;
pub mod broker;
mod clock;
mod disconnect;
mod error;
mod error_code;
mod ids;
pub mod namespace;
pub mod presence;
mod private_file;
mod publication;
pub mod token;
mod unsubscribe_code;
pub mod wire;

pub use answer::Answer;
pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use disconnect::{Disconnect, DisconnectError};
pub use error::StoreError;
pub use error_code::ErrorCode;
pub use ids::CLIENT_BYTES_MAX;
pub use private_file::open_private_file;
pub use publication::{ClientInfo, Epoch, Publication, StreamPosition, Tags};
pub use unsubscribe_code::UnsubscribeCode;
