//! A request that asks for a WebSocket and has been checked.

use std::net::SocketAddr;

use http::{
    Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header, uri::PathAndQuery,
};
use sockeye_proto::handshake::{Header, RequestHead, ServerHandshake, Target};

use crate::handshake::{
    authority::check as check_authority, fields::Fields, refusal::Refusal, request::Request,
    tls::Tls,
};

/// A request that asks for a WebSocket and has been checked, over HTTP/1.1 or HTTP/2.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) request: Request,
    pub(crate) handshake: ServerHandshake,
}

impl Incoming {
    /// Checks a request over HTTP/1.1 whose head this crate has parsed.
    pub(crate) fn from_head(
        head: &RequestHead<'_>,
        peer_addr: Option<SocketAddr>,
        tls: Tls,
    ) -> Result<Self, Refusal> {
        let handshake = ServerHandshake::check(head)?;
        let (uri, authority) = split_target(head.target)?;
        let fields = Fields::pack(&head.headers, authority.as_deref())
            .ok_or_else(|| malformed("a field cannot be read\n"))?;
        Ok(Self {
            request: Request {
                method: Method::GET,
                uri,
                fields,
                peer_addr,
                tls: tls == Tls::Yes,
                subprotocols: handshake.subprotocols().to_vec(),
                ..Request::default()
            },
            handshake,
        })
    }

    /// Checks a request that an HTTP library has parsed. Keeps its extensions.
    pub(crate) fn from_http<B>(
        request: &http::Request<B>,
        peer_addr: Option<SocketAddr>,
        tls: Tls,
    ) -> Result<Self, Refusal> {
        let is_http2 = request.version() == Version::HTTP_2;
        let target = match (is_http2, request.uri().scheme()) {
            // Over HTTP/1.1 a scheme means absolute-form; over HTTP/2 every request has one.
            (false, Some(_)) => request.uri().to_string(),
            _ => path_and_query(request.uri()).to_owned(),
        };
        let handshake = match is_http2 {
            true => check_http2(request)?,
            false => ServerHandshake::check(&head_of(request, &target))?,
        };
        let (uri, authority) = split_target(&target)?;
        let authority = match is_http2 {
            // RFC 9113 section 8.3.1: `:authority` takes the place of Host.
            true => request.uri().authority().map(ToString::to_string),
            false => authority,
        };
        let mut headers = request.headers().clone();
        replace_host(&mut headers, authority.as_deref());
        Ok(Self {
            request: Request {
                method: request.method().clone(),
                uri,
                fields: headers.into(),
                peer_addr,
                tls: tls == Tls::Yes,
                subprotocols: handshake.subprotocols().to_vec(),
                extensions: request.extensions().clone(),
                ..Request::default()
            },
            handshake,
        })
    }
}

/// Checks that an extended CONNECT names its protocol (RFC 8441 section 4).
fn check_http2<B>(request: &http::Request<B>) -> Result<ServerHandshake, Refusal> {
    if *request.method() != Method::CONNECT {
        let text = "over HTTP/2 a WebSocket is opened by an extended CONNECT\n";
        return Err(Refusal::text(StatusCode::METHOD_NOT_ALLOWED, text)
            .header(header::ALLOW, HeaderValue::from_static("CONNECT")));
    }
    if protocol(request.extensions()) != Some("websocket") {
        let text = "the only protocol of an extended CONNECT here is websocket\n";
        return Err(Refusal::text(StatusCode::NOT_IMPLEMENTED, text));
    }
    check_authority(request)?;
    let fields = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    Ok(ServerHandshake::check_connect(fields)?)
}

/// Returns the value of `:protocol`. hyper and h2 each have a type for it.
#[cfg(feature = "http2")]
fn protocol(extensions: &Extensions) -> Option<&str> {
    let told_by_h2 = || {
        extensions
            .get::<h2::ext::Protocol>()
            .map(h2::ext::Protocol::as_str)
    };
    let told_by_hyper = extensions
        .get::<hyper::ext::Protocol>()
        .map(hyper::ext::Protocol::as_str);
    told_by_hyper.or_else(told_by_h2)
}

#[cfg(not(feature = "http2"))]
fn protocol(_extensions: &Extensions) -> Option<&str> {
    None
}

fn head_of<'a, B>(request: &'a http::Request<B>, target: &'a str) -> RequestHead<'a> {
    let headers = request.headers().iter().map(|(name, value)| Header {
        name: name.as_str(),
        value: value.as_bytes(),
    });
    RequestHead {
        method: request.method().as_str(),
        target,
        version_minor: u8::from(request.version() == Version::HTTP_11),
        headers: headers.collect(),
    }
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// Returns the target in origin-form, and the authority of a target in absolute-form.
fn split_target(target: &str) -> Result<(Uri, Option<String>), Refusal> {
    let target = Target::parse(target).ok_or_else(|| malformed("the target is malformed\n"))?;
    let path_and_query = PathAndQuery::try_from(target.path_and_query.as_ref())
        .map_err(|_| malformed("the target is malformed\n"))?;
    Ok((path_and_query.into(), target.authority.map(str::to_owned)))
}

/// Replaces `Host` by the authority of the target (RFC 9112 section 3.2.2).
fn replace_host(headers: &mut HeaderMap, authority: Option<&str>) {
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        headers.insert(header::HOST, host);
    }
}

fn malformed(text: &str) -> Refusal {
    Refusal::text(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_that_the_handshake_takes_is_a_uri() {
        for byte in b' '..=b'~' {
            let byte = char::from(byte);
            for target in [
                format!("/{byte}"),
                format!("/a?{byte}"),
                format!("//{byte}"),
            ] {
                if let Some(parsed) = Target::parse(&target) {
                    let (uri, _) = split_target(&target).expect(&target);
                    assert_eq!(path_and_query(&uri), parsed.path_and_query, "{target}");
                }
            }
        }
    }

    #[test]
    fn authority_of_an_absolute_target_replaces_host() {
        let request = http::Request::get("http://b.example:81/x?y")
            .header("host", "a.example")
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .unwrap();
        let incoming = Incoming::from_http(&request, None, Tls::No).unwrap();
        assert_eq!(incoming.request.uri(), "/x?y");
        assert_eq!(incoming.request.headers()["host"], "b.example:81");
    }
}
