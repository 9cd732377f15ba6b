//! End to end: the real binary, real sockets, programs that other people wrote.

mod chat;
mod chromium;
mod conversation;
mod curl;
mod http2;
mod https;
mod login;
mod node;
mod pages;
mod pipe;
mod presence;
mod proxies;
mod python;
mod welcome;
