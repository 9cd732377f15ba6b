//! HTTP Strict Transport Security (RFC 6797): browsers that came by https don't use http any more.

use std::net::IpAddr;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
};
use sockeye::RequestInfo;

/// Adds the field to all answers that reach the client by TLS, from this server or a trusted proxy.
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

/// Returns whether the field may be sent: not by http (RFC 6797 section 7.2) and not for IP addresses (section 8.1.1). It would
/// hold for all ports of a host, so it is sent on port 443 only, and never for `localhost`, where other programs are developed.
fn applies_to(info: &RequestInfo) -> bool {
    let origin = info.is_secure().then(|| info.origin()).flatten();
    // An origin has no port if that is its scheme's default.
    let host = origin
        .as_deref()
        .and_then(|origin| origin.strip_prefix("https://"));
    host.is_some_and(|host| {
        let is_local = host == "localhost" || host.ends_with(".localhost");
        !is_local && !host.contains(':') && host.parse::<IpAddr>().is_err()
    })
}
