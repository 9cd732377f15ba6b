//! Who comes to an endpoint that is open to everybody.

use sockeye::{
    Identify,
    identity::{FromCookie, FromQuery},
};

/// The client that the query or a cookie names, `client_id`; nobody has to. It is who somebody says to be.
pub(crate) fn by_name() -> impl Identify {
    FromQuery::new(NAME).or(FromCookie::new(NAME))
}

/// Of the query's parameter and of the cookie.
const NAME: &str = "client_id";
