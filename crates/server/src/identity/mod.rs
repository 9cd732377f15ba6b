//! The identity of people, which the chat and the login share.
//!
//! ```text
//!   browser ── cookie chat_uuid ──> Cookies ──> Person (secret) ──> Address (public)
//!                                                 ^
//!                              Identities ── issues and verifies
//! ```
//!
//! A [`Person`] is a secret that only one browser has. [`Identities`] makes such secrets and recognises its own. Other people
//! see the [`Address`] and a name that [`display_name`] has checked.

mod cookie;
mod issuer;
mod name;
mod people;
mod person;

pub(crate) use cookie::{Cookie, Cookies, Lifetime, PERSON_COOKIE, RECEIPT_COOKIE, SameSite};
pub(crate) use issuer::Identities;
pub(crate) use name::{NameError, display_name};
pub(crate) use people::{Busy, People, Recognition};
pub(crate) use person::{Address, Person};
