//! The chat: rooms, private messages, who is online, and what was said while somebody was away.
//!
//! An application on the public API of the crate `sockeye`, and the one that `docs/tutorial/chat.md` walks through.
//!
//! ```text
//!   page ──> /chat ──> Visitor ──┐                                  ┌──> Lobby: who is here, in which room
//!                                ├──> Queue ──> Desk (one thread) ──┤
//!   page ──> /socket/get-msg ────┘    bounded        │              └──> Archive: what was said, who has yet to hear it
//!                                                    │
//!   page <── Session, Group <── effects <── commit ──┘
//! ```
//!
//! A [`Visitor`] reads what a page says, checks it and hands it over; it never waits. The [`Desk`] takes what has
//! gathered, writes all of it in one transaction, and only after the commit does anybody hear of it.

mod answers;
mod archive;
mod cookie;
mod desk;
mod dialect;
mod effect;
mod http;
mod identities;
mod job;
mod limits;
mod lobby;
mod name;
mod origin;
mod page;
mod person;
mod queue;
mod rate;
mod receipt;
mod service;
mod token;
mod visitor;

#[cfg(test)]
pub(crate) use self::page::SOURCES;

pub(crate) use self::{
    cookie::{Cookie, Cookies, Lifetime, SameSite},
    desk::now_ms,
    dialect::{event, label},
    effect::tell,
    http::{PERSON_COOKIE, RECEIPT_COOKIE},
    limits::Limits,
    page::page,
    person::Person,
    service::Chat,
    token::Tokens,
};
