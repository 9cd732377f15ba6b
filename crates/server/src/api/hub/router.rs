//! The paths of orders.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    execute::{METHODS, Orders},
    result::{Empty, Reply},
};
use crate::api::answer;

/// Returns the routes of all orders.
pub(crate) fn routes(orders: Orders) -> Router {
    let mut router = Router::new().route("/api", routing::post(lines));
    for method in METHODS {
        let answer = move |State(orders): State<Orders>, headers: HeaderMap, body: Bytes| async move {
            one(&orders, method, &headers, &body).await
        };
        router = router.route(&format!("/api/{method}"), routing::post(answer));
    }
    router.with_state(orders)
}

/// Answers one order: `{"result": …}` or `{"error": …}`, with status 200 unless the back end asks for another.
async fn one(orders: &Orders, method: &str, headers: &HeaderMap, body: &[u8]) -> Response {
    let params: Result<&RawValue, _> = match body.is_empty() {
        true => Ok(RawValue::NULL),
        false => serde_json::from_slice(body),
    };
    let params = match params {
        // Nothing and null are an order without parameters.
        Ok(params) if params.get() == "null" => no_parameters(),
        Ok(params) => params.to_owned(),
        Err(_) => return not_json(),
    };
    match orders.execute(method, &params).await {
        // The replies of a batch stand alone.
        Ok(result) if method == "batch" => answer::json(StatusCode::OK, &result),
        Ok(result) => answer::json(StatusCode::OK, &Reply::Result { result }),
        Err(failure) => {
            let by_status = headers
                .get("x-centrifugo-error-mode")
                .is_some_and(|mode| mode == "transport");
            let status = if by_status {
                failure.status()
            } else {
                StatusCode::OK
            };
            answer::json(status, &Reply::<Empty>::Error { error: failure })
        }
    }
}

/// An order of the older form.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Option<Box<RawValue>>,
}

/// Lines in one request of the older form.
const LINES_MAX: usize = 10_000;

/// Answers orders of the older form, one on each line, by one answer on each line. The last line has no end: clients split the
/// text at the ends of lines.
async fn lines(State(orders): State<Orders>, body: Bytes) -> Response {
    let lines = serde_json::Deserializer::from_slice(&body).into_iter::<Line>();
    let mut text = String::new();
    let mut count = 0;
    for order in lines {
        count += 1;
        let Ok(Line { method, params }) = order else {
            return not_json();
        };
        if count > LINES_MAX {
            return not_json();
        }
        let params = params.unwrap_or_else(no_parameters);
        let reply = match orders.execute(&method, &params).await {
            Ok(result) => Reply::Result { result },
            Err(error) => Reply::Error { error },
        };
        if count > 1 {
            text.push('\n');
        }
        answer::write(&reply, &mut text);
    }
    match count {
        0 => not_json(),
        _ => answer::text(StatusCode::OK, text),
    }
}

fn no_parameters() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

fn not_json() -> Response {
    answer::error(
        StatusCode::BAD_REQUEST,
        "bad_request",
        "the body is not the JSON of an order",
    )
}
