//! RFC 6455 sections 4.2, 4.3 and 4.4: what the server demands and how it responds.

use proptest::prelude::*;
use sockeye_proto::handshake::{FieldError, Refusal, RequestHead, ServerHandshake};
use sockeye_proto::{Limits, extension::Deflate};

const LINE: &str = "GET /chat HTTP/1.1";

const FIELDS: [&str; 5] = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

fn check_text(line: &str, fields: &[&str]) -> Result<ServerHandshake, Refusal> {
    let text = format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n"));
    let (head, _) = RequestHead::parse(text.as_bytes(), &Limits::default())
        .expect("a head")
        .expect("a whole head");
    ServerHandshake::check(&head)
}

/// Checks a valid request in which `fields` replace the field of the same name as the first of them.
fn check_with(fields: &[&str]) -> Result<ServerHandshake, Refusal> {
    let name = fields[0].split(':').next().unwrap();
    let mut all: Vec<&str> = FIELDS.to_vec();
    all.retain(|field| !field.starts_with(&format!("{name}:")));
    all.extend(fields);
    check_text(LINE, &all)
}

fn check_without(name: &str) -> Result<ServerHandshake, Refusal> {
    let mut all: Vec<&str> = FIELDS.to_vec();
    all.retain(|field| !field.starts_with(name));
    check_text(LINE, &all)
}

#[track_caller]
fn status_of(result: Result<ServerHandshake, Refusal>) -> u16 {
    result.expect_err("a refusal").status
}

