//! Tokens made to deceive or to break the parser.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use sockeye_hub::token::{
    TOKEN_BYTES_MAX, TokenError, Verifier, VerifierConfig, decode_unverified, sign_hs256,
};

use super::{
    NOW, SECRET, assert_invalid, fixture, signed, signed_with_header, verifier, with_secret,
};

fn verify(token: &str) -> Result<(), TokenError> {
    verifier().verify_connection(token, NOW).map(|_| ())
}

#[test]
fn a_token_without_a_signature_is_refused_however_none_is_written() {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"42"}"#);
    for (alg, reason) in [
        ("none", "it isn't signed (`alg` is `none`)"),
        ("None", "the algorithm isn't supported"),
        ("NONE", "the algorithm isn't supported"),
        ("nOnE", "the algorithm isn't supported"),
        ("", "the algorithm isn't supported"),
    ] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}"}}"#));
        assert_invalid(verify(&format!("{header}.{claims}.")), reason);
        let signature = URL_SAFE_NO_PAD.encode("x");
        assert_invalid(verify(&format!("{header}.{claims}.{signature}")), reason);
    }
    let hs256 = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    assert_invalid(
        verify(&format!("{hs256}.{claims}.")),
        "the signature is wrong",
    );
}

/// Algorithm confusion: everybody knows the public key, and could sign with it if the token chose the algorithm.
#[test]
fn a_public_key_is_never_used_as_an_hmac_secret() {
    let pem = include_str!("fixtures/rsa.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).expect("base64");
    let only_rsa = VerifierConfig {
        rsa_public_key: Some(pem.to_owned()),
        ..VerifierConfig::default()
    };
    let with_hmac = VerifierConfig {
        rsa_public_key: Some(pem.to_owned()),
        ..with_secret(SECRET)
    };
    let only_rsa = Verifier::new(only_rsa).expect("usable");
    let with_hmac = Verifier::new(with_hmac).expect("usable");
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), &der] {
        let token = sign_hs256(secret, br#"{"sub":"42"}"#).expect("signed");
        assert_invalid(
            only_rsa.verify_connection(&token, NOW),
            "no key for HS256 is configured",
        );
        assert_invalid(
            with_hmac.verify_connection(&token, NOW),
            "the signature is wrong",
        );
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let jwk = r#"{"kty":"oct","k":"YXR0YWNrZXI"}"#;
    let header = format!(r#"{{"alg":"HS256","jwk":{jwk}}}"#);
    let token = signed_with_header(b"attacker", header.as_bytes(), b"{}");
    assert_invalid(verify(&token), "the signature is wrong");
}

#[test]
fn an_extension_that_must_be_understood_is_refused() {
    for header in [
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":[]}"#,
    ] {
        let token = signed_with_header(SECRET.as_bytes(), header.as_bytes(), b"{}");
        assert_invalid(
            verify(&token),
            "the header has critical extensions (`crit`)",
        );
    }
}

#[test]
fn a_header_that_is_not_an_object_with_one_alg_is_refused() {
    for header in [
        "",
        "{}",
        "[]",
        "null",
        "\"HS256\"",
        r#"{"alg":null}"#,
        r#"{"alg":1}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":"HS256"} {}"#,
        r#"{"alg":"HS256""#,
    ] {
        let token = signed_with_header(SECRET.as_bytes(), header.as_bytes(), b"{}");
        assert_invalid(
            verify(&token),
            "the header isn't a JSON object with the string `alg`",
        );
    }
}

#[test]
fn claims_that_are_not_an_object_or_name_a_claim_twice_are_refused() {
    let header = br#"{"alg":"HS256"}"#;
    for claims in [
        "".as_bytes(),
        b"[]",
        b"null",
        b"1",
        b"{} {}",
        b"{\"sub\":\"1\"",
        br#"{"sub":"1","sub":"2"}"#,
        br#"{"sub":"1","s\u0075b":"2"}"#,
        b"{\"sub\":\"\xff\"}",
        b"{\"sub\":\"a\nb\"}",
        b"\xff",
    ] {
        let token = signed_with_header(SECRET.as_bytes(), header, claims);
        let shown = String::from_utf8_lossy(claims);
        assert!(
            matches!(verify(&token), Err(TokenError::Invalid(_))),
            "{shown}"
        );
    }
}

#[test]
fn a_token_has_three_parts_in_strict_base64url() {
    let token = signed("{}");
    let parts = "it isn't three parts with points between them";
    assert_invalid(verify(""), parts);
    assert_invalid(verify("."), parts);
    assert_invalid(verify("a.b"), parts);
    assert_invalid(verify(&format!("{token}.")), parts);
    assert_invalid(verify(&format!("{token}.{token}")), parts);
    assert_invalid(
        verify(".."),
        "the header isn't a JSON object with the string `alg`",
    );
    for changed in [
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        token.replace('-', "+").replace('_', "/") + "+/",
        // The last of 43 characters has four bits that belong to nothing: another letter would be the same signature.
        {
            let mut other = token.clone();
            let last = other.pop().expect("not empty");
            other.push(char::from(last as u8 + 1));
            other
        },
    ] {
        assert!(verify(&changed).is_err(), "{changed:?}");
    }
    assert_eq!(verify(&token), Ok(()));
}

#[test]
fn a_token_of_the_longest_length_is_read_and_a_longer_one_is_not() {
    let of_length = |length: usize| {
        let header = br#"{"alg":"HS256"}"#;
        // Three bytes of claims are four of the token; header, points and signature take 20, 2 and 43.
        let claims_bytes = (length - 20 - 2 - 43) * 3 / 4;
        let filler = "x".repeat(claims_bytes - r#"{"a":""}"#.len());
        let claims = format!(r#"{{"a":"{filler}"}}"#);
        signed_with_header(SECRET.as_bytes(), header, claims.as_bytes())
    };
    let longest = of_length(TOKEN_BYTES_MAX);
    assert_eq!(longest.len(), TOKEN_BYTES_MAX);
    assert_eq!(verify(&longest), Ok(()));
    let longer = of_length(TOKEN_BYTES_MAX + 2);
    assert!(longer.len() > TOKEN_BYTES_MAX);
    assert_invalid(verify(&longer), "it is longer than 65536 bytes");
    assert_invalid(decode_unverified(&longer), "it is longer than 65536 bytes");
}

#[test]
fn deep_claims_do_not_exhaust_the_stack() {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    let header = br#"{"alg":"HS256"}"#;
    for claims in [
        format!(r#"{{"info":{deep}}}"#),
        format!(r#"{{"exp":{deep}}}"#),
        format!(r#"{{"subs":{deep}}}"#),
        deep,
    ] {
        let token = signed_with_header(SECRET.as_bytes(), header, claims.as_bytes());
        // Whether it is accepted is of no interest here.
        let _ = verify(&token);
    }
}

#[test]
fn a_signature_of_another_length_is_refused() {
    let (signed, signature) = fixture!("ES256.jwt").rsplit_once('.').expect("three parts");
    let ecdsa = Verifier::new(VerifierConfig {
        ecdsa_public_key: Some(fixture!("p256.pem").to_owned()),
        ..VerifierConfig::default()
    })
    .expect("usable");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    for other in [
        &signature[..63],
        &[&signature[..], &[0]].concat(),
        &[0; 64],
        &[],
    ] {
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other));
        assert_invalid(
            ecdsa.verify_connection(&token, NOW),
            "the signature is wrong",
        );
    }
    // A prefix of the right HMAC isn't it.
    let token = super::signed("{}");
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let cut = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature[..16]));
    assert_invalid(verify(&cut), "the signature is wrong");
}

#[test]
fn decoding_without_verifying_shows_what_the_token_says() {
    let decoded = decode_unverified(&signed(r#"{"sub":"42"}"#)).expect("three parts");
    assert_eq!(decoded.header, br#"{"alg":"HS256","typ":"JWT"}"#);
    assert_eq!(decoded.claims, br#"{"sub":"42"}"#);
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_and_never_panics(text in any::<String>()) {
        prop_assert!(verifier().verify_connection(&text, NOW).is_err());
        prop_assert!(verifier().verify_subscription(&text, NOW).is_err());
        let _ = decode_unverified(&text);
    }

    #[test]
    fn arbitrary_parts_are_refused_and_never_panic(
        header in any::<Vec<u8>>(), claims in any::<Vec<u8>>(), signature in any::<Vec<u8>>(),
    ) {
        let parts = [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part));
        prop_assert!(verifier().verify_connection(&parts.join("."), NOW).is_err());
    }

    #[test]
    fn signed_claims_of_any_kind_never_panic(
        name in "sub|exp|nbf|iat|aud|iss|jti|info|b64info|data|b64data|channels|subs|meta|expire_at|client|channel|override",
        value in "[-0-9.eE+]{0,30}|\"[^\"\\\\\\x00-\\x1f]{0,20}\"|\\[[0-9,\"a]{0,9}\\]|\\{(\"a\":[{}0-9]{0,5},?){0,3}\\}|\\PC{0,20}",
    ) {
        let claims = format!("{{\"{name}\":{value}}}");
        let token = signed_with_header(SECRET.as_bytes(), br#"{"alg":"HS256"}"#, claims.as_bytes());
        let _ = verifier().verify_connection(&token, NOW);
        let _ = verifier().verify_subscription(&token, NOW);
    }

    #[test]
    fn what_is_signed_is_read_back(user in any::<String>(), channel in ".+") {
        let claims = serde_json::json!({"sub": user, "channel": channel}).to_string();
        let read = verifier().verify_subscription(&signed(&claims), NOW).expect("valid");
        prop_assert_eq!(read.user, user);
        prop_assert_eq!(read.channel, channel);
    }
}
