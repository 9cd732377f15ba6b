use proptest::prelude::*;

use super::*;

fn told(peer: &str, fields: &[(&'static str, &str)]) -> Told {
    let networks = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"].map(str::to_owned);
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let request = Request {
        peer_addr: Some(SocketAddr::new(peer.parse().unwrap(), 1234)),
        fields: headers.into(),
        ..Request::default()
    };
    TrustedProxies::parse(&networks).unwrap().told(&request)
}

fn client(peer: &str, fields: &[(&'static str, &str)]) -> Option<String> {
    told(peer, fields).client_addr.map(|addr| addr.to_string())
}

#[test]
fn only_a_trusted_peer_is_asked() {
    for field in ["forwarded", "x-forwarded-for"] {
        let value = if field == "forwarded" {
            "for=192.0.2.1"
        } else {
            "192.0.2.1"
        };
        assert_eq!(client("198.51.100.1", &[(field, value)]), None);
        assert_eq!(client("10.1.1.1", &[(field, value)]).unwrap(), "192.0.2.1");
        assert_eq!(
            client("::ffff:10.1.1.1", &[(field, value)]).unwrap(),
            "192.0.2.1"
        );
    }
    assert_eq!(client("10.1.1.1", &[]).unwrap(), "10.1.1.1");
    let mut headers = HeaderMap::new();
    headers.append("x-forwarded-for", "192.0.2.1".parse().unwrap());
    let request = Request {
        fields: headers.into(),
        ..Request::default()
    };
    assert_eq!(TrustedProxies::default().told(&request), Told::default());
}

#[test]
fn proxies_are_followed_back_to_the_first_that_is_not_trusted() {
    for (value, expected) in [
        // What the client wrote itself stands left of its address.
        ("1.1.1.1, 192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1, 10.2.2.2", "192.0.2.1"),
        ("192.0.2.1,10.2.2.2,10.3.3.3", "192.0.2.1"),
        ("10.9.9.9, 10.2.2.2", "10.9.9.9"),
        (" , 192.0.2.1 ,, ", "192.0.2.1"),
        // Beyond what can't be read nobody is believed.
        ("192.0.2.1, unknown, 10.2.2.2", "10.2.2.2"),
        ("192.0.2.1, garbage", "10.1.1.1"),
        ("192.0.2.1, _hidden", "10.1.1.1"),
        ("", "10.1.1.1"),
    ] {
        assert_eq!(
            client("10.1.1.1", &[("x-forwarded-for", value)]).unwrap(),
            expected,
            "{value}"
        );
    }
    let lines = [
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    assert_eq!(client("10.1.1.1", &lines).unwrap(), "192.0.2.1");
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
        assert_eq!(parse_node(node).unwrap().to_string(), expected, "{node}");
    }
    for bad in [
        "",
        "unknown",
        "_hidden",
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
        // Malformed: nobody knows whose words these are.
        ("for=\"192.0.2.43", "10.1.1.1"),
        ("for=192.0.2.43 x", "10.1.1.1"),
        ("for", "10.1.1.1"),
        ("for=", "10.1.1.1"),
        ("for=1.1.1.1;x, for=192.0.2.43", "10.1.1.1"),
        ("for=1.1.1.1;x=\", for=\"[2001:db8::17]\"", "10.1.1.1"),
        ("for=\"a\"b", "10.1.1.1"),
    ] {
        assert_eq!(
            client("10.1.1.1", &[("forwarded", value)]).unwrap(),
            expected,
            "{value}"
        );
    }
}

#[test]
fn two_fields_that_disagree_are_not_believed() {
    let agreeing = [
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    assert_eq!(client("10.1.1.1", &agreeing).unwrap(), "192.0.2.1");
    let forged = [
        ("forwarded", "for=1.1.1.1;host=a"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    assert_eq!(told("10.1.1.1", &forged), Told::default());
}

#[test]
fn scheme_and_host_are_those_of_the_client() {
    let value = "for=192.0.2.1;proto=https;host=a.example, for=10.2.2.2;proto=http;host=inner";
    let by_standard = told("10.1.1.1", &[("forwarded", value)]);
    assert_eq!(
        (by_standard.tls, by_standard.host.as_deref()),
        (Some(Tls::Yes), Some("a.example"))
    );
    let fields = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-host", "a.example:8443"),
    ];
    let by_custom = told("10.1.1.1", &fields);
    assert_eq!(
        (by_custom.tls, by_custom.host.as_deref()),
        (Some(Tls::Yes), Some("a.example:8443"))
    );
    assert_eq!(told("192.0.2.1", &fields), Told::default());
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
        let client_of = |name, value: &str| client("10.1.1.1", &[(name, value)]).unwrap();
        let found = client_of("x-forwarded-for", &format!("{forged}, 192.0.2.1"));
        prop_assert_eq!(found, "192.0.2.1");
        let found = client_of("forwarded", &format!("{forged}, for=192.0.2.1"));
        // A quote that is never closed swallows what follows; then nobody is believed.
        prop_assert!(found == "192.0.2.1" || found == "10.1.1.1", "{}", found);
    }
}
