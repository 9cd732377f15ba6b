//! Checks the head of a plain HTTP/1.1 request, as strictly as that of a WebSocket handshake, and finds the length of its body.

use super::{Refusal, RequestHead, Target, authority::is_authority, token};

/// How the body of a request is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// By its length in bytes; 0 if there is no body.
    Bytes(u64),
    /// By chunks (RFC 9112 section 7.1).
    Chunked,
}

impl BodyLength {
    /// Checks the head of a request that is no WebSocket handshake, and returns how its body is delimited.
    ///
    /// Stricter than RFC 9112 in one point: a request whose body has two lengths is refused, even if one of them must be ignored
    /// or both are equal, because a proxy may use the other.
    ///
    /// # Errors
    ///
    /// The request is wrong. The refusal is the response, after which the server closes the connection: 501 for a transfer
    /// coding other than `chunked`, 400 for everything else.
    pub fn check(head: &RequestHead<'_>) -> Result<Self, Refusal> {
        check_target(head)?;
        check_host(head)?;
        length_of(head)
    }
}

/// RFC 9112 section 3.2: the method decides which form of target is right.
fn check_target(head: &RequestHead<'_>) -> Result<(), Refusal> {
    let is_right = match head.method {
        "CONNECT" => is_authority(head.target),
        "OPTIONS" if head.target == "*" => true,
        _ => Target::parse(head.target).is_some(),
    };
    match is_right {
        true => Ok(()),
        false => Err(Refusal::bad_request("the request target is malformed\n")),
    }
}

/// RFC 9112 section 3.2: 400 if `Host` is missing, repeated or malformed, even if an absolute target replaces it. HTTP/1.0 needs
/// none.
pub(super) fn check_host(head: &RequestHead<'_>) -> Result<(), Refusal> {
    let mut hosts = head.headers("Host");
    let is_right = match (hosts.next(), hosts.next()) {
        (Some(host), None) => core::str::from_utf8(host).is_ok_and(is_authority),
        (None, _) => head.version_minor == 0,
        (Some(_), Some(_)) => false,
    };
    match is_right {
        true => Ok(()),
        false => Err(Refusal::bad_request(
            "Host must be given once, and be valid\n",
        )),
    }
}

fn length_of(head: &RequestHead<'_>) -> Result<BodyLength, Refusal> {
    let mut lengths = head.headers("Content-Length");
    let length = lengths.next();
    let has_more = lengths.next().is_some();
    let is_coded = head.headers("Transfer-Encoding").next().is_some();
    match (length, is_coded) {
        (None, false) => Ok(BodyLength::Bytes(0)),
        (Some(length), false) if !has_more => match decimal(length) {
            Some(length) => Ok(BodyLength::Bytes(length)),
            None => Err(Refusal::bad_request("Content-Length must be a number\n")),
        },
        (Some(_), _) => Err(Refusal::bad_request(
            "a request body must have one length\n",
        )),
        // RFC 9112 section 6.1: a coding in HTTP/1.0 has passed a proxy that doesn't know it.
        (None, true) if head.version_minor == 0 => {
            Err(Refusal::bad_request("HTTP/1.0 has no transfer codings\n"))
        }
        (None, true) => {
            let mut codings = token::elements(head.headers("Transfer-Encoding"));
            match (codings.next(), codings.next()) {
                (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => {
                    Ok(BodyLength::Chunked)
                }
                _ => Err(Refusal::new(
                    501,
                    "the only supported transfer coding is chunked\n",
                )),
            }
        }
    }
}

/// Parses digits alone: no sign, no list, no white space.
fn decimal(value: &[u8]) -> Option<u64> {
    let is_decimal = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(value).ok().filter(|_| is_decimal)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::Limits;

    fn check(line: &str, fields: &str) -> Result<BodyLength, u16> {
        let text = format!("{line}\r\n{fields}\r\n");
        let (head, _) = RequestHead::parse(text.as_bytes(), &Limits::default())
            .unwrap()
            .unwrap();
        BodyLength::check(&head).map_err(|refusal| refusal.status)
    }

    #[test]
    fn body_has_one_length_or_none() {
        let host = "Host: a\r\n";
        for (fields, expected) in [
            ("", Ok(BodyLength::Bytes(0))),
            ("Content-Length: 12\r\n", Ok(BodyLength::Bytes(12))),
            ("Transfer-Encoding: Chunked\r\n", Ok(BodyLength::Chunked)),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", Err(400)),
            ("Content-Length: 1, 1\r\n", Err(400)),
            ("Content-Length: +1\r\n", Err(400)),
            ("Content-Length:\r\n", Err(400)),
            ("Content-Length: 99999999999999999999\r\n", Err(400)),
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                Err(400),
            ),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(501),
            ),
            ("Transfer-Encoding: identity\r\n", Err(501)),
            ("Transfer-Encoding:\r\n", Err(501)),
        ] {
            let fields = format!("{host}{fields}");
            assert_eq!(check("POST / HTTP/1.1", &fields), expected, "{fields}");
        }
        let coded = "Transfer-Encoding: chunked\r\n";
        assert_eq!(check("POST / HTTP/1.0", coded), Err(400));
    }

    #[test]
    fn host_is_there_once_and_is_one() {
        for (fields, is_right) in [
            ("Host: a.example:81\r\n", true),
            ("", false),
            ("Host: a\r\nHost: a\r\n", false),
            ("Host: a b\r\n", false),
            ("Host: a@b\r\n", false),
            ("Host: http://x\r\n", false),
            ("Host: a/../b\r\n", false),
            ("Host: a:b\r\n", false),
            ("Host:\r\n", false),
        ] {
            assert_eq!(
                check("GET / HTTP/1.1", fields).is_ok(),
                is_right,
                "{fields}"
            );
        }
        assert!(check("GET / HTTP/1.0", "").is_ok());
        assert!(check("GET / HTTP/1.0", "Host: a b\r\n").is_err());
    }

    #[test]
    fn target_has_the_form_that_belongs_to_its_method() {
        for (line, is_right) in [
            ("GET /?50% HTTP/1.1", true),
            ("GET http://a.example/x HTTP/1.1", true),
            ("OPTIONS * HTTP/1.1", true),
            ("CONNECT a.example:443 HTTP/1.1", true),
            ("GET * HTTP/1.1", false),
            ("GET a.example:443 HTTP/1.1", false),
            ("GET http://u@a.example/ HTTP/1.1", false),
            ("CONNECT /x HTTP/1.1", false),
            ("GET /#x HTTP/1.1", false),
        ] {
            assert_eq!(check(line, "Host: a\r\n").is_ok(), is_right, "{line}");
        }
    }
}
