//! The chat: rooms with history, private messages, and who is online.
//!
//! An application on the public API of the crate `sockeye`. `docs/tutorial/chat.md` walks through it.
//!
//! ```text
//!   page ──> /chat ──> ChatEndpoint ──┐                                     ┌──> Roster: who is online, in which room
//!                                     ├──> Queue ──> Processor (a thread) ──┤
//!   page ──> /socket/get-msg ─────────┘    bounded        │                 └──> Archive: messages, and who has yet to get them
//!                                                         │
//!   page <── Session, Group <──── effects <──── commit ───┘
//! ```
//!
//! A [`ChatEndpoint`](endpoint::ChatEndpoint) parses and checks a page's message and queues it as a job; it never waits. The
//! [`Processor`](processor::Processor) takes the queued jobs, writes all of them in one transaction, and sends messages only
//! after the commit.

mod answers;
mod archive;
mod client_network;
mod effect;
mod endpoint;
mod http;
mod job;
mod limits;
mod page;
mod processor;
mod protocol;
mod queue;
mod rate;
mod receipt;
mod roster;
mod service;
mod token;

#[cfg(test)]
pub(crate) use self::page::SOURCES;

pub(crate) use self::{limits::Limits, page::page, service::Chat, token::Tokens};