#[test]
fn server_answers_the_example_of_the_rfc() {
    let handshake = check_text(LINE, &FIELDS).unwrap();
    assert_eq!(handshake.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let head = handshake.response(None, None, &[]).unwrap();
    assert_eq!(
        String::from_utf8(head).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn server_refuses_another_method_with_405_and_says_which() {
    for method in ["POST", "HEAD", "get", "CONNECT", "OPTIONS"] {
        let refusal = check_text(&format!("{method} /chat HTTP/1.1"), &FIELDS).unwrap_err();
        assert_eq!(refusal.status, 405, "{method}");
        assert!(refusal.headers.contains(&("Allow".into(), "GET".into())));
    }
}

#[test]
fn server_refuses_http_1_0_with_505() {
    assert_eq!(status_of(check_text("GET /chat HTTP/1.0", &FIELDS)), 505);
}

#[test]
fn server_refuses_a_malformed_target_with_400() {
    for target in [
        "chat",
        "*",
        "/a#b",
        "/<b>",
        "//a#",
        "ftp://a/",
        "http://u@a/",
        "a:80",
    ] {
        let line = format!("GET {target} HTTP/1.1");
        assert_eq!(status_of(check_text(&line, &FIELDS)), 400, "{target}");
    }
}

#[test]
fn server_takes_a_target_as_browsers_send_it() {
    for target in ["/?50%", "/?q=%zz", "/?%u4e2d", "/%", "/?a|b", "/?{\"a\":1}"] {
        check_text(&format!("GET {target} HTTP/1.1"), &FIELDS).unwrap();
    }
}

#[test]
fn server_takes_an_absolute_target() {
    for target in [
        "http://server.example.com/chat",
        "ws://other.example?x",
        "https://[::1]:9/",
    ] {
        check_text(&format!("GET {target} HTTP/1.1"), &FIELDS).unwrap();
    }
}

#[test]
fn server_demands_exactly_one_host() {
    assert_eq!(status_of(check_without("Host")), 400);
    assert_eq!(status_of(check_with(&["Host: a", "Host: a"])), 400);
    assert_eq!(status_of(check_with(&["Host: a", "host: b"])), 400);
    for host in [
        "", "a b", "a,b", "http://a", "u@a", "a:x", "a:99999", "[::1", "a/b", "é",
    ] {
        assert_eq!(
            status_of(check_with(&[&format!("Host: {host}")])),
            400,
            "{host}"
        );
    }
    for host in ["a", "a:80", "127.0.0.1:1", "[::1]:1"] {
        check_with(&[&format!("Host: {host}")]).unwrap();
    }
}

#[test]
fn server_refuses_a_body_because_it_would_be_taken_for_frames() {
    for field in [
        "Content-Length: 5",
        "Content-Length: 00",
        "Content-Length: x",
        "Transfer-Encoding: chunked",
    ] {
        assert_eq!(status_of(check_with(&[field])), 400, "{field}");
    }
    assert_eq!(
        status_of(check_with(&["Content-Length: 0", "Content-Length: 7"])),
        400
    );
    check_with(&["Content-Length: 0"]).unwrap();
}

#[test]
fn server_finds_websocket_in_upgrade_in_any_case_and_place() {
    for fields in [
        &["Upgrade: WebSocket"][..],
        &["Upgrade: h2c, websocket"],
        &["Upgrade: ,, WEBSOCKET ,"],
        &["Upgrade: h2c", "Upgrade: websocket"],
    ] {
        check_with(fields).unwrap();
    }
}

#[test]
fn server_answers_a_request_that_lacks_upgrade_with_426() {
    for refusal in [
        check_without("Upgrade").unwrap_err(),
        check_with(&["Upgrade: h2c"]).unwrap_err(),
        check_with(&["Upgrade: websocket2"]).unwrap_err(),
        check_with(&["Upgrade: web socket"]).unwrap_err(),
    ] {
        assert_eq!(refusal.status, 426);
        assert!(
            refusal
                .headers
                .contains(&("Upgrade".into(), "websocket".into()))
        );
    }
}

#[test]
fn server_finds_upgrade_in_connection_in_any_case_and_place() {
    for fields in [
        &["Connection: upgrade"][..],
        &["Connection: keep-alive, Upgrade"],
        &["Connection: keep-alive", "Connection: UPGRADE"],
    ] {
        check_with(fields).unwrap();
    }
    for fields in [
        &["Connection: keep-alive"][..],
        &["Connection: upgrades"],
        &["Connection:"],
    ] {
        assert_eq!(status_of(check_with(fields)), 400);
    }
    assert_eq!(status_of(check_without("Connection")), 400);
}

#[test]
fn server_answers_another_version_with_426_and_its_own() {
    for result in [
        check_without("Sec-WebSocket-Version"),
        check_with(&["Sec-WebSocket-Version: 8"]),
        check_with(&["Sec-WebSocket-Version: 14"]),
        check_with(&["Sec-WebSocket-Version: 013"]),
        check_with(&["Sec-WebSocket-Version: 13, 8"]),
        check_with(&["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"]),
    ] {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.status, 426);
        let text = String::from_utf8(refusal.to_bytes()).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
            "{text}"
        );
        for line in [
            "\r\nSec-WebSocket-Version: 13\r\n",
            "\r\nUpgrade: websocket\r\n",
            "\r\nConnection: Upgrade",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}

#[test]
fn server_demands_exactly_one_key_of_sixteen_bytes() {
    assert_eq!(status_of(check_without("Sec-WebSocket-Key")), 400);
    let good = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(status_of(check_with(&[good, good])), 400);
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25jZ_==",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZQ==, x",
    ] {
        assert_eq!(
            status_of(check_with(&[&format!("Sec-WebSocket-Key: {key}")])),
            400,
            "{key}"
        );
    }
}

#[test]
fn server_reads_subprotocols_over_repeated_fields_in_order() {
    let handshake = check_with(&[
        "Sec-WebSocket-Protocol: v2, v1",
        "sec-websocket-protocol: ,v0",
    ])
    .unwrap();
    assert_eq!(handshake.subprotocols(), ["v2", "v1", "v0"]);
}

#[test]
fn server_takes_an_empty_list_of_subprotocols_for_no_offer() {
    for value in ["", " ", ","] {
        let handshake = check_with(&[&format!("Sec-WebSocket-Protocol: {value}")]).unwrap();
        assert!(handshake.subprotocols().is_empty(), "{value:?}");
        assert_eq!(handshake.select_subprotocol(&["v1"]), None);
    }
}

#[test]
fn server_refuses_malformed_subprotocols_with_400() {
    for value in ["a b", "a, a", "a;b", "\"a\"", "é"] {
        let field = format!("Sec-WebSocket-Protocol: {value}");
        assert_eq!(status_of(check_with(&[&field])), 400, "{value}");
    }
    assert_eq!(
        status_of(check_with(&[
            "Sec-WebSocket-Protocol: a",
            "Sec-WebSocket-Protocol: a"
        ])),
        400
    );
}

#[test]
fn server_chooses_a_subprotocol_by_its_own_preference() {
    let handshake = check_with(&["Sec-WebSocket-Protocol: v1, v2, V3"]).unwrap();
    assert_eq!(
        handshake.select_subprotocol(&["v3", "v2", "v1"]),
        Some("v2")
    );
    assert_eq!(handshake.select_subprotocol(&["x"]), None);
    assert_eq!(
        check_text(LINE, &FIELDS)
            .unwrap()
            .select_subprotocol(&["v1"]),
        None
    );
    let head = handshake.response(Some("v2"), None, &[]).unwrap();
    assert!(
        String::from_utf8(head)
            .unwrap()
            .contains("\r\nSec-WebSocket-Protocol: v2\r\n")
    );
}

#[test]
fn server_does_not_name_a_subprotocol_that_was_not_offered() {
    let handshake = check_with(&["Sec-WebSocket-Protocol: v1"]).unwrap();
    let error = handshake.response(Some("v2"), None, &[]).unwrap_err();
    assert_eq!(error, FieldError::SubprotocolNotOffered("v2".into()));
}

#[test]
fn server_refuses_malformed_extensions_with_400() {
    for value in ["", ";", "a;", "a b", "a; b=\"c", "a; =b", "a; b=\"c d\""] {
        let field = format!("Sec-WebSocket-Extensions: {value}");
        assert_eq!(status_of(check_with(&[&field])), 400, "{value}");
    }
    check_with(&["Sec-WebSocket-Extensions: x-unknown; a=1, permessage-deflate"]).unwrap();
}

#[cfg(not(feature = "deflate"))]
#[test]
fn server_built_without_deflate_declines_it_and_still_checks_the_grammar() {
    let offered = check_with(&["Sec-WebSocket-Extensions: permessage-deflate"]).unwrap();
    assert_eq!(offered.select_deflate(&Deflate::default()), None);
    let malformed = check_with(&["Sec-WebSocket-Extensions: permessage-deflate;"]);
    assert_eq!(malformed.unwrap_err().status, 400);
}

#[cfg(feature = "deflate")]
#[test]
fn server_agrees_to_deflate_only_if_offered() {
    let settings = Deflate::default();
    let plain = check_with(&["Sec-WebSocket-Extensions: x-unknown"]).unwrap();
    assert_eq!(plain.select_deflate(&settings), None);
    let offered = check_with(&[
        "Sec-WebSocket-Extensions: x-unknown",
        "Sec-WebSocket-Extensions: permessage-deflate",
    ])
    .unwrap();
    let (_, value) = offered.select_deflate(&settings).unwrap();
    let head = offered.response(None, Some(&value), &[]).unwrap();
    let line = format!("\r\nSec-WebSocket-Extensions: {value}\r\n");
    assert!(String::from_utf8(head).unwrap().contains(&line));
}

#[test]
fn server_writes_no_field_that_would_end_its_line() {
    let handshake = check_text(LINE, &FIELDS).unwrap();
    let head = handshake
        .response(None, None, &[("Set-Cookie", "a=b")])
        .unwrap();
    assert!(head.ends_with(b"\r\nSet-Cookie: a=b\r\n\r\n"));
    for (name, value) in [
        ("X", "1\r\nSet-Cookie: a=b"),
        ("X", "1\n"),
        ("X\r\n", "1"),
        ("Sec-WebSocket-Accept", "x"),
        ("Content-Length", "4"),
    ] {
        assert!(
            handshake.response(None, None, &[(name, value)]).is_err(),
            "{name}: {value:?}"
        );
    }
    assert!(handshake.response(None, Some("a\r\nX: 1"), &[]).is_err());
}

#[test]
fn server_checks_an_extended_connect_without_key_or_upgrade() {
    let fields: [(&str, &[u8]); 2] = [
        ("sec-websocket-version", b"13"),
        ("sec-websocket-protocol", b"v1, v2"),
    ];
    let handshake = ServerHandshake::check_connect(fields).unwrap();
    assert_eq!(handshake.subprotocols(), ["v1", "v2"]);
    assert_eq!(handshake.accept(), "");
    assert_eq!(status_of(ServerHandshake::check_connect([])), 426);
    let old: [(&str, &[u8]); 1] = [("sec-websocket-version", b"8")];
    assert_eq!(status_of(ServerHandshake::check_connect(old)), 426);
}

proptest! {
    #[test]
    fn no_damage_to_a_request_makes_the_server_panic(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = format!("{LINE}\r\n{}\r\n\r\n", FIELDS.join("\r\n")).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Some((head, _))) = RequestHead::parse(&bytes, &Limits::default())
            && let Err(refusal) = ServerHandshake::check(&head)
        {
            prop_assert!((400..600).contains(&refusal.status));
        }
    }
}
