//! Checks the host and the target of a request over HTTP/2.

use http::{Request, StatusCode, header, uri::Authority};
use sockeye_proto::handshake::{Target, is_authority};

use crate::handshake::refusal::Refusal;

/// Checks a request over HTTP/2 by the rules of HTTP/1.1: one host, well-formed and without a user name, and a
/// well-formed target (RFC 9113 section 8.3.1).
///
/// # Errors
///
/// 400: the host is missing or malformed, `Host` differs from `:authority`, or the path is malformed.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let authority = request.uri().authority().map(Authority::as_str);
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let is_host_right = match (authority, hosts.next(), hosts.next()) {
        (_, _, Some(_)) | (None, None, None) => false,
        (Some(authority), None, None) => is_authority(authority),
        (Some(authority), Some(host), None) => {
            is_authority(authority) && host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())
        }
        (None, Some(host), None) => host.to_str().is_ok_and(is_authority),
    };
    if !is_host_right {
        return Err(malformed("the host must be there once, and be one\n"));
    }
    let target = request.uri().path_and_query();
    match target.is_none_or(|target| target == "*" || Target::parse(target.as_str()).is_some()) {
        true => Ok(()),
        false => Err(malformed("the request target is malformed\n")),
    }
}

fn malformed(text: &str) -> Refusal {
    Refusal::text(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(uri: &str, hosts: &[&str]) -> bool {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn host_is_named_once_and_is_one() {
        for (uri, hosts, expected) in [
            ("http://a.example/x?50%", &[][..], true),
            ("http://a.example:81/", &["A.example:81"], true),
            ("/x", &["a.example"], true),
            ("http://a.example/", &["b.example"], false),
            ("http://a.example/", &["a.example", "a.example"], false),
            ("http://user@a.example/", &[], false),
            ("/x", &[], false),
            ("/x", &["a b"], false),
            ("/x", &["a@b"], false),
        ] {
            assert_eq!(is_taken(uri, hosts), expected, "{uri} {hosts:?}");
        }
    }
}
