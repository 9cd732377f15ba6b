//! The routes below `/api`, and the check of the API key before all of them.

use std::sync::OnceLock;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing,
};

use serde_json::{Map, Value};
use sockeye::RequestInfo;
use sockeye_hub::presence::Presence;

use super::{
    Key, answer,
    document::{Schemas, document},
    hub,
    hub::Orders,
    presence,
};
use crate::address_rates::{AddressRates, too_many};

/// Returns the router of all paths below `/api`.
pub(crate) fn router(key: Key, rates: AddressRates, presence: &Presence, orders: Orders) -> Router {
    presence::routes(presence.clone())
        .merge(hub::routes(orders))
        .route("/api/openapi.json", routing::get(openapi))
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

/// Describes all paths, for people and for programs that make clients.
async fn openapi() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        let mut schemas = Schemas::new();
        let failure = schemas.answers.subschema_for::<answer::ErrorAnswer<'_>>();
        schemas.add("api_failure", failure.to_value());
        let mut paths = hub::paths(&mut schemas);
        for (path, operations) in presence::paths(&mut schemas) {
            // `/api/presence` is an order by POST too.
            let known = paths
                .entry(path)
                .or_insert_with(|| Value::Object(Map::new()));
            if let (Value::Object(known), Value::Object(operations)) = (known, operations) {
                known.extend(operations);
            }
        }
        document(paths, schemas).to_string()
    });
    answer::text(StatusCode::OK, text.clone())
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
