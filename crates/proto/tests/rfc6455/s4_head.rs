//! RFC 6455 section 4.2.1 demands "an HTTP/1.1 or higher GET request": RFC 9112, read strictly.

use proptest::prelude::*;
use sockeye_proto::Limits;
use sockeye_proto::handshake::{HeadError, Refusal, RequestHead, ResponseHead};

const REQUEST: &[u8] =
    b"GET /chat?x=%20 HTTP/1.1\r\nHost: a.example:80\r\nX-Empty:\r\nX-Padded: \t b c \t\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

fn parse(bytes: &[u8]) -> Result<Option<(RequestHead<'_>, usize)>, HeadError> {
    RequestHead::parse(bytes, &Limits::default())
}

fn error_of(text: &str) -> HeadError {
    parse(text.as_bytes()).expect_err(text)
}

#[test]
fn server_reads_a_head_and_leaves_what_follows() {
    let mut bytes = REQUEST.to_vec();
    bytes.extend_from_slice(b"\x81\x80\0\0\0\0\r\n\r\n\n");
    let (head, read) = parse(&bytes).unwrap().unwrap();
    assert_eq!(read, REQUEST.len());
    assert_eq!(
        (head.method, head.target, head.version_minor),
        ("GET", "/chat?x=%20", 1)
    );
    assert_eq!(head.headers.len(), 3);
    assert_eq!(head.header("host"), Some(&b"a.example:80"[..]));
    assert_eq!(head.header("X-EMPTY"), Some(&b""[..]));
    assert_eq!(head.header("x-padded"), Some(&b"b c"[..]));
    assert_eq!(head.header("absent"), None);
}

#[test]
fn client_reads_a_head_and_leaves_what_follows() {
    let mut bytes = RESPONSE.to_vec();
    bytes.extend_from_slice(b"\x81\0\n\n");
    let (head, read) = ResponseHead::parse(&bytes, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(read, RESPONSE.len());
    assert_eq!(
        (head.version_minor, head.status, head.reason),
        (1, 101, "Switching Protocols")
    );
    assert_eq!(head.header("UPGRADE"), Some(&b"websocket"[..]));
}

#[test]
fn server_takes_empty_lines_before_the_request() {
    let mut bytes = b"\r\n\r\n".to_vec();
    bytes.extend_from_slice(REQUEST);
    for cut in 0..bytes.len() {
        assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
    }
    let (head, read) = parse(&bytes).unwrap().unwrap();
    assert_eq!((head.target, read), ("/chat?x=%20", bytes.len()));
}

#[test]
fn server_waits_for_the_rest_of_any_prefix() {
    for cut in 0..REQUEST.len() {
        assert_eq!(parse(&REQUEST[..cut]), Ok(None), "{cut}");
    }
}

#[test]
fn client_waits_for_the_rest_of_any_prefix() {
    for cut in 0..RESPONSE.len() {
        assert_eq!(
            ResponseHead::parse(&RESPONSE[..cut], &Limits::default()),
            Ok(None),
            "{cut}"
        );
    }
}

#[test]
fn server_refuses_another_protocol_at_its_first_byte() {
    // A TLS hello, SSH, and a frame on the wrong port.
    for bytes in [
        &b"\x16\x03\x01"[..],
        b"\0",
        b"\x81\x05hello",
        b" GET",
        b"SSH-2.0\r\n",
    ] {
        assert_eq!(parse(bytes), Err(HeadError::Method), "{bytes:?}");
    }
}

#[test]
fn client_refuses_another_protocol_at_its_first_byte() {
    for bytes in [
        &b"\x15\x03"[..],
        b"ICY 200 OK\r\n",
        b"http/1.1",
        b"HTTP/2",
        b"\r\n",
    ] {
        let answer = ResponseHead::parse(bytes, &Limits::default());
        assert_eq!(answer, Err(HeadError::Version), "{bytes:?}");
    }
}

#[test]
fn server_refuses_a_malformed_request_line() {
    assert_eq!(error_of("GET\r\n\r\n"), HeadError::Method);
    assert_eq!(error_of("G(T / HTTP/1.1\r\n\r\n"), HeadError::Method);
    assert_eq!(error_of("GET / FTP/1.1\r\n\r\n"), HeadError::StartLine);
    assert_eq!(error_of("GET / HTTP/1.1 \r\n\r\n"), HeadError::LineEnd);
    for text in [
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(Refusal::from(error_of(text)).status, 400, "{text:?}");
    }
}

#[test]
fn server_refuses_another_version_of_http_with_505() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0"] {
        let error = error_of(&format!("GET / {version}\r\nHost: a\r\n\r\n"));
        assert_eq!(error, HeadError::Version, "{version}");
        assert_eq!(Refusal::from(error).status, 505);
    }
}

