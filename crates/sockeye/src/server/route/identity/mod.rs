//! Ready ways to find out which client a request comes from.
//!
//! [`crate::Route::identify`] takes one of them, or any [`crate::Identify`]; [`crate::Request::client_id`] returns
//! the result.
//!
//! | | source of the client id | who can claim to be somebody else |
//! |---|---|---|
//! | [`FromQuery`] | a parameter of the query, taken as it is | anybody |
//! | [`FromCookie`] | a cookie, taken as it is | any program; not the pages of other sites |
//! | [`FromToken`] | what a [`Tokens`] returns for a bearer token | only the holder of a token |

mod identify;

mod query_and_cookie;
mod token;

pub use identify::{Identify, Or};
pub use query_and_cookie::{FromCookie, FromQuery};
pub use token::{FromToken, Tokens};

pub use crate::handshake::{BadClientId, ClientId};
