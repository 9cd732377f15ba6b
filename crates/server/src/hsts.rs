//! HTTP Strict Transport Security (RFC 6797): a browser that has been here by https never tries http again.

use std::net::IpAddr;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
};
use sockeye::RequestInfo;

/// Adds the field to every answer that goes out by TLS, to us or to a trusted proxy.
pub(crate) fn protect(router: Router) -> Router {
    router.layer(middleware::from_fn(
        async |info: RequestInfo, request: Request, next: Next| {
            let mut response = next.run(request).await;
            if applies_to(&info) {
                let headers = response.headers_mut();
                headers.insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR);
            }
            response
        },
    ))
}

const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Not by http (RFC 6797 section 7.2), not for addresses (section 8.1.1), and not for what may be one service of
/// many: the rule holds for all ports of a host, so whoever is on another port than 443 has no right to make
/// it; and of `localhost` everything that its owner develops.
fn applies_to(info: &RequestInfo) -> bool {
    let origin = info.is_secure().then(|| info.origin()).flatten();
    // An origin is without the port of its scheme.
    let host = origin
        .as_deref()
        .and_then(|origin| origin.strip_prefix("https://"));
    host.is_some_and(|host| {
        let is_local = host == "localhost" || host.ends_with(".localhost");
        !is_local && !host.contains(':') && host.parse::<IpAddr>().is_err()
    })
}
