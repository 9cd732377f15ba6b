//! The server over real sockets.

mod drain;
mod handshake;
mod hostile;
mod http;
mod limits;
mod routes;
mod support;
mod tls;
mod upgrade;
