//! End to end: the real binary, real sockets, and clients and servers of others.

mod accessibility;
mod back_ends;
mod chat;
mod chat_states;
mod chromium;
mod conversation;
mod curl;
mod firefox;
mod http2;
mod https;
mod hub;
mod hub_crashes;
mod login;
mod login_states;
mod node;
mod pages;
mod pipe;
mod presence;
mod proxies;
mod python;
mod sockjs;
mod sockjs_attacks;
mod unix_sockets;
mod welcome;
mod welcome_states;
