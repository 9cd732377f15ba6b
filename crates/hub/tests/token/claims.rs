//! What claims are read as.

use bytes::Bytes;
use sockeye_hub::{
    UnixMillis,
    token::{
        ConnectionClaims, OptionOverride, RegisteredClaims, SubscriptionClaims,
        SubscriptionOptions, TokenError, Verifier, VerifierConfig,
    },
};

use super::{NOW, SECRET, assert_invalid, signed, verifier, with_secret};

fn connection(claims: &str) -> Result<ConnectionClaims, TokenError> {
    verifier().verify_connection(&signed(claims), NOW)
}

fn subscription(claims: &str) -> Result<SubscriptionClaims, TokenError> {
    verifier().verify_subscription(&signed(claims), NOW)
}

fn bytes(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

#[test]
fn a_connection_token_tells_all_its_claims() {
    let claims = connection(
        r#"{
            "sub": "42", "exp": 4102444800, "iat": 1700000000, "nbf": 1700000000, "jti": "x1",
            "aud": ["chat", "news"], "iss": "https://a.example",
            "info": {"name": "Ann"}, "meta": {"plan":1}, "extra": [1],
            "subs": {
                "news": {"info": {"a":1}, "data": [1, 2], "override": {
                    "presence": {"value": true}, "join_leave": {"value": false}, "force_recovery": {"value": true},
                    "force_positioning": {"value": true}, "force_push_join_leave": {}
                }},
                "chat": {"b64info": "AP8=", "b64data": "aGk="}
            }
        }"#,
    );
    let news = SubscriptionOptions {
        info: bytes(r#"{"a":1}"#),
        data: bytes("[1, 2]"),
        overrides: OptionOverride {
            presence: Some(true),
            join_leave: Some(false),
            force_push_join_leave: Some(false),
            force_recovery: Some(true),
            force_positioning: Some(true),
        },
    };
    let chat = SubscriptionOptions {
        info: Some(Bytes::from_static(&[0, 0xff])),
        data: bytes("hi"),
        overrides: OptionOverride::default(),
    };
    let expected = ConnectionClaims {
        user: "42".to_owned(),
        expire_at: Some(UnixMillis(4_102_444_800_000)),
        info: bytes(r#"{"name": "Ann"}"#),
        meta: bytes(r#"{"plan":1}"#),
        subs: vec![("chat".to_owned(), chat), ("news".to_owned(), news)],
        registered: RegisteredClaims {
            id: Some("x1".to_owned()),
            issuer: Some("https://a.example".to_owned()),
            audience: vec!["chat".to_owned(), "news".to_owned()],
            issued_at: Some(UnixMillis(1_700_000_000_000)),
        },
    };
    assert_eq!(claims, Ok(expected));
}

#[test]
fn a_subscription_token_tells_all_its_claims() {
    let claims = subscription(
        r#"{"sub":"42","client":"c1","channel":"news","info":1,"data":"x","exp":4102444800,"expire_at":0,
            "override":{"presence":{"value":false}}}"#,
    );
    let expected = SubscriptionClaims {
        user: "42".to_owned(),
        client: Some("c1".to_owned()),
        channel: "news".to_owned(),
        expire_at: None,
        options: SubscriptionOptions {
            info: bytes("1"),
            data: bytes("\"x\""),
            overrides: OptionOverride {
                presence: Some(false),
                ..OptionOverride::default()
            },
        },
        registered: RegisteredClaims::default(),
    };
    assert_eq!(claims, Ok(expected));
}

#[test]
fn a_subscription_token_opens_no_connection_and_a_connection_token_no_subscription() {
    assert_invalid(
        connection(r#"{"sub":"42","channel":"news"}"#),
        "it is a subscription token (it has the claim `channel`)",
    );
    assert_invalid(subscription(r#"{"sub":"42"}"#), "it has no claim `channel`");
    assert_invalid(
        subscription(r#"{"sub":"42","channel":""}"#),
        "it has no claim `channel`",
    );
}

#[test]
fn channels_are_subscriptions_without_options_and_subs_win() {
    let names = |claims| {
        let subs = connection(claims).expect("valid").subs;
        subs.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(r#"{"channels":["b","a","b"]}"#), ["b", "a"]);
    assert_eq!(names(r#"{"channels":["b"],"subs":{"a":{}}}"#), ["a"]);
    assert_eq!(names(r#"{"channels":["b"],"subs":{}}"#), ["b"]);
    assert_eq!(names(r#"{"subs":{"a":null}}"#), ["a"]);
    assert!(names("{}").is_empty());
}

#[test]
fn claims_of_the_wrong_type_are_refused_by_name() {
    for (claims, reason) in [
        (r#"{"sub":42}"#, "`sub` isn't a string"),
        (r#"{"sub":["42"]}"#, "`sub` isn't a string"),
        (r#"{"sub":{"id":"42"}}"#, "`sub` isn't a string"),
        (r#"{"sub":true}"#, "`sub` isn't a string"),
        (
            r#"{"channels":"news"}"#,
            "`channels` isn't an array of strings",
        ),
        (
            r#"{"channels":[1]}"#,
            "`channels` isn't an array of strings",
        ),
        (
            r#"{"channels":{"news":{}}}"#,
            "`channels` isn't an array of strings",
        ),
        (
            r#"{"subs":["news"]}"#,
            "`subs` isn't an object in which each name is there once",
        ),
        (
            r#"{"subs":{"news":1}}"#,
            "`news` isn't an object in which each name is there once",
        ),
        (
            r#"{"subs":{"a":{},"a":{}}}"#,
            "`subs` isn't an object in which each name is there once",
        ),
        (
            r#"{"subs":{"news":{"b64info":1}}}"#,
            "`b64info` isn't a string",
        ),
        (r#"{"b64info":"%%"}"#, "`b64info` isn't base64"),
        (
            r#"{"subs":{"a":{"override":{"presence":true}}}}"#,
            "`presence` isn't an object in which each name is there once",
        ),
        (
            r#"{"subs":{"a":{"override":{"presence":{"value":1}}}}}"#,
            "`value` isn't true or false",
        ),
        (r#"{"channel":1}"#, "`channel` isn't a string"),
        (r#"{"jti":1}"#, "`jti` isn't a string"),
        (r#"{"iss":1}"#, "`iss` isn't a string"),
        (
            r#"{"aud":1}"#,
            "`aud` isn't a string or an array of strings",
        ),
        (
            r#"{"aud":["a",1]}"#,
            "`aud` isn't a string or an array of strings",
        ),
    ] {
        assert_invalid(connection(claims), reason);
    }
    assert_invalid(
        subscription(r#"{"channel":"a","client":7}"#),
        "`client` isn't a string",
    );
}

#[test]
fn a_claim_that_is_null_is_absent() {
    let claims = connection(
        r#"{"sub":null,"exp":null,"info":null,"channels":null,"subs":null,"meta":null,"aud":null,"channel":null}"#,
    );
    assert_eq!(claims, Ok(ConnectionClaims::default()));
}

#[test]
fn a_payload_on_several_lines_is_put_on_one() {
    let info = |claims| connection(claims).expect("valid").info;
    assert_eq!(
        info("{\"info\": {\n  \"a b\" : \"x \\\"\\n y\\\\\" ,\r\n\t\"c\":[1, 2]\n}}"),
        bytes(r#"{"a b":"x \"\n y\\","c":[1,2]}"#)
    );
    // As written, if it is on one line: big numbers, escapes, U+2028 and names that are there twice too.
    for kept in [
        r#"{ "n":12345678901234567890123 }"#,
        r#""\ud800\u2028""#,
        "\"\u{2028}\"",
        r#"{"a":1,"a":2}"#,
    ] {
        let claims = format!(r#"{{"info":{kept}}}"#);
        let info = connection(&claims).expect("valid").info;
        assert_eq!(info, Some(Bytes::copy_from_slice(kept.as_bytes())));
    }
}

#[test]
fn the_user_may_be_in_another_claim() {
    let verifier = Verifier::new(VerifierConfig {
        user_id_claim: "uid".to_owned(),
        ..with_secret(SECRET)
    })
    .expect("usable");
    let user = |claims| {
        let claims = verifier.verify_connection(&signed(claims), NOW);
        claims.map(|claims| claims.user)
    };
    assert_eq!(user(r#"{"sub":"a","uid":"b"}"#), Ok("b".to_owned()));
    assert_eq!(user(r#"{"uid":7}"#), Ok("7".to_owned()));
    assert_eq!(user(r#"{"sub":"a"}"#), Ok(String::new()));
    assert_invalid(
        user(r#"{"uid":true}"#),
        "`uid` isn't a string or an integer",
    );
    assert_invalid(user(r#"{"uid":1.5}"#), "`uid` isn't a string or an integer");
    assert_invalid(user(r#"{"sub":1,"uid":"b"}"#), "`sub` isn't a string");
    let subscription = verifier
        .verify_subscription(&signed(r#"{"uid":"b","channel":"news"}"#), NOW)
        .expect("valid");
    assert_eq!(subscription.user, "b");
}

#[test]
fn issuer_and_audience_are_checked_when_they_are_configured() {
    let verifier = Verifier::new(VerifierConfig {
        issuer: Some("a".to_owned()),
        audience: Some("chat".to_owned()),
        ..with_secret(SECRET)
    })
    .expect("usable");
    let verify = |claims| verifier.verify_connection(&signed(claims), NOW).map(|_| ());
    assert_eq!(verify(r#"{"iss":"a","aud":"chat"}"#), Ok(()));
    assert_eq!(verify(r#"{"iss":"a","aud":["news","chat"]}"#), Ok(()));
    for other in [r#"{"aud":"chat"}"#, r#"{"iss":"b","aud":"chat"}"#] {
        assert_invalid(verify(other), "it is from another issuer (`iss`)");
    }
    for other in [
        r#"{"iss":"a"}"#,
        r#"{"iss":"a","aud":"chats"}"#,
        r#"{"iss":"a","aud":[]}"#,
    ] {
        assert_invalid(verify(other), "it is for another audience (`aud`)");
    }
    let subscription = verifier.verify_subscription(&signed(r#"{"channel":"x","iss":"b"}"#), NOW);
    assert_invalid(subscription, "it is from another issuer (`iss`)");
}

#[test]
fn issuer_and_audience_may_be_regular_expressions() {
    let verifier = Verifier::new(VerifierConfig {
        issuer_regex: Some("^https://(a|b)[.]example$".to_owned()),
        audience_regex: Some("chat".to_owned()),
        ..with_secret(SECRET)
    })
    .expect("usable");
    let verify = |claims| verifier.verify_connection(&signed(claims), NOW).map(|_| ());
    assert_eq!(
        verify(r#"{"iss":"https://b.example","aud":["news","my-chat-1"]}"#),
        Ok(())
    );
    for other in [
        r#"{"aud":"chat"}"#,
        r#"{"iss":"https://c.example","aud":"chat"}"#,
        r#"{"iss":"https://a.example.evil","aud":"chat"}"#,
    ] {
        assert_invalid(verify(other), "it is from another issuer (`iss`)");
    }
    assert_invalid(
        verify(r#"{"iss":"https://a.example","aud":"news"}"#),
        "it is for another audience (`aud`)",
    );
}
