//! `/socket/chat-uuid` and `/socket/get-msg`: the two HTTP paths beside the WebSocket.

use axum::{
    Router,
    body::Body,
    extract::RawQuery,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
    routing,
};
use futures_util::stream;
use serde_json::{Value, json};
use sockeye::RequestInfo;
use tokio::sync::oneshot;

use super::{Chat, client_network::ClientNetwork, job::Job, receipt::Receipt, service::Refusal};
use crate::{
    address_rates::{AddressRates, too_many},
    identity::{Busy, Cookies, PERSON_COOKIE, People, Person, RECEIPT_COOKIE, Recognition},
    query::parameters,
};

impl Chat {
    /// Returns the router of both paths.
    pub(crate) fn router(&self, rates: AddressRates) -> Router {
        let (asked, fetched) = (self.clone(), self.clone());
        Router::new()
            .route(
                "/socket/chat-uuid",
                routing::get(
                    move |method: Method, info: RequestInfo, headers: HeaderMap| async move {
                        match turn_away(&method, &headers) {
                            Some(response) => response,
                            None => asked.identify(&info, &headers, &rates).await,
                        }
                    },
                ),
            )
            .route(
                "/socket/get-msg",
                routing::get(
                    move |method: Method,
                          info: RequestInfo,
                          RawQuery(query): RawQuery,
                          headers: HeaderMap| async move {
                        match turn_away(&method, &headers) {
                            Some(response) => response,
                            None => {
                                let query = query.unwrap_or_default();
                                fetched.fetch(&headers, &query, &info).await
                            }
                        }
                    },
                ),
            )
    }

    /// Answers `/socket/chat-uuid` with the browser's identity, and creates one if it has none.
    async fn identify(
        &self,
        info: &RequestInfo,
        request: &HeaderMap,
        rates: &AddressRates,
    ) -> Response {
        let cookies = Cookies::of(info);
        let known = match self.recognise(request, cookies).await {
            Ok(known) => known,
            Err(refusal) => return refuse(StatusCode::SERVICE_UNAVAILABLE, refusal.message()),
        };
        if known.is_none()
            && let Err(error) = rates.identities.count(info)
        {
            return too_many(error, |status| refuse(status, &error.to_string()));
        }
        let person = known.unwrap_or_else(|| self.identities().make());
        // Messages that the browser shows to have received are not delivered again.
        if let Err(refusal) = self.submit(Job::Issue(person, receipt(request, cookies))) {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, refusal.message());
        }
        let data = json!({ "uuid": person.to_string(), "address": person.address() });
        let fields = vec![cookies.set(PERSON_COOKIE, &person.to_string())];
        answer(StatusCode::OK, "ok", &data, fields)
    }

    /// Returns the person whose cookie the request carries. An identity that this server has not issued is ignored.
    async fn recognise(
        &self,
        request: &HeaderMap,
        cookies: Cookies,
    ) -> Result<Option<Person>, Refusal> {
        let shown = cookies.find(request, PERSON_COOKIE);
        let Some(person) = shown.and_then(Person::parse) else {
            return Ok(None);
        };
        if self.identities().is_ours(person) {
            return Ok(Some(person));
        }
        // Identities of an older version carry no proof, so the processor looks them up.
        let (sender, receiver) = oneshot::channel();
        self.submit(Job::IsKnown(person, sender))?;
        let is_known = receiver.await.map_err(|_| Refusal::Busy)?;
        Ok(is_known.then_some(person))
    }

    /// Answers `/socket/get-msg` with the messages that wait for this person. They wait until the browser confirms them: by
    /// the cookie that this answer sets, or by `?after=SEQ&epoch=EPOCH`.
    async fn fetch(&self, request: &HeaderMap, query: &str, info: &RequestInfo) -> Response {
        let cookies = Cookies::of(info);
        let person = match self.recognise(request, cookies).await {
            Ok(Some(person)) => person,
            Ok(None) => {
                let message =
                    "ask /socket/chat-uuid first: it sets the cookie that says who you are";
                return refuse(StatusCode::UNAUTHORIZED, message);
            }
            Err(refusal) => return refuse(StatusCode::SERVICE_UNAVAILABLE, refusal.message()),
        };
        let shown = match cursor(query) {
            Ok(shown) => shown,
            Err(message) => return refuse(StatusCode::BAD_REQUEST, &message),
        };
        let (sender, receiver) = oneshot::channel();
        let shown = shown.or_else(|| receipt(request, cookies));
        let origin = info.client_addr().map(ClientNetwork::from);
        if let Err(refusal) = self.submit(Job::Fetch(person, shown, origin, sender)) {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, refusal.message());
        }
        let delivery = match receiver.await {
            Ok(Some(delivery)) => delivery,
            Ok(None) => {
                let message = "too much data was requested lately: ask again in a moment";
                return refuse(StatusCode::TOO_MANY_REQUESTS, message);
            }
            Err(_) => {
                let message = "this could not be done, try again";
                return refuse(StatusCode::SERVICE_UNAVAILABLE, message);
            }
        };
        let mut fields = Vec::new();
        if delivery.lost > 0 || !delivery.messages.is_empty() {
            let receipt = Receipt {
                epoch: delivery.epoch.clone(),
                seq: delivery.seq,
            };
            fields.push(cookies.set(RECEIPT_COOKIE, &receipt.to_string()));
        }
        let data = json!({
            "list": delivery.messages,
            "count": delivery.messages.len(),
            "lost": delivery.lost,
            "epoch": delivery.epoch,
            "seq": delivery.seq,
            "more": delivery.has_more,
        });
        answer(StatusCode::OK, "ok", &data, fields)
    }
}

