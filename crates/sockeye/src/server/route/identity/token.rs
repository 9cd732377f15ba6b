//! A name that somebody vouches for.

use std::{collections::HashMap, fmt, hash::BuildHasher};

use http::{StatusCode, header};

use crate::{
    handshake::{ClientId, Refusal, Request},
    server::route::identity::{identify::Identify, query_and_cookie::parameter},
};

/// Whose a token is: a table, or a function that checks a signature.
pub trait Tokens: Send + Sync + 'static {
    /// The client; `None` if the token is not valid. Must not block.
    fn client(&self, token: &str) -> Option<ClientId>;
}

impl<F> Tokens for F
where
    F: Fn(&str) -> Option<ClientId> + Send + Sync + 'static,
{
    fn client(&self, token: &str) -> Option<ClientId> {
        self(token)
    }
}

impl<S: BuildHasher + Send + Sync + 'static> Tokens for HashMap<String, ClientId, S> {
    fn client(&self, token: &str) -> Option<ClientId> {
        self.get(token).cloned()
    }
}

/// The client whose token the request shows: in `Authorization: Bearer …` (RFC 6750 section 2.1), or in the
/// query as `?token=…`, since a browser's `WebSocket` can set no header field.
///
/// A token that nobody has is answered with 401, also where one without a token may come in. What stands in a
/// query ends up in logs of proxies, so tokens for it should be short-lived.
#[derive(Clone)]
pub struct FromToken<T> {
    tokens: T,
    parameter: String,
    need: Need,
}

#[derive(Clone, Copy, Debug)]
enum Need {
    Optional,
    Required,
}

impl<T: Tokens> FromToken<T> {
    /// Who shows no token is nobody, and comes in.
    #[must_use]
    pub fn new(tokens: T) -> Self {
        Self {
            tokens,
            parameter: "token".to_owned(),
            need: Need::Optional,
        }
    }

    /// Who shows no token is answered with 401.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.need = Need::Required;
        self
    }

    /// The name of the query's parameter. Default `token`.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = name.into();
        self
    }
}

impl<T: Tokens> Identify for FromToken<T> {
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal> {
        let token = match bearer(request) {
            Some(token) => Some(token.to_owned()),
            None => parameter(request, &self.parameter)?.filter(|token| !token.is_empty()),
        };
        // RFC 6750 section 3: no error code for who showed nothing.
        match (token, self.need) {
            (Some(token), _) => match self.tokens.client(&token) {
                Some(client) => Ok(Some(client)),
                None => Err(unauthorized(
                    "Bearer error=\"invalid_token\"",
                    "this token is not valid\n",
                )),
            },
            (None, Need::Optional) => Ok(None),
            (None, Need::Required) => Err(unauthorized("Bearer", "a token is needed\n")),
        }
    }
}

impl<T> fmt::Debug for FromToken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromToken")
            .field("parameter", &self.parameter)
            .field("need", &self.need)
            .finish_non_exhaustive()
    }
}

/// RFC 9110 section 11.1: the scheme's name in any case.
fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unauthorized(challenge: &'static str, body: &str) -> Refusal {
    let refusal = Refusal::text(StatusCode::UNAUTHORIZED, body);
    refusal.header(header::WWW_AUTHENTICATE, challenge)
}
