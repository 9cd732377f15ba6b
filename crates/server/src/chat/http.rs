//! `/socket/chat-uuid` and `/socket/get-msg`: the two questions that a page asks beside its WebSocket.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing,
};
use serde_json::{Value, json};
use sockeye::RequestInfo;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Chat, cookie::Cookies, desk::Job, person::Person, receipt::Receipt};

impl Chat {
    /// Both paths.
    pub(crate) fn router(&self, cookies: Cookies) -> Router {
        let (asked, fetched) = (self.clone(), self.clone());
        Router::new()
            .route(
                "/socket/chat-uuid",
                routing::get(move |info: RequestInfo, headers: HeaderMap| async move {
                    asked.identify(&headers, cookies.answering(&info))
                }),
            )
            .route(
                "/socket/get-msg",
                routing::get(move |info: RequestInfo, headers: HeaderMap| async move {
                    fetched.fetch(&headers, cookies.answering(&info)).await
                }),
            )
    }

    /// Who this browser is. Somebody new, if it doesn't say.
    fn identify(&self, request: &HeaderMap, cookies: Cookies) -> Response {
        if is_from_elsewhere(request) {
            return refuse(StatusCode::FORBIDDEN, "ask from a page of this site");
        }
        let person = person_of(request).unwrap_or_else(Person::new);
        if self.hand_over(Job::Issue(person)).is_err() {
            return refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "the chat is busy, try again",
            );
        }
        let data = json!({ "uuid": person.to_string(), "address": person.address() });
        let mut fields = vec![cookies.lasting(PERSON_COOKIE, &person.to_string())];
        if receipt(request).is_none() {
            let receipt = Receipt::blank(Uuid::new_v4().as_u64_pair().0).to_string();
            fields.push(cookies.lasting(RECEIPT_COOKIE, &receipt));
        }
        answer(StatusCode::OK, "ok", &data, fields)
    }

    /// What was said to this person while they were away.
    async fn fetch(&self, request: &HeaderMap, cookies: Cookies) -> Response {
        if is_from_elsewhere(request) {
            return refuse(StatusCode::FORBIDDEN, "ask from a page of this site");
        }
        let Some(person) = person_of(request) else {
            let message = "ask /socket/chat-uuid first: it sets the cookie that says who you are";
            return refuse(StatusCode::UNAUTHORIZED, message);
        };
        let (sender, receiver) = oneshot::channel();
        let receipt = receipt(request);
        let busy = || {
            refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "the chat is busy, try again",
            )
        };
        if self
            .hand_over(Job::Fetch(person, receipt.clone(), sender))
            .is_err()
        {
            return busy();
        }
        let Ok(handed) = receiver.await else {
            return busy();
        };
        let mut fields = Vec::new();
        if let (Some(mut receipt), Some(last)) = (receipt, handed.messages.last()) {
            (receipt.epoch, receipt.seq) = (handed.epoch, last.seq);
            fields.push(cookies.lasting(RECEIPT_COOKIE, &receipt.to_string()));
        }
        let data =
            json!({ "list": handed.messages, "count": handed.messages.len(), "lost": handed.lost });
        answer(StatusCode::OK, "ok", &data, fields)
    }
}

/// Who the browser's cookie says it is.
pub(crate) fn person_of(request: &HeaderMap) -> Option<Person> {
    Cookies::find(request, PERSON_COOKIE).and_then(Person::parse)
}

fn receipt(request: &HeaderMap) -> Option<Receipt> {
    Cookies::find(request, RECEIPT_COOKIE).and_then(Receipt::parse)
}

/// Whether a browser says that another site has sent it here: a link there must not fetch somebody's messages.
fn is_from_elsewhere(request: &HeaderMap) -> bool {
    let site = request.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// As the API of many a site: `code` is 0 if all is well.
fn answer(status: StatusCode, message: &str, data: &Value, cookies: Vec<HeaderValue>) -> Response {
    let code = match status {
        StatusCode::OK => 0,
        status => status.as_u16(),
    };
    let text = json!({ "code": code, "msg": message, "data": data }).to_string();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    // What was handed out to one must not come to another out of some cache, nor to the same one again.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

fn refuse(status: StatusCode, message: &str) -> Response {
    answer(status, message, &json!({}), Vec::new())
}

/// Says who somebody is.
pub(crate) const PERSON_COOKIE: &str = "chat_uuid";

/// Says what their browser has got.
const RECEIPT_COOKIE: &str = "chat_receipt";
