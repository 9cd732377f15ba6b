//! Identifies the clients of endpoints that are open to all.

use axum::http::StatusCode;
use sockeye::{
    ClientId, Identify, Refusal, Request,
    identity::{FromCookie, FromQuery},
};
use uuid::Uuid;

/// Identifies a client by the optional `client_id` in the query or a cookie. The server doesn't verify the name, so it can't be
/// one that the server has issued: see [`is_made_by_the_server`].
pub(crate) fn by_name() -> impl Identify {
    let named = FromQuery::new(NAME).or(FromCookie::new(NAME));
    move |request: &Request| match named.identify(request)? {
        Some(client) if is_made_by_the_server(&client) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST).body(format!(
                "{NAME}: a UUID of version 8 is an identity of the chat, choose another name\n"
            )))
        }
        client => Ok::<_, Refusal>(client),
    }
}

/// Returns whether the name is an address of the chat, a UUID of version 8. Only a client that has shown the address's secret
/// may be online under it.
fn is_made_by_the_server(client: &ClientId) -> bool {
    // In any notation, since people compare names by eye.
    Uuid::try_parse(client).is_ok_and(|uuid| uuid.get_version_num() == 8)
}

/// The name of the query parameter and of the cookie.
const NAME: &str = "client_id";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Person;

    #[test]
    fn a_name_is_never_an_identity_of_the_chat() {
        let address = Person::new().address().to_string();
        for made in [
            address.clone(),
            address.to_uppercase(),
            address.replace('-', ""),
            format!("{{{address}}}"),
            format!("urn:uuid:{address}"),
        ] {
            assert!(is_made_by_the_server(&made.parse().unwrap()), "{made}");
        }
        for own in [
            "ann",
            "8",
            &Uuid::new_v4().to_string(),
            &format!("{address}x"),
        ] {
            assert!(!is_made_by_the_server(&own.parse().unwrap()), "{own}");
        }
    }
}
