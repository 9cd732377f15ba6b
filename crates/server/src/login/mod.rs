//! Login by QR code: a browser shows a code, a phone that is somebody scans it and says yes, and the browser, told over
//! its WebSocket, is that person too.
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
//! Three secrets, each good for one thing: the ticket, which anybody in sight of the screen can have, lets a phone ask who
//! is asking; the code, which only the browser's own socket hears, lets it take the session, and only together with the
//! browser's cookie. Whoever photographs the screen has the first and can do no more than log in *their own* identity.

mod agent;
mod key;
mod page;
mod picture;
mod service;
mod tickets;
mod waiting;

#[cfg(test)]
pub(crate) use self::page::sources;
#[cfg(test)]
pub(crate) use self::page::{confirm_page, login_page};
pub(crate) use self::service::Login;
