//! From which web pages the hub may be used over plain HTTP (CORS).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use sockeye::{Origins, RequestInfo};

/// A page that may not use the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForeignPage;

/// Returns the fields by which a browser lets the page read the answer; none for a request that no page sent. The same pages may
/// open a WebSocket.
pub(super) fn admit(
    origins: &Origins,
    headers: &HeaderMap,
    info: &RequestInfo,
) -> Result<Vec<(HeaderName, HeaderValue)>, ForeignPage> {
    let mut given = headers.get_all(header::ORIGIN).into_iter();
    let Some(origin) = given.next() else {
        return Ok(Vec::new());
    };
    // No browser sends two, and each could be meant.
    if given.next().is_some() {
        return Err(ForeignPage);
    }
    let is_admitted = match (origins, origin.to_str()) {
        (Origins::Any, _) => true,
        (_, Err(_)) => false,
        (Origins::Same, Ok(origin)) => info.is_same_origin(origin),
        (Origins::List(list), Ok(origin)) => is_listed(list, origin),
        (Origins::SameAnd(list), Ok(origin)) => {
            info.is_same_origin(origin) || is_listed(list, origin)
        }
    };
    match is_admitted {
        false => Err(ForeignPage),
        true => Ok(vec![
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            ),
            (header::VARY, HeaderValue::from_static("Origin")),
        ]),
    }
}

fn is_listed(list: &[String], origin: &str) -> bool {
    list.iter()
        .any(|listed| listed.eq_ignore_ascii_case(origin))
}
