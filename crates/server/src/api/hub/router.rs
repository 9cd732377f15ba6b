//! The paths of orders.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sockeye_hub::ErrorCode;

use super::{
    execute::Orders,
    failure::Failure,
    order::{METHODS, Order},
    result::{Empty, OrderResult, Reply},
    room::AnswerRoom,
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
    let order = serde_json::from_slice(body).map(|params| Order::read(method, params));
    let Ok(Ok(order)) = order else {
        return not_json();
    };
    let room = AnswerRoom::new(&orders.budget);
    match orders.execute(order, &room).await {
        Ok(result) => {
            let mut text = Vec::new();
            match method {
                // The replies of a batch stand alone.
                "batch" => answer::write(&result, &mut text),
                _ => answer::write(&Reply::Result { result }, &mut text),
            }
            text.push(b'\n');
            room.answer(text)
        }
        Err(failure) => {
            let by_status = headers
                .get("x-centrifugo-error-mode")
                .is_some_and(|mode| mode == "transport");
            match by_status {
                true => answer::json(failure.status(), &failure),
                false => answer::json(StatusCode::OK, &Reply::<Empty>::Error { error: failure }),
            }
        }
    }
}

/// An order of the older form. A number that comes with it is sent back.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: u32,
    #[serde(default)]
    method: Option<String>,
    #[serde(default, deserialize_with = "given")]
    params: Option<Box<RawValue>>,
}

impl Line {
    /// Reads an object. A list would be taken for its values.
    fn read(json: &RawValue) -> Option<Self> {
        let object = json.get().starts_with('{').then_some(json.get())?;
        serde_json::from_str(object).ok()
    }
}

/// The answer to such an order.
#[derive(Serialize)]
struct LineReply {
    #[serde(skip_serializing_if = "is_zero")]
    id: u32,
    #[serde(flatten)]
    reply: Reply<OrderResult>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(id: &u32) -> bool {
    *id == 0
}

/// Reads parameters; `null` is not the same as none.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

/// Lines in one request of the older form.
const LINES_MAX: usize = 10_000;

/// Answers orders of the older form, one on each line, by one answer on each line. The last line has no end: clients split
/// the text at the ends of lines.
async fn lines(State(orders): State<Orders>, body: Bytes) -> Response {
    let lines = serde_json::Deserializer::from_slice(&body).into_iter::<&RawValue>();
    let mut text = Vec::new();
    let mut count = 0;
    let room = AnswerRoom::new(&orders.budget);
    for line in lines {
        count += 1;
        let Some((id, order)) = line.ok().and_then(Line::read).and_then(order_of) else {
            return not_json();
        };
        if count > LINES_MAX {
            return not_json();
        }
        let reply = match order {
            Ok(order) => orders.execute(order, &room).await,
            Err(failure) => Err(failure),
        };
        let reply = match reply {
            Ok(result) => Reply::Result { result },
            Err(error) => Reply::Error { error },
        };
        if count > 1 {
            text.push(b'\n');
        }
        answer::write(&LineReply { id, reply }, &mut text);
    }
    match count {
        0 => not_json(),
        _ => room.answer(text),
    }
}

/// Returns the order of a line; `None` if its name is none of this form's, which knows no batch. Without a name it is a
/// publication.
fn order_of(line: Line) -> Option<(u32, Result<Order, Failure>)> {
    let method = line
        .method
        .map_or("publish".to_owned(), |name| name.to_lowercase());
    if method == "batch" || !METHODS.contains(&&*method) {
        return None;
    }
    let order = line.params.map(|params| Order::read(&method, &params));
    let order = match order {
        Some(Ok(order)) => Ok(order),
        _ => Err(ErrorCode::BadRequest.into()),
    };
    Some((line.id, order))
}

fn not_json() -> Response {
    answer::error(
        StatusCode::BAD_REQUEST,
        "bad_request",
        "the body is not the JSON of an order",
    )
}
