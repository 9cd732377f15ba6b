//! When a token is valid.

use std::time::Duration;

use sockeye_hub::{
    UnixMillis,
    token::{TokenError, Verifier, VerifierConfig},
};

use super::{NOW, SECRET, assert_invalid, signed, verifier, with_secret};

fn without_leeway() -> Verifier {
    Verifier::new(VerifierConfig {
        leeway: Duration::ZERO,
        ..with_secret(SECRET)
    })
    .expect("usable")
}

const EXP: &str = r#"{"exp":1000}"#;
const NBF: &str = r#"{"nbf":1000}"#;

#[test]
fn a_token_is_valid_until_the_moment_before_exp() {
    let verifier = without_leeway();
    let at = |now| verifier.verify_connection(&signed(EXP), UnixMillis(now));
    assert!(at(999_999).is_ok());
    assert_eq!(at(1_000_000), Err(TokenError::Expired));
    let subscription = verifier.verify_subscription(
        &signed(r#"{"channel":"news","exp":1000}"#),
        UnixMillis(1_000_000),
    );
    assert_eq!(subscription, Err(TokenError::Expired));
}

#[test]
fn a_token_is_valid_from_nbf_on() {
    let verifier = without_leeway();
    let at = |now| verifier.verify_connection(&signed(NBF), UnixMillis(now));
    assert_eq!(at(999_999), Err(TokenError::Expired));
    assert!(at(1_000_000).is_ok());
}

#[test]
fn clocks_may_differ_by_five_seconds_unless_another_leeway_is_configured() {
    let at = |claims, now| verifier().verify_connection(&signed(claims), UnixMillis(now));
    assert!(at(EXP, 1_004_999).is_ok());
    assert_eq!(at(EXP, 1_005_000), Err(TokenError::Expired));
    assert!(at(NBF, 995_000).is_ok());
    assert_eq!(at(NBF, 994_999), Err(TokenError::Expired));
}

#[test]
fn a_token_issued_in_the_future_is_valid() {
    let claims = verifier().verify_connection(&signed(r#"{"iat":4102444800}"#), NOW);
    assert_eq!(
        claims.expect("valid").registered.issued_at,
        Some(UnixMillis(4_102_444_800_000))
    );
}

#[test]
fn dates_may_have_fractions_and_may_be_far_away() {
    let expire_at = |claims| {
        let claims = verifier().verify_connection(&signed(claims), UnixMillis(1_500));
        claims.map(|claims| claims.expire_at)
    };
    assert_eq!(expire_at(r#"{"exp":12.75}"#), Ok(Some(UnixMillis(12_750))));
    assert_eq!(
        expire_at(r#"{"exp":1.2e3}"#),
        Ok(Some(UnixMillis(1_200_000)))
    );
    assert_eq!(
        expire_at(r#"{"exp":1e300}"#),
        Ok(Some(UnixMillis(u64::MAX)))
    );
    let long_ago = verifier().verify_connection(&signed(r#"{"exp":-5}"#), NOW);
    assert_eq!(long_ago, Err(TokenError::Expired));
}

#[test]
fn a_date_in_a_string_is_refused() {
    for (claims, name) in [
        (r#"{"exp":"4102444800"}"#, "exp"),
        (r#"{"nbf":"1"}"#, "nbf"),
        (r#"{"iat":true}"#, "iat"),
        (r#"{"exp":[4102444800]}"#, "exp"),
        (r#"{"exp":1e999}"#, "exp"),
    ] {
        assert_invalid(
            verifier().verify_connection(&signed(claims), NOW),
            &format!("`{name}` isn't a number of seconds"),
        );
    }
}

#[test]
fn expire_at_wins_over_exp_and_zero_means_never() {
    let expire_at = |claims| {
        let claims = verifier().verify_connection(&signed(claims), NOW);
        claims.expect("valid").expire_at
    };
    assert_eq!(expire_at("{}"), None);
    assert_eq!(
        expire_at(r#"{"exp":4102444800}"#),
        Some(UnixMillis(4_102_444_800_000))
    );
    assert_eq!(
        expire_at(r#"{"exp":4102444800,"expire_at":4000000000}"#),
        Some(UnixMillis(4_000_000_000_000))
    );
    assert_eq!(expire_at(r#"{"exp":4102444800,"expire_at":0}"#), None);
    assert_eq!(expire_at(r#"{"exp":4102444800,"expire_at":-1}"#), None);
    assert_eq!(
        expire_at(r#"{"exp":4102444800,"expire_at":null}"#),
        Some(UnixMillis(4_102_444_800_000))
    );
    assert_invalid(
        verifier().verify_connection(&signed(r#"{"expire_at":1.5}"#), NOW),
        "`expire_at` isn't an integer",
    );
}

#[test]
fn an_expired_token_with_a_wrong_signature_is_invalid_and_not_expired() {
    let other = Verifier::new(with_secret("another")).expect("usable");
    assert_invalid(
        other.verify_connection(&signed(EXP), NOW),
        "the signature is wrong",
    );
}

#[test]
fn the_previous_secret_is_accepted_until_its_end() {
    let verifier = Verifier::new(VerifierConfig {
        hmac_previous_secret_key: Some(SECRET.to_owned()),
        hmac_previous_secret_key_valid_until: Some(NOW),
        ..with_secret("the new one")
    })
    .expect("usable");
    let token = signed(r#"{"sub":"42"}"#);
    assert!(verifier.verify_connection(&token, NOW).is_ok());
    let later = UnixMillis(NOW.0 + 1);
    assert!(verifier.verify_connection(&token, later).is_err());

    let without_end = Verifier::new(VerifierConfig {
        hmac_previous_secret_key: Some(SECRET.to_owned()),
        ..with_secret("the new one")
    })
    .expect("usable");
    assert!(without_end.verify_connection(&token, later).is_ok());
}
