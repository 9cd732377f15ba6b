//! Login by QR code: a browser shows a code, a phone with an identity scans and confirms it, and the browser, told over its
//! WebSocket, takes the same identity.
//!
//! ```text
//!   browser                                server                                 phone
//!   GET /login            ── cookie ──>    login_key of the browser
//!   /login/ws             <── TICKET ──    ticket, in a QR code  ─── camera ───>  GET /login/confirm#ticket
//!                         <── STATE ───    scanned               <── POST ─────   /login/scan
//!                         <── STATE ───    confirmed, with code  <── POST ─────   /login/confirm  (who: its cookie)
//!   POST /login/exchange  ── code ────>    used
//!                         <── cookie ──    chat_uuid
//! ```
//!
//! There are three secrets. The ticket is visible on the screen; it lets a phone see which browser asks. The code is sent over
//! the browser's own WebSocket only; with the browser's cookie, the third secret, it lets the browser take the identity. A
//! person who photographs the screen has the ticket, and can only log the browser in with *their own* identity.

mod browser_cookie;
mod endpoint;
mod key;
mod page;
mod service;
mod tickets;
mod user_agent;

#[cfg(test)]
pub(crate) use self::page::sources;
#[cfg(test)]
pub(crate) use self::page::{confirm_page, login_page};
pub(crate) use self::service::Login;
