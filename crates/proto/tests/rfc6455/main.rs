//! RFC 6455, clause by clause, both roles.

mod s4_1_client;
mod s4_2_server;
mod s4_head;
mod s5_1_masking;
mod s5_2_framing;
mod s5_4_fragmentation;
mod s5_5_control;
mod s5_6_data;
mod s7_closing;
mod s8_errors;
mod story;
