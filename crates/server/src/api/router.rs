//! The routes below `/api`, and the check of the API key before all of them.

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing,
};

use sockeye::RequestInfo;
use sockeye_hub::{Node, presence::Presence};

use super::{Key, answer, hub, presence};
use crate::address_rates::{AddressRates, too_many};

/// Returns the router of all paths below `/api`.
pub(crate) fn router(key: Key, rates: AddressRates, presence: &Presence, node: Node) -> Router {
    presence::routes(presence.clone())
        .merge(hub::routes(node))
        .method_not_allowed_fallback(wrong_method)
        .route("/api/{*path}", routing::any(unknown))
        .route_layer(middleware::from_fn_with_state((key, rates), ask_for_key))
}

async fn ask_for_key(
    State((key, rates)): State<(Key, AddressRates)>,
    info: RequestInfo,
    request: Request,
    next: Next,
) -> Response {
    // Before the key is compared, so that it can't be found by trying.
    if let Err(error) = rates.wrong_keys.check(&info) {
        return too_many(error, |status| {
            answer::error(status, "too_many_requests", &error.to_string())
        });
    }
    if key.is_shown(request.headers(), request.uri().query().unwrap_or_default()) {
        return next.run(request).await;
    }
    // If the limit was reached meanwhile, the next request is refused.
    let _ = rates.wrong_keys.count(&info);
    answer::error(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "show the server's API key in the header field X-API-Key",
    )
}

async fn wrong_method() -> Response {
    answer::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "this path of the API is asked in another way, see Allow",
    )
}

async fn unknown() -> Response {
    answer::error(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "the API has nothing on this path",
    )
}
