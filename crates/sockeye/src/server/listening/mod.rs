//! The sockets on which a server listens, and the files of those that are Unix sockets.
//!
//! ```text
//!   socket_file (makes and removes the file of a Unix socket) ─┬─> listening: shut down when the server stops accepting
//!   listening_socket (a TCP or Unix socket that listens) ──────┘
//! ```

mod listening;
mod listening_socket;
mod socket_file;

pub(crate) use listening::Listening;
pub(crate) use listening_socket::{BACKLOG, ListeningSocket, LocalAddr};
pub(crate) use socket_file::{FileAccess, SocketFile};
