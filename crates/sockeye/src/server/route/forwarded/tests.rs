use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn forwarded(peer: &str, fields: &[(&'static str, &str)]) -> Forwarded {
    let cidrs = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"].map(str::to_owned);
    let headers = headers(fields);
    let proxies = TrustedProxies::parse(&cidrs).unwrap();
    proxies.forwarded(Some(peer.parse().unwrap()), || &headers)
}

/// Returns the address that counts as the client's.
fn client(peer: &str, fields: &[(&'static str, &str)]) -> String {
    let client_addr = forwarded(peer, fields).client_addr;
    client_addr.map_or_else(|| peer.to_owned(), |addr| addr.to_string())
}

#[test]
fn only_a_trusted_peer_is_asked() {
    for (field, value) in [
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
    ] {
        let forwarded_by_untrusted = forwarded("198.51.100.1", &[(field, value)]);
        assert_eq!(forwarded_by_untrusted, Forwarded::default());
        assert_eq!(client("10.1.1.1", &[(field, value)]), "192.0.2.1");
        assert_eq!(client("::ffff:10.1.1.1", &[(field, value)]), "192.0.2.1");
    }
    assert_eq!(forwarded("10.1.1.1", &[]), Forwarded::default());
    let headers = headers(&[("x-forwarded-for", "192.0.2.1")]);
    let nobody = TrustedProxies::default();
    let peer = Some("10.1.1.1".parse().unwrap());
    assert_eq!(nobody.forwarded(peer, || &headers), Forwarded::default());
    assert_eq!(nobody.forwarded(None, || &headers), Forwarded::default());
}

#[test]
fn proxies_are_followed_back_to_the_first_that_is_not_trusted() {
    for (value, expected) in [
        // The client's own text is to the left of its address.
        ("1.1.1.1, 192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1, 10.2.2.2", "192.0.2.1"),
        ("192.0.2.1,10.2.2.2,10.3.3.3", "192.0.2.1"),
        ("10.9.9.9, 10.2.2.2", "10.9.9.9"),
        (" , 192.0.2.1 ,, ", "192.0.2.1"),
        // Nothing to the left of an unreadable value is believed.
        ("192.0.2.1, unknown, 10.2.2.2", "10.2.2.2"),
        ("192.0.2.1, garbage", "10.1.1.1"),
        ("192.0.2.1, _hidden", "10.1.1.1"),
        ("", "10.1.1.1"),
    ] {
        assert_eq!(
            client("10.1.1.1", &[("x-forwarded-for", value)]),
            expected,
            "{value}"
        );
    }
    let lines = [
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    assert_eq!(client("10.1.1.1", &lines), "192.0.2.1");
}

#[test]
fn a_node_is_read_in_all_its_forms() {
    for (node, expected) in [
        ("192.0.2.43", "192.0.2.43"),
        ("192.0.2.43:47011", "192.0.2.43"),
        ("192.0.2.43:_gazonk", "192.0.2.43"),
        ("\"192.0.2.43:47011\"", "192.0.2.43"),
        ("2001:db8::17", "2001:db8::17"),
        ("[2001:db8::17]", "2001:db8::17"),
        ("\"[2001:db8::17]:4711\"", "2001:db8::17"),
        ("[2001:db8::17]:_x", "2001:db8::17"),
        ("::ffff:192.0.2.43", "192.0.2.43"),
    ] {
        let expected = Node::Addr(expected.parse().unwrap());
        assert_eq!(parse_node(node), Some(expected), "{node}");
    }
    for hidden in [
        "unknown",
        "Unknown",
        "_hidden",
        "\"_a.b-c:80\"",
        "unknown:_x",
    ] {
        assert_eq!(parse_node(hidden), Some(Node::Hidden), "{hidden}");
    }
    for bad in [
        "",
        "_",
        "_a b",
        "unknown:",
        "_hidden:x",
        "192.0.2.43:_",
        "fe80::1%eth0",
        "192.0.2",
        "192.0.2.43:",
        "192.0.2.43:x",
        "192.0.2.43:99999",
        "[2001:db8::17",
        "[192.0.2.43]",
        "[::1]x",
        "example.com",
        "1.2.3.4 5",
    ] {
        assert_eq!(parse_node(bad), None, "{bad}");
    }
}

#[test]
fn the_standard_field_is_read_as_its_examples_have_it() {
    for (value, expected) in [
        ("for=\"_gazonk\"", "10.1.1.1"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
        ("for=192.0.2.43,for=\"[fd00::17]\",for=unknown", "10.1.1.1"),
        ("for=192.0.2.43 , for=\"[fd00::17]\" ", "192.0.2.43"),
        ("for=192.0.2.43;;by=_x,", "10.1.1.1"),
        ("by=\"a,b;for=1.1.1.1\";for=192.0.2.43", "192.0.2.43"),
        ("by=\"a\\\"b\";for=192.0.2.43", "192.0.2.43"),
        // Malformed: it is unclear who wrote which part.
        ("for=\"192.0.2.43", "10.1.1.1"),
        ("for=192.0.2.43 x", "10.1.1.1"),
        ("for", "10.1.1.1"),
        ("for=", "10.1.1.1"),
        ("for=1.1.1.1;x, for=192.0.2.43", "10.1.1.1"),
        ("for=1.1.1.1;x=\", for=\"[2001:db8::17]\"", "10.1.1.1"),
        ("for=\"a\"b", "10.1.1.1"),
    ] {
        assert_eq!(
            client("10.1.1.1", &[("forwarded", value)]),
            expected,
            "{value}"
        );
    }
}

#[test]
fn what_is_malformed_does_not_count_as_absent() {
    let rest = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
    ];
    for parse_forwarded_fields in [
        "for=\"192.0.2.43",
        "for",
        "for=",
        "for=192.0.2.43 x",
        "for=192.0.2.43;for=192.0.2.44",
        "for=garbage",
        "for=6.6.6.6;proto=gopher",
        "for=6.6.6.6;host=\"a b\"",
        "for=6.6.6.6;host=a;host=b",
        "for=6.6.6.6;proto",
        "\u{e9}",
    ] {
        let fields = [&[("forwarded", parse_forwarded_fields)][..], &rest].concat();
        assert_eq!(
            forwarded("10.1.1.1", &fields),
            Forwarded::rejected(),
            "{parse_forwarded_fields}"
        );
        // In each of the fields.
        let two = [
            ("forwarded", "for=192.0.2.1"),
            ("forwarded", parse_forwarded_fields),
        ];
        assert_eq!(
            forwarded("10.1.1.1", &two),
            Forwarded::rejected(),
            "{parse_forwarded_fields}"
        );
    }
    for (name, value) in [
        ("x-forwarded-for", "6.6.6.6, garbage"),
        ("x-forwarded-for", "6.6.6.6, 192.0.2.43:"),
        ("x-forwarded-for", "6.6.6.6, \u{e9}"),
        ("x-forwarded-proto", "https, gopher"),
        ("x-forwarded-host", "evil.example, a b"),
        ("x-forwarded-host", "u@evil.example"),
        ("x-forwarded-host", "evil.example:99999"),
    ] {
        let mut fields = vec![("forwarded", "for=192.0.2.1;proto=http;host=a.example")];
        fields.push((name, value));
        assert_eq!(
            forwarded("10.1.1.1", &fields),
            Forwarded::rejected(),
            "{value}"
        );
        // Without the other kind of fields, too.
        let alone = [&rest[..], &[(name, value)]].concat();
        assert_eq!(
            forwarded("10.1.1.1", &alone),
            Forwarded::rejected(),
            "{value}"
        );
    }
}

#[test]
fn what_a_client_wrote_first_need_not_be_readable() {
    for (name, value) in [
        (
            "forwarded",
            "for=garbage;proto=gopher;host=\"a b\", for=192.0.2.1",
        ),
        ("x-forwarded-for", "garbage, \u{e9}, 192.0.2.1"),
    ] {
        assert_eq!(client("10.1.1.1", &[(name, value)]), "192.0.2.1", "{value}");
    }
}

#[test]
fn a_proxy_that_hides_the_client_is_believed_in_the_rest() {
    for hidden in ["for=unknown;", "for=_a1;", "for=\"_a1:80\";", ""] {
        let value = format!("for=6.6.6.6;host=evil, {hidden}proto=https;host=a.example");
        let fields = [("forwarded", value.as_str())];
        assert_eq!(client("10.1.1.1", &fields), "10.1.1.1", "{value}");
        let forwarded = forwarded("10.1.1.1", &fields);
        assert_eq!(
            (forwarded.tls, forwarded.host.as_deref()),
            (Some(Tls::Yes), Some("a.example"))
        );
    }
}

#[test]
fn two_kinds_of_fields_that_disagree_are_not_believed() {
    let agreeing = [
        ("forwarded", "for=192.0.2.1;host=A.example"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-proto", "https"),
    ];
    let all = forwarded("10.1.1.1", &agreeing);
    assert_eq!(all.client_addr.unwrap().to_string(), "192.0.2.1");
    assert_eq!(
        (all.tls, all.host.as_deref()),
        (Some(Tls::Yes), Some("a.example"))
    );
    for (parse_forwarded_fields, x_forwarded) in [
        ("for=1.1.1.1;host=a", ("x-forwarded-for", "192.0.2.1")),
        ("for=unknown", ("x-forwarded-for", "6.6.6.6")),
        ("for=192.0.2.1;proto=http", ("x-forwarded-proto", "https")),
        ("for=192.0.2.1;host=a", ("x-forwarded-host", "evil")),
    ] {
        let forged = [("forwarded", parse_forwarded_fields), x_forwarded];
        assert_eq!(
            forwarded("10.1.1.1", &forged),
            Forwarded::rejected(),
            "{parse_forwarded_fields}"
        );
    }
}

#[test]
fn scheme_and_host_are_those_of_the_client() {
    let value = "for=192.0.2.1;proto=https;host=a.example, for=10.2.2.2;proto=http;host=inner";
    let by_standard = forwarded("10.1.1.1", &[("forwarded", value)]);
    assert_eq!(
        (by_standard.tls, by_standard.host.as_deref()),
        (Some(Tls::Yes), Some("a.example"))
    );
    let fields = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-host", "a.example:8443"),
    ];
    let by_custom = forwarded("10.1.1.1", &fields);
    assert_eq!(
        (by_custom.tls, by_custom.host.as_deref()),
        (Some(Tls::Yes), Some("a.example:8443"))
    );
    assert_eq!(forwarded("192.0.2.1", &fields), Forwarded::default());
}

#[test]
fn a_network_that_is_none_is_named() {
    let error = TrustedProxies::parse(&["10.0.0.0/33".to_owned()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("10.0.0.0/33"), "{error}");
}

proptest! {
    #[test]
    fn whatever_a_client_writes_first_the_address_that_the_proxy_adds_counts(forged in "[ -~]{0,60}") {
        let client_of = |name, value: &str| client("10.1.1.1", &[(name, value)]);
        let found = client_of("x-forwarded-for", &format!("{forged}, 192.0.2.1"));
        prop_assert_eq!(found, "192.0.2.1");
        let found = client_of("forwarded", &format!("{forged}, for=192.0.2.1"));
        // An unclosed quote swallows what follows; then nothing is believed.
        prop_assert!(found == "192.0.2.1" || found == "10.1.1.1", "{}", found);
    }
}