impl People for Chat {
    fn recognise<'a>(&'a self, request: &'a HeaderMap, cookies: Cookies) -> Recognition<'a> {
        Box::pin(async move {
            let recognised = Chat::recognise(self, request, cookies).await;
            recognised.map_err(|_| Busy)
        })
    }

    fn create(&self) -> Person {
        self.identities().make()
    }
}

/// Returns the answer to requests that must change nothing: from another site's page, by a browser that prefetches, or
/// with HEAD.
fn turn_away(method: &Method, request: &HeaderMap) -> Option<Response> {
    if is_from_elsewhere(request) {
        let message = "ask from a page of this site";
        return Some(refuse(StatusCode::FORBIDDEN, message));
    }
    if is_prefetch(request) {
        let message = "this path does not serve prefetches";
        return Some(refuse(StatusCode::SERVICE_UNAVAILABLE, message));
    }
    (method == Method::HEAD).then(|| {
        let mut response = answer(StatusCode::OK, "ok", &json!({}), Vec::new());
        // A body of unknown length, so that no Content-Length is sent (RFC 9110 section 8.6).
        *response.body_mut() = Body::from_stream(stream::empty::<Result<String, axum::Error>>());
        response
    })
}

/// Returns whether a browser prefetches, and so may discard the answer.
fn is_prefetch(request: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .filter_map(|name| request.get(*name)?.to_str().ok())
        .any(|purpose| {
            let purpose = purpose.to_ascii_lowercase();
            purpose.contains("prefetch") || purpose.contains("prerender") || purpose == "preview"
        })
}

/// Parses the receipt in a query; `None` if it has none.
fn cursor(query: &str) -> Result<Option<Receipt>, String> {
    let (mut after, mut epoch) = (None, None);
    for (key, value) in parameters(query)? {
        match &*key {
            "after" => {
                let seq = value.parse();
                after = Some(seq.map_err(|_| format!("after: {value:?} is not a number"))?);
            }
            "epoch" => epoch = Some(value),
            // A page may add a parameter of its own against caches.
            _ => {}
        }
    }
    match (after, epoch) {
        (Some(seq), Some(epoch)) => Ok(Some(Receipt { epoch, seq })),
        (None, None) => Ok(None),
        _ => Err("after=SEQ and epoch=EPOCH belong together, as an answer gave them".to_owned()),
    }
}

fn receipt(request: &HeaderMap, cookies: Cookies) -> Option<Receipt> {
    let shown = cookies.find(request, RECEIPT_COOKIE);
    shown.and_then(Receipt::parse)
}

/// Returns whether another site caused the request: its link must not fetch a person's messages.
fn is_from_elsewhere(request: &HeaderMap) -> bool {
    let site = request.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// Returns an answer in JSON. `code` is 0 on success.
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
    // No cache may give the answer to another person, or to the same one again.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_in_a_query_has_two_parts_or_none() {
        assert_eq!(cursor(""), Ok(None));
        assert_eq!(cursor("_=1790000000000"), Ok(None));
        let receipt = Receipt {
            epoch: "e1".into(),
            seq: 7,
        };
        assert_eq!(cursor("after=7&epoch=e1"), Ok(Some(receipt)));
        for bad in [
            "after=7",
            "epoch=e1",
            "after=x&epoch=e1",
            "after=7&epoch=%ff",
        ] {
            assert!(cursor(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn browsers_that_prefetch_are_recognised() {
        let says = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            is_prefetch(&headers)
        };
        assert!(says("sec-purpose", "prefetch"));
        assert!(says("sec-purpose", "prefetch;prerender"));
        assert!(says("purpose", "Prefetch") && says("x-moz", "prefetch"));
        assert!(!says("sec-fetch-mode", "prefetch") && !is_prefetch(&HeaderMap::new()));
    }
}
