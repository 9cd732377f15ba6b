#[cfg(feature = "idn")]
use proptest::prelude::*;

use super::Url;

/// Returns what the URL is written as, or `None` if it is refused.
fn parsed(text: &str) -> Option<String> {
    Url::parse(text).ok().map(|url| url.to_string())
}

#[test]
fn what_people_type_is_what_browsers_make_of_it() {
    for (text, expected) in [
        ("ws://example.com", "ws://example.com/"),
        ("  WSS://EXAMPLE.com:443/A?b  ", "wss://example.com/A?b"),
        ("ws:example.com", "ws://example.com/"),
        (r"ws:\\example.com\chat", "ws://example.com/chat"),
        ("ws://example.com:0080/", "ws://example.com/"),
        ("ws://example.com:/", "ws://example.com/"),
        ("ws://example.com./", "ws://example.com./"),
        ("ws://ex%61mple.com/%61", "ws://example.com/%61"),
        ("ws://a@b@example.com/", "ws://a%40b@example.com/"),
        ("ws://user:@example.com/", "ws://user@example.com/"),
        ("ws://exa\tmple.com/x\r\ny", "ws://example.com/xy"),
        ("ws://example.com/a/./b/%2E%2e/c/..", "ws://example.com/a/"),
        ("ws://example.com/a//../b", "ws://example.com/a/b"),
        (
            "ws://example.com/ü \"<>`{}|",
            "ws://example.com/%C3%BC%20%22%3C%3E%60%7B%7D|",
        ),
        ("ws://example.com?'\"", "ws://example.com/?%27%22"),
        ("ws://example.com/%zz%", "ws://example.com/%zz%"),
        ("ws://0x7F.1/", "ws://127.0.0.1/"),
        ("ws://017700000001/", "ws://127.0.0.1/"),
        ("ws://1.2.3.4./", "ws://1.2.3.4/"),
        ("ws://256.example/", "ws://256.example/"),
        (
            "ws://[2001:DB8:0:0:1:0:0:1]:80/",
            "ws://[2001:db8::1:0:0:1]/",
        ),
        ("ws://[::ffff:1.2.3.4]/", "ws://[::ffff:102:304]/"),
        ("ws://[::]/", "ws://[::]/"),
        ("ws://[1::]:81/", "ws://[1::]:81/"),
    ] {
        assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_browsers_refuse_is_refused() {
    for text in [
        "",
        "example.com",
        "//example.com",
        "1ws://example.com",
        "ws://",
        "ws://@/",
        "ws://user@",
        "ws://:80/",
        "ws://example.com:65536/",
        "ws://example.com:8a/",
        "ws://example.com:-1/",
        "ws://a b/",
        "ws://a%20b/",
        "ws://a<b/",
        "ws://a%/",
        "ws://256.0.0.1/",
        "ws://1.2.3.4.5/",
        "ws://0x100000000/",
        "ws://1..2/",
        "ws://09.1.1.1/",
        "ws://[::1",
        "ws://[::1%25eth0]/",
        "ws://[1:2:3:4:5:6:7]/",
        "ws://[::1]x/",
    ] {
        assert_eq!(parsed(text), None, "{text}");
    }
}

#[test]
fn a_reference_is_resolved_against_the_url() {
    let base = Url::parse("ws://u:p@example.com:81/x/y/z?q#f").unwrap();
    for (text, expected) in [
        ("", "ws://u:p@example.com:81/x/y/z?q"),
        ("?r", "ws://u:p@example.com:81/x/y/z?r"),
        ("#g", "ws://u:p@example.com:81/x/y/z?q#g"),
        ("a", "ws://u:p@example.com:81/x/y/a"),
        ("../a/", "ws://u:p@example.com:81/x/a/"),
        ("../../../..", "ws://u:p@example.com:81/"),
        ("/a", "ws://u:p@example.com:81/a"),
        ("ws:a", "ws://u:p@example.com:81/x/y/a"),
        ("//other.example", "ws://other.example/"),
        ("wss:other.example", "wss://other.example/"),
    ] {
        let joined = base.join(text).unwrap().to_string();
        assert_eq!(joined, expected, "{text}");
    }
    assert!(base.join("//").is_err());
}

#[cfg(feature = "idn")]
#[test]
fn an_internationalized_name_becomes_punycode() {
    let expected = Some("wss://xn--bcher-kva.example/");
    assert_eq!(parsed("wss://BÜCHER.example").as_deref(), expected);
    assert_eq!(parsed("wss://xn--bcher-kva.example").as_deref(), expected);
    assert_eq!(
        parsed("wss://b%C3%BCcher\u{3002}example").as_deref(),
        expected
    );
    assert_eq!(parsed("wss://xn--a\u{AD}/"), None);
}

#[cfg(not(feature = "idn"))]
#[test]
fn without_idna_an_internationalized_name_is_refused_and_punycode_is_not() {
    let error = Url::parse("wss://bücher.example").unwrap_err();
    assert!(error.to_string().contains("feature `idn`"), "{error}");
    let expected = Some("wss://xn--bcher-kva.example/");
    assert_eq!(parsed("wss://XN--bcher-kva.example").as_deref(), expected);
}

/// Returns what the crate `url` makes of the same text, unless it is of a scheme that isn't special, which callers refuse.
#[cfg(feature = "idn")]
fn by_the_crate(url: Result<::url::Url, ::url::ParseError>) -> Option<Option<String>> {
    match url {
        Ok(url) if !matches!(url.scheme(), "ws" | "wss" | "http" | "https") => None,
        Ok(url) => Some(Some(url.to_string())),
        Err(_) => Some(None),
    }
}

/// Returns texts of pieces that mean something in a URL.
#[cfg(feature = "idn")]
fn texts() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "//",
        "\\",
        "@",
        ":",
        "?",
        "#",
        ".",
        "..",
        "%2e",
        "a",
        "B",
        "xn--",
        "é",
        "ß",
        "0x",
        "08",
        "1",
        "256",
        "4294967295",
        "[",
        "]",
        "::1",
        "::ffff:1.2.3.4",
        " ",
        "\t",
        "%41",
        "%",
        "'",
        "\"",
        "<",
        "^",
        "|",
        "{",
        "`",
        "~",
        "65535",
        "65536",
        "\0",
        "\u{7f}",
        "\u{3002}",
        "u:p",
        "*",
        "\u{AD}",
        "\r\n",
        "example.com",
        "ws:",
        "HTTP:",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

#[cfg(feature = "idn")]
proptest! {
    #[test]
    fn it_agrees_with_the_crate_url(scheme in prop::sample::select(vec!["ws:", "WSS://", "http:/", " https:\\\\"]), rest in texts()) {
        let text = format!("{scheme}{rest}");
        if let Some(expected) = by_the_crate(::url::Url::parse(&text)) {
            prop_assert_eq!(parsed(&text), expected);
        }
    }

    #[test]
    fn references_agree_with_the_crate_url(text in texts()) {
        let base = "ws://u:p@h.example:81/x/y/z?q=1#f";
        // The crate refuses three slashes, which the URL Standard takes for two.
        let slashes = text.trim_start_matches(|c: char| c <= ' ').replace(['\t', '\r', '\n'], "").replace('\\', "/");
        if slashes.starts_with("///") {
            return Ok(());
        }
        if let Some(expected) = by_the_crate(::url::Url::parse(base).unwrap().join(&text)) {
            let joined = Url::parse(base).unwrap().join(&text).ok();
            let joined = joined.filter(|url| matches!(url.scheme(), "ws" | "wss" | "http" | "https"));
            prop_assert_eq!(joined.map(|url| url.to_string()), expected);
        }
    }
}
