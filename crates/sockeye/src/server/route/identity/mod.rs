//! Who a request comes from: ready ways to tell.
//!
//! [`crate::Route::identify`] takes one of them, or any [`crate::Identify`]; the endpoint finds what it found in
//! [`crate::Request::client_id`].
//!
//! | | where the name comes from | who could lie |
//! |---|---|---|
//! | [`FromQuery`] | the query, as it stands there | everybody |
//! | [`FromCookie`] | a cookie, as it stands there | everybody but pages of other sites |
//! | [`FromToken`] | what a [`Tokens`] says of a bearer token | nobody without a token |

mod identify;
mod query_and_cookie;
mod token;

pub use identify::{Identify, Or};
pub use query_and_cookie::{FromCookie, FromQuery};
pub use token::{FromToken, Tokens};

pub use crate::handshake::{BadClientId, ClientId};
