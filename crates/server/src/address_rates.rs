//! Rate limits of each client address for expensive requests.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use sockeye::{AddressLimits, AddressRateLimiter, Rate, Refusal, RequestInfo, RetryAfter};

use crate::config::{Config, Switch};

/// Rate limits of each client address for expensive requests. Cheap to clone; clones share their counts.
///
/// `count(&info)` before it is done; of a [`RetryAfter`] a [`Refusal`] is made, 429, or an answer by
/// [`too_many`].
#[derive(Clone, Debug)]
pub(crate) struct AddressRates {
    /// Requests that change something, of all paths: [`limit_posts`] counts them, nobody else has to.
    posts: AddressRateLimiter,
    /// Identities that the server makes, by the chat or the login.
    pub(crate) identities: AddressRateLimiter,
    /// Codes that the login shows.
    pub(crate) tickets: AddressRateLimiter,
    /// Keys and tokens that are wrong. `check` before one is looked at, `count` if it is wrong.
    pub(crate) wrong_keys: AddressRateLimiter,
}

impl AddressRates {
    pub(crate) fn new(config: &Config) -> Self {
        let limiter = |rate| match config.address_limits {
            Switch::On => AddressRateLimiter::new(rate),
            Switch::Off => AddressRateLimiter::off(),
        };
        Self {
            posts: limiter(Rate::per_minute(config.address_posts_per_minute.0)),
            identities: limiter(Rate::per_hour(config.address_identities_per_hour.0)),
            tickets: limiter(Rate::per_minute(config.address_tickets_per_minute.0)),
            wrong_keys: limiter(Rate::per_minute(config.address_wrong_keys_per_minute.0)),
        }
    }
}

/// Those that the library keeps.
pub(crate) fn limits(config: &Config) -> AddressLimits {
    if config.address_limits == Switch::Off {
        return AddressLimits::off();
    }
    let per_second = config.address_handshakes_per_second.0;
    let mut limits = AddressLimits::default();
    limits.connections_max = config.address_connections_max.0;
    limits.handshakes =
        Some(Rate::per_second(per_second).burst(per_second.saturating_mul(BURST_SECONDS)));
    let exempt = config.address_exempt.iter();
    limits.exempt = exempt.map(|network| network.0.clone()).collect();
    limits
}

/// The answer to an address that does it too often: 429 (RFC 6585 section 4) with `Retry-After`, whose body `answer`
/// makes, in the words of the path's own API.
pub(crate) fn too_many(error: RetryAfter, answer: impl FnOnce(StatusCode) -> Response) -> Response {
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS);
    let secs = HeaderValue::from(error.as_secs());
    response.headers_mut().insert(header::RETRY_AFTER, secs);
    response
}

/// Counts POST requests before they reach any page or API.
pub(crate) async fn limit_posts(
    State(rates): State<AddressRates>,
    info: RequestInfo,
    request: Request,
    next: Next,
) -> Response {
    // RFC 9110 section 9.2.1.
    if !request.method().is_safe()
        && let Err(error) = rates.posts.count(&info)
    {
        return Refusal::from(error).into_response();
    }
    next.run(request).await
}

/// Seconds' worth of handshakes that may come at once: all clients behind one address reconnect together after a restart of the
/// server.
const BURST_SECONDS: u32 = 20;
