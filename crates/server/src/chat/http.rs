//! `/socket/chat-uuid` and `/socket/get-msg`: the two questions that a page asks beside its WebSocket.

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

use super::{
    Chat,
    cookie::{Cookie, Cookies, Lifetime, SameSite},
    job::Job,
    origin::Origin,
    person::Person,
    receipt::Receipt,
    service::Refusal,
};
use crate::{
    address_rates::{AddressRates, too_many},
    query::parameters,
};

impl Chat {
    /// Both paths.
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

    /// Who this browser is. Somebody new, if it doesn't say.
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
        // The browser that shows what it has got needn't be given it again.
        if let Err(refusal) = self.hand_over(Job::Issue(person, receipt(request, cookies))) {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, refusal.message());
        }
        let data = json!({ "uuid": person.to_string(), "address": person.address() });
        let fields = vec![cookies.set(PERSON_COOKIE, &person.to_string())];
        answer(StatusCode::OK, "ok", &data, fields)
    }

    /// Who this browser is, if it shows an identity that was given out here. One that somebody made up is nobody's.
    pub(crate) async fn recognise(
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
        // Those of an older server can't be told by themselves.
        let (sender, receiver) = oneshot::channel();
        self.hand_over(Job::IsKnown(person, sender))?;
        let is_known = receiver.await.map_err(|_| Refusal::Busy)?;
        Ok(is_known.then_some(person))
    }

    /// What was said to this person while they were away. It waits until they show that they have it: by the cookie that
    /// this answer sets, or by `?after=SEQ&epoch=EPOCH`.
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
        let origin = info.client_addr().map(Origin::from);
        if let Err(refusal) = self.hand_over(Job::Fetch(person, shown, origin, sender)) {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, refusal.message());
        }
        let handed = match receiver.await {
            Ok(Some(handed)) => handed,
            Ok(None) => {
                let message = "you were given much just now: ask again in a moment";
                return refuse(StatusCode::TOO_MANY_REQUESTS, message);
            }
            Err(_) => {
                let message = "this could not be done, try again";
                return refuse(StatusCode::SERVICE_UNAVAILABLE, message);
            }
        };
        let mut fields = Vec::new();
        if handed.lost > 0 || !handed.messages.is_empty() {
            let receipt = Receipt {
                epoch: handed.epoch.clone(),
                seq: handed.seq,
            };
            fields.push(cookies.set(RECEIPT_COOKIE, &receipt.to_string()));
        }
        let data = json!({
            "list": handed.messages,
            "count": handed.messages.len(),
            "lost": handed.lost,
            "epoch": handed.epoch,
            "seq": handed.seq,
            "more": handed.has_more,
        });
        answer(StatusCode::OK, "ok", &data, fields)
    }
}

/// The answer to who gets nothing, and must change nothing: another site's page, a browser that looks ahead, or one that
/// asks for the head alone.
fn turn_away(method: &Method, request: &HeaderMap) -> Option<Response> {
    if is_from_elsewhere(request) {
        let message = "ask from a page of this site";
        return Some(refuse(StatusCode::FORBIDDEN, message));
    }
    if is_prefetch(request) {
        let message = "this is not for fetching ahead of time";
        return Some(refuse(StatusCode::SERVICE_UNAVAILABLE, message));
    }
    (method == Method::HEAD).then(|| {
        let mut response = answer(StatusCode::OK, "ok", &json!({}), Vec::new());
        // Of a length that isn't known, since nobody looked (RFC 9110 section 8.6).
        *response.body_mut() = Body::from_stream(stream::empty::<Result<String, axum::Error>>());
        response
    })
}

/// Whether a browser asks before anybody wants to see it, and may throw the answer away.
fn is_prefetch(request: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .filter_map(|name| request.get(*name)?.to_str().ok())
        .any(|purpose| {
            let purpose = purpose.to_ascii_lowercase();
            purpose.contains("prefetch") || purpose.contains("prerender") || purpose == "preview"
        })
}

/// What a query says that its page has got; `None` if it says nothing.
fn cursor(query: &str) -> Result<Option<Receipt>, String> {
    let (mut after, mut epoch) = (None, None);
    for (key, value) in parameters(query)? {
        match &*key {
            "after" => {
                let seq = value.parse();
                after = Some(seq.map_err(|_| format!("after: {value:?} is not a number"))?);
            }
            "epoch" => epoch = Some(value),
            // A page may keep caches away with a parameter of its own.
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

/// Says who somebody is. Only scripts of our own pages ask with it.
pub(crate) const PERSON_COOKIE: Cookie = Cookie {
    name: "chat_uuid",
    same_site: SameSite::Strict,
    lifetime: Lifetime::Year,
};

/// Says what their browser has got.
pub(crate) const RECEIPT_COOKIE: Cookie = Cookie {
    name: "chat_receipt",
    ..PERSON_COOKIE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_two_parts_or_none() {
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
    fn browsers_that_look_ahead_say_so() {
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