#[test]
fn server_refuses_malformed_fields_with_400() {
    for (field, error) in [
        ("X : 1", HeadError::HeaderName),
        ("X\t: 1", HeadError::HeaderName),
        (": 1", HeadError::HeaderName),
        ("X", HeadError::HeaderName),
        ("X(: 1", HeadError::HeaderName),
        ("é: 1", HeadError::HeaderName),
        // A folded line (RFC 9112 section 5.2), as the first and as a later one.
        (" X: 1", HeadError::HeaderName),
        ("X: 1\r\n folded", HeadError::HeaderName),
        ("X: 1\r\n\tfolded", HeadError::HeaderName),
        ("X: a\0b", HeadError::HeaderValue),
        ("X: a\x7fb", HeadError::HeaderValue),
        ("X: a\x0bb", HeadError::HeaderValue),
        ("X: a\nY: b", HeadError::LineEnd),
        ("X: a\n", HeadError::LineEnd),
    ] {
        let found = error_of(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
        assert_eq!(found, error, "{field:?}");
        assert_eq!(Refusal::from(found).status, 400);
    }
    let bare_cr = error_of("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n");
    assert_eq!(Refusal::from(bare_cr).status, 400);
}

#[test]
fn server_refuses_a_bare_line_feed_before_the_head_ends() {
    assert_eq!(error_of("GET / HTTP/1.1\n"), HeadError::LineEnd);
    assert_eq!(
        error_of("GET / HTTP/1.1\r\nHost: a\n\n"),
        HeadError::LineEnd
    );
}

#[test]
fn client_refuses_malformed_fields() {
    for field in [
        "X : 1",
        " X: 1",
        "X: 1\r\n folded",
        "X: a\0b",
        "X: a\nY: b",
        "X: a\rb",
    ] {
        let bytes = format!("HTTP/1.1 101 OK\r\n{field}\r\n\r\n");
        assert!(
            ResponseHead::parse(bytes.as_bytes(), &Limits::default()).is_err(),
            "{field:?}"
        );
    }
}

#[test]
fn server_takes_a_head_at_the_limit_and_none_beyond() {
    let mut limits = Limits::default();
    limits.head_bytes_max = REQUEST.len();
    assert!(RequestHead::parse(REQUEST, &limits).unwrap().is_some());
    limits.head_bytes_max = REQUEST.len() - 1;
    assert_eq!(
        RequestHead::parse(REQUEST, &limits),
        Err(HeadError::TooLarge)
    );
    // Also before the end of the head has come.
    let cut = &REQUEST[..REQUEST.len() - 1];
    assert_eq!(RequestHead::parse(cut, &limits), Ok(None));
    limits.head_bytes_max -= 1;
    assert_eq!(RequestHead::parse(cut, &limits), Err(HeadError::TooLarge));
    assert_eq!(Refusal::from(HeadError::TooLarge).status, 431);
}

#[test]
fn server_refuses_a_request_line_that_fills_the_limit_with_414() {
    let text = format!("GET /{}", "a".repeat(16 << 10));
    let error = error_of(&text);
    assert_eq!(error, HeadError::TargetTooLong);
    assert_eq!(Refusal::from(error).status, 414);
}

#[test]
fn server_refuses_endless_empty_lines() {
    assert_eq!(Refusal::from(error_of(&"\r\n".repeat(9000))).status, 414);
}

#[test]
fn server_counts_fields() {
    let mut limits = Limits::default();
    limits.headers_max = 3;
    assert!(RequestHead::parse(REQUEST, &limits).unwrap().is_some());
    limits.headers_max = 2;
    let error = RequestHead::parse(REQUEST, &limits).unwrap_err();
    assert_eq!(error, HeadError::TooManyHeaders);
    assert_eq!(Refusal::from(error).status, 431);
}

#[test]
fn client_limits_the_head() {
    let mut limits = Limits::default();
    limits.head_bytes_max = RESPONSE.len() - 1;
    assert_eq!(
        ResponseHead::parse(RESPONSE, &limits),
        Err(HeadError::TooLarge)
    );
    limits.head_bytes_max = 1000;
    limits.headers_max = 0;
    assert_eq!(
        ResponseHead::parse(RESPONSE, &limits),
        Err(HeadError::TooManyHeaders)
    );
}

#[test]
fn request_that_names_websocket_anywhere_wants_it() {
    for (field, wants) in [
        ("Upgrade: websocket", true),
        ("upgrade: h2c, WebSocket", true),
        ("Sec-WebSocket-Version: 8", true),
        ("sec-websocket-key: x", true),
        ("Upgrade: h2c", false),
        ("Connection: Upgrade", false),
        ("Sec-Fetch-Mode: websocket", false),
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        let (head, _) = parse(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(head.wants_websocket(), wants, "{field}");
    }
}

proptest! {
    #[test]
    fn head_is_the_same_whatever_follows(tail in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = REQUEST.to_vec();
        bytes.extend_from_slice(&tail);
        let (head, read) = parse(&bytes).unwrap().unwrap();
        prop_assert_eq!(read, REQUEST.len());
        prop_assert_eq!(head, parse(REQUEST).unwrap().unwrap().0);
    }

    #[test]
    fn any_prefix_of_a_valid_head_asks_for_more(
        target in "/[a-z0-9/?=&]{0,40}",
        fields in proptest::collection::vec(("[A-Za-z-]{1,12}", "[ -~]{0,30}"), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut text = format!("GET {target} HTTP/1.1\r\n");
        for (name, value) in &fields {
            text += &format!("{name}:{value}\r\n");
        }
        text += "\r\n";
        prop_assert_eq!(parse(&text.as_bytes()[..cut.index(text.len())]), Ok(None));
        let (head, read) = parse(text.as_bytes()).unwrap().unwrap();
        prop_assert_eq!(read, text.len());
        prop_assert_eq!(head.target, target.as_str());
        for ((name, value), header) in fields.iter().zip(&head.headers) {
            prop_assert_eq!(header.name, name.as_str());
            prop_assert_eq!(header.value, value.trim_matches(' ').as_bytes());
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = ResponseHead::parse(&bytes, &Limits::default());
    }

    #[test]
    fn no_damage_to_a_head_makes_the_parser_panic(
        at in 0..REQUEST.len(),
        byte in any::<u8>(),
        limit in 0_usize..120,
    ) {
        let mut limits = Limits::default();
        limits.head_bytes_max = limit;
        for whole in [REQUEST, RESPONSE] {
            let mut bytes = whole.to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            for limits in [&limits, &Limits::default()] {
                let request = RequestHead::parse(&bytes, limits);
                let response = ResponseHead::parse(&bytes, limits);
                // An accepted head is within the limits and has no control character.
                if let Ok(Some((head, read))) = request {
                    prop_assert!(read <= limits.head_bytes_max);
                    for header in head.headers {
                        prop_assert!(!header.value.iter().any(|&byte| byte < b' ' && byte != b'\t'));
                    }
                }
                if let Ok(Some((_, read))) = response {
                    prop_assert!(read <= limits.head_bytes_max);
                }
            }
        }
    }
}
