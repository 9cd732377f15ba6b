//! A client id that stands in the request as it is.

use http::StatusCode;

use crate::{
    handshake::{BadClientId, ClientId, Refusal, Request},
    server::route::identity::identify::Identify,
};

/// Takes the client id from a parameter of the query: `?client_id=ann`. Anybody can send any id, so it says who a
/// client claims to be, no more. The server answers an invalid id with 400; an empty one counts as absent.
#[derive(Clone, Debug)]
pub struct FromQuery(String);

impl FromQuery {
    /// Reads the parameter `name`, written without percent-encoding.
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

/// Takes the client id from a cookie, as it was sent. Any program can send any cookie that is not signed, so the id
/// is only worth as much as the way in which the cookie was set. The server answers an invalid id with 400; an empty
/// one counts as absent.
#[derive(Clone, Debug)]
pub struct FromCookie(String);

impl FromCookie {
    /// Reads the cookie `name`.
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

/// Returns the first parameter of that name in the query, decoded like a form's.
///
/// # Errors
///
/// The value is not UTF-8. Replacing bytes, as browsers do, would make one client of many.
pub(super) fn parameter(request: &Request, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = request.query_param_bytes(name) else {
        return Ok(None);
    };
    String::from_utf8(value).map(Some).map_err(|_| {
        let body = format!("query {name:?}: not UTF-8\n");
        Refusal::text(StatusCode::BAD_REQUEST, &body)
    })
}

fn checked(text: &str, place: &str, name: &str) -> Result<Option<ClientId>, Refusal> {
    // Forms and scripts send an empty value when there is none.
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
