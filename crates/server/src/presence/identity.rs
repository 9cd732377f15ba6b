//! Who comes to an endpoint that is open to everybody.

use axum::http::StatusCode;
use sockeye::{
    ClientId, Identify, Refusal, Request,
    identity::{FromCookie, FromQuery},
};
use uuid::Uuid;

/// The client that the query or a cookie names, `client_id`; nobody has to. It is who somebody says to be, and
/// never one of those for whom the server vouches: see [`is_made_by_the_server`].
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

/// The chat's addresses are UUIDs of version 8. Who is here under one of them has shown the secret that
/// belongs to it, so that nobody else may be here under it: the two kinds of names have nothing in common.
fn is_made_by_the_server(client: &ClientId) -> bool {
    // However it is written: people compare with their eyes.
    Uuid::try_parse(client).is_ok_and(|uuid| uuid.get_version_num() == 8)
}

/// Of the query's parameter and of the cookie.
const NAME: &str = "client_id";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Person;

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
