//! A name that stands in the request as it is.

use http::StatusCode;
use url::form_urlencoded;

use super::{BadClientId, ClientId, Identify};
use crate::{Refusal, Request};

/// The client that the query names: `?client_id=ann`. Anybody can say it, so it tells who somebody wants to
/// be, no more. A name that is none is answered with 400.
#[derive(Clone, Debug)]
pub struct FromQuery(String);

impl FromQuery {
    /// `name` is the parameter's, not encoded.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl Identify for FromQuery {
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal> {
        match parameter(request, &self.0) {
            Some(text) => checked(&text, "query", &self.0),
            None => Ok(None),
        }
    }
}

/// The client that a cookie names, as it was sent. It is worth as much as the way in which it was set: a
/// cookie that isn't signed can be made by its owner. A name that is none is answered with 400.
#[derive(Clone, Debug)]
pub struct FromCookie(String);

impl FromCookie {
    /// `name` is the cookie's.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl Identify for FromCookie {
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal> {
        match request.cookie(&self.0) {
            Some(text) => checked(&text, "cookie", &self.0),
            None => Ok(None),
        }
    }
}

/// The first parameter of that name in the query, decoded as a form is.
pub(super) fn parameter(request: &Request, name: &str) -> Option<String> {
    let query = request.query()?.as_bytes();
    let mut pairs = form_urlencoded::parse(query);
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}

fn checked(text: &str, place: &str, name: &str) -> Result<Option<ClientId>, Refusal> {
    // An empty value is how forms and scripts say that there is none.
    if text.is_empty() {
        return Ok(None);
    }
    match ClientId::new(text) {
        Ok(client) => Ok(Some(client)),
        Err(error @ BadClientId) => {
            let body = format!("{place} {name:?}: {error}\n");
            Err(Refusal::text(StatusCode::BAD_REQUEST, &body))
        }
    }
}
