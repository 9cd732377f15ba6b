//! The server over real sockets.

mod behind_proxy;
mod drain;
mod fairness;
mod handshake;
mod hang_up;
mod heartbeat;
mod hostile;
mod http;
mod http2;
mod http_strict;
mod http_time;
mod identity;
mod lapses;
mod limits;
mod orders;
mod panics;
mod remains;
mod request_info;
mod rooms;
mod routes;
mod slow_peers;
mod support;
mod tls;
mod turns;
mod upgrade;
