//! A client id that a token proves.

use std::{collections::HashMap, fmt, hash::BuildHasher};

use http::{StatusCode, header};

use crate::{
    handshake::{ClientId, Refusal, Request},
    server::route::identity::{identify::Identify, query_and_cookie::parameter},
};

/// Finds the client that a token belongs to: a `HashMap`, or a function that checks a signature.
pub trait Tokens: Send + Sync + 'static {
    /// Returns the client, or `None` if the token is not valid. Must not block.
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

/// Takes the client id from the bearer token of a request: from `Authorization: Bearer …` (RFC 6750 section 2.1), or
/// from the query as `?token=…`, because a browser's `WebSocket` can't set header fields.
///
/// The server answers an invalid token with 401, also on routes that let requests without a token in. Proxies write
/// queries to their logs, so tokens for the query should be short-lived.
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
    /// Lets a request without a token connect, without a client id.
    #[must_use]
    pub fn new(tokens: T) -> Self {
        Self {
            tokens,
            parameter: "token".to_owned(),
            need: Need::Optional,
        }
    }

    /// Refuses a request without a token with 401.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.need = Need::Required;
        self
    }

    /// Sets the name of the query's parameter. Default `token`.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = name.into();
        self
    }
}

impl<T: Tokens> Identify for FromToken<T> {
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal> {
        let token = match request.bearer_token() {
            Some(token) => Some(token.to_owned()),
            None => parameter(request, &self.parameter)?.filter(|token| !token.is_empty()),
        };
        // RFC 6750 section 3: no error code for a request without credentials.
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

fn unauthorized(challenge: &'static str, body: &str) -> Refusal {
    let refusal = Refusal::text(StatusCode::UNAUTHORIZED, body);
    refusal.header(header::WWW_AUTHENTICATE, challenge)
}
