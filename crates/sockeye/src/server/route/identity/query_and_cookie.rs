//! A name that stands in the request as it is.

use http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::{
    handshake::{BadClientId, ClientId, Refusal, Request},
    server::route::identity::identify::Identify,
};

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
        match parameter(request, &self.0)? {
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
///
/// # Errors
///
/// It is no UTF-8. To replace what can't be read, as browsers do, would make one name of many.
pub(super) fn parameter(request: &Request, name: &str) -> Result<Option<String>, Refusal> {
    let pairs = request.query().unwrap_or_default().split('&');
    let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let Some((_, value)) = pairs.find(|(key, _)| *decoded(key) == *name.as_bytes()) else {
        return Ok(None);
    };
    String::from_utf8(decoded(value)).map(Some).map_err(|_| {
        let body = format!("query {name:?}: not UTF-8\n");
        Refusal::text(StatusCode::BAD_REQUEST, &body)
    })
}

/// As the URL standard has it for forms: `+` is a space, and a `%` that encodes nothing is itself.
fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn named(query: &str) -> Result<Option<String>, u16> {
        let request = Request {
            uri: format!("/?{query}").parse().unwrap(),
            ..Request::default()
        };
        let found = FromQuery::new("client id").identify(&request);
        let found = found.map_err(|refusal| refusal.status().as_u16())?;
        Ok(found.map(|client| client.to_string()))
    }

    #[test]
    fn a_name_is_decoded_as_forms_are_and_must_be_utf8() {
        for (query, name) in [
            ("client+id=ann", "ann"),
            ("a=b&client%20id=a+b%2Bc&client+id=x", "a b+c"),
            ("client+id=%E9%B1%BC", "\u{9c7c}"),
            ("client+id=50%", "50%"),
            ("client+id=50%zz", "50%zz"),
        ] {
            assert_eq!(named(query), Ok(Some(name.to_owned())), "{query}");
        }
        for nobody in ["", "client+id", "client+id=", "client=ann", "%ff=ann"] {
            assert_eq!(named(nobody), Ok(None), "{nobody}");
        }
        for bad in [
            "client+id=%ff",
            "client+id=a%c3",
            "client+id=%ed%a0%80",
            "client+id=%00",
        ] {
            assert_eq!(named(bad), Err(400), "{bad}");
        }
    }
}
