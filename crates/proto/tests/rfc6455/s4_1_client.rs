//! RFC 6455 section 4.1: what the client sends, and which response it accepts.

use sockeye_proto::handshake::{
    ClientHandshake, FieldError, HandshakeError, RequestHead, ResponseHead, ServerHandshake,
};
use sockeye_proto::{
    Limits,
    extension::{Deflate, ExtensionError},
};

/// The nonce of the example in section 1.3.
const NONCE: [u8; 16] = *b"the sample nonce";

const LINE: &str = "HTTP/1.1 101 Switching Protocols";

const FIELDS: [&str; 3] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

fn handshake(subprotocols: &[&str]) -> (ClientHandshake, Vec<u8>) {
    let subprotocols: Vec<String> = subprotocols.iter().map(ToString::to_string).collect();
    let mut handshake = ClientHandshake::new(NONCE);
    let request = handshake
        .request("/chat?x", "a.example:81", &subprotocols, None, &[])
        .unwrap();
    (handshake, request)
}

/// Verifies a valid response in which `fields` replace the fields of their names.
fn verify(offered: &[&str], line: &str, fields: &[&str]) -> Result<Option<String>, HandshakeError> {
    let mut all: Vec<&str> = FIELDS.to_vec();
    for field in fields {
        let name = field.split(':').next().unwrap();
        all.retain(|other| !other.starts_with(name));
    }
    all.extend(fields.iter().filter(|field| field.contains(':')));
    let text = format!("{line}\r\n{}\r\n\r\n", all.join("\r\n"));
    let (head, _) = ResponseHead::parse(text.as_bytes(), &Limits::default())
        .unwrap()
        .unwrap();
    handshake(offered)
        .0
        .verify(&head)
        .map(|agreed| agreed.subprotocol)
}

#[test]
fn client_sends_a_request_that_a_strict_server_takes() {
    let (_, request) = handshake(&["v2", "v1"]);
    assert_eq!(
        String::from_utf8(request.clone()).unwrap(),
        "GET /chat?x HTTP/1.1\r\nHost: a.example:81\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: v2, v1\r\n\r\n"
    );
    let (head, _) = RequestHead::parse(&request, &Limits::default())
        .unwrap()
        .unwrap();
    let server = ServerHandshake::check(&head).unwrap();
    assert_eq!(server.subprotocols(), ["v2", "v1"]);
}

