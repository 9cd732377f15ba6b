//! RFC 6455, clause by clause, both roles.

mod s4_1_client;
mod s4_2_server;
mod s4_head;