#[test]
fn client_and_server_agree_on_a_subprotocol() {
    let (client, request) = handshake(&["v2", "v1"]);
    let (head, _) = RequestHead::parse(&request, &Limits::default())
        .unwrap()
        .unwrap();
    let response = ServerHandshake::check(&head)
        .unwrap()
        .response(Some("v1"), None, &[])
        .unwrap();
    let (head, read) = ResponseHead::parse(&response, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(read, response.len());
    let agreed = client.verify(&head).unwrap();
    assert_eq!(agreed.subprotocol.as_deref(), Some("v1"));
    assert_eq!(agreed.deflate, None);
}

#[test]
fn client_reports_another_status_as_such() {
    for status in [100, 200, 301, 401, 404, 426, 503] {
        let line = format!("HTTP/1.1 {status} X");
        assert_eq!(verify(&[], &line, &[]), Err(HandshakeError::Status(status)));
    }
}

#[test]
fn client_refuses_an_answer_in_http_1_0() {
    assert_eq!(
        verify(&[], "HTTP/1.0 101 X", &[]),
        Err(HandshakeError::Version)
    );
}

#[test]
fn client_demands_upgrade_websocket_in_any_case() {
    assert_eq!(verify(&[], LINE, &["Upgrade: WebSocket"]), Ok(None));
    for fields in [
        &["Upgrade"][..],
        &["Upgrade: h2c"],
        &["Upgrade: websocket, h2c"],
        &["Upgrade: websockets"],
    ] {
        assert_eq!(
            verify(&[], LINE, fields),
            Err(HandshakeError::Upgrade),
            "{fields:?}"
        );
    }
}

#[test]
fn client_demands_connection_upgrade_in_any_case() {
    assert_eq!(verify(&[], LINE, &["Connection: upgrade"]), Ok(None));
    assert_eq!(
        verify(&[], LINE, &["Connection: keep-alive, UPGRADE"]),
        Ok(None)
    );
    for fields in [
        &["Connection"][..],
        &["Connection: close"],
        &["Connection: up, grade"],
    ] {
        assert_eq!(
            verify(&[], LINE, fields),
            Err(HandshakeError::Connection),
            "{fields:?}"
        );
    }
}

#[test]
fn client_demands_exactly_the_accept_of_its_key_once() {
    let good = FIELDS[2];
    for fields in [
        &["Sec-WebSocket-Accept"][..],
        &["Sec-WebSocket-Accept:"],
        &["Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk="],
        // Base64 is case-sensitive.
        &["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo"],
        &[good, good],
    ] {
        assert_eq!(
            verify(&[], LINE, fields),
            Err(HandshakeError::Accept),
            "{fields:?}"
        );
    }
    assert_eq!(
        verify(
            &[],
            LINE,
            &["Sec-WebSocket-Accept:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo=  "]
        ),
        Ok(None)
    );
}

#[test]
fn client_takes_one_subprotocol_of_those_it_offered() {
    assert_eq!(
        verify(&["a", "b"], LINE, &["Sec-WebSocket-Protocol: b"]),
        Ok(Some("b".into()))
    );
    assert_eq!(verify(&["a", "b"], LINE, &[]), Ok(None));
    for (offered, fields) in [
        (&[][..], &["Sec-WebSocket-Protocol: a"][..]),
        (&[], &["Sec-WebSocket-Protocol:"]),
        (&["a"], &["Sec-WebSocket-Protocol: b"]),
        (&["a"], &["Sec-WebSocket-Protocol: A"]),
        (&["a", "b"], &["Sec-WebSocket-Protocol: a, b"]),
        (
            &["a", "b"],
            &["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"],
        ),
    ] {
        assert_eq!(
            verify(offered, LINE, fields),
            Err(HandshakeError::Subprotocol),
            "{fields:?}"
        );
    }
}

#[test]
fn client_refuses_an_extension_that_it_did_not_offer() {
    for value in ["permessage-deflate", "x-foo", ""] {
        let field = format!("Sec-WebSocket-Extensions: {value}");
        assert_eq!(
            verify(&[], LINE, &[&field]),
            Err(HandshakeError::ExtensionNotOffered)
        );
    }
}

#[cfg(feature = "deflate")]
#[test]
fn client_and_server_agree_on_deflate() {
    let settings = Deflate::default();
    let mut client = ClientHandshake::new(NONCE);
    let request = client.request("/", "a", &[], Some(&settings), &[]).unwrap();
    let (head, _) = RequestHead::parse(&request, &Limits::default())
        .unwrap()
        .unwrap();
    let server = ServerHandshake::check(&head).unwrap();
    let (params, value) = server.select_deflate(&settings).unwrap();
    let response = server.response(None, Some(&value), &[]).unwrap();
    let (head, _) = ResponseHead::parse(&response, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(client.verify(&head).unwrap().deflate, Some(params));
}

#[cfg(not(feature = "deflate"))]
#[test]
fn client_built_without_deflate_offers_none_and_refuses_it() {
    let mut client = ClientHandshake::new(NONCE);
    let fields = client
        .connect_headers(&[], Some(&Deflate::default()))
        .unwrap();
    assert_eq!(fields, [("Sec-WebSocket-Version", "13".to_string())]);
    let fields: [(&str, &[u8]); 1] = [("sec-websocket-extensions", b"permessage-deflate")];
    let error = client.verify_connect(200, fields).unwrap_err();
    assert_eq!(error, HandshakeError::Extension(ExtensionError::NotOffered));
    assert_eq!(client.verify_connect(200, []).unwrap().deflate, None);
}

#[test]
fn client_that_offers_deflate_takes_no_other_extension() {
    let mut client = ClientHandshake::new(NONCE);
    client
        .connect_headers(&[], Some(&Deflate::default()))
        .unwrap();
    let fields: [(&str, &[u8]); 1] = [("sec-websocket-extensions", b"x-foo")];
    let error = client.verify_connect(200, fields).unwrap_err();
    assert_eq!(error, HandshakeError::Extension(ExtensionError::NotOffered));
}

#[test]
fn client_writes_nothing_that_would_end_its_line() {
    let mut handshake = ClientHandshake::new(NONCE);
    let mut request = |target: &str, host: &str, subprotocols: &[&str], header: (&str, &str)| {
        let subprotocols: Vec<String> = subprotocols.iter().map(ToString::to_string).collect();
        let headers = [(header.0.to_string(), header.1.to_string())];
        handshake.request(target, host, &subprotocols, None, &headers)
    };
    let good = ("X", "1");
    request("/", "a", &["v1"], good).unwrap();
    for target in [
        "",
        "a",
        "/ HTTP/1.1\r\nX: 1",
        "/\n",
        "/a b",
        "/#",
        "http://a/",
        "/é",
    ] {
        assert_eq!(
            request(target, "a", &[], good),
            Err(FieldError::Target(target.into()))
        );
    }
    for host in ["", "a\r\nX: 1", "a b", "u:p@a"] {
        assert_eq!(
            request("/", host, &[], good),
            Err(FieldError::Host(host.into()))
        );
    }
    for names in [&["a\r\nX: 1"][..], &[""], &["a,b"], &["a b"], &["a", "a"]] {
        let error = request("/", "a", names, good).unwrap_err();
        assert!(matches!(error, FieldError::Subprotocol(_)), "{names:?}");
    }
    for header in [
        ("X", "1\r\nY: 2"),
        ("X", "\n"),
        ("X Y", "1"),
        ("", "1"),
        ("X", "\0"),
    ] {
        assert!(request("/", "a", &[], header).is_err(), "{header:?}");
    }
    for name in [
        "host",
        "Upgrade",
        "connection",
        "Sec-WebSocket-Key",
        "Content-Length",
    ] {
        let error = request("/", "a", &[], (name, "1")).unwrap_err();
        assert_eq!(error, FieldError::Reserved(name.into()));
    }
}

#[test]
fn client_checks_the_answer_to_an_extended_connect() {
    let mut client = ClientHandshake::new(NONCE);
    let fields = client.connect_headers(&["v1".into()], None).unwrap();
    let sent = [
        ("Sec-WebSocket-Version", "13".to_string()),
        ("Sec-WebSocket-Protocol", "v1".to_string()),
    ];
    assert_eq!(fields, sent);
    let good: [(&str, &[u8]); 1] = [("sec-websocket-protocol", b"v1")];
    assert_eq!(
        client
            .verify_connect(200, good)
            .unwrap()
            .subprotocol
            .as_deref(),
        Some("v1")
    );
    assert_eq!(
        client.verify_connect(101, good),
        Err(HandshakeError::Status(101))
    );
    let bad: [(&str, &[u8]); 1] = [("sec-websocket-protocol", b"v2")];
    assert_eq!(
        client.verify_connect(200, bad),
        Err(HandshakeError::Subprotocol)
    );
}
