//! Signatures: tokens of other implementations, and the examples of the standards.

use sockeye_hub::{
    UnixMillis,
    token::{Verifier, VerifierConfig},
};

use super::{NOW, SECRET, assert_invalid, fixture, verifier, with_secret};

fn with_all_keys() -> VerifierConfig {
    VerifierConfig {
        rsa_public_key: Some(fixture!("rsa.pem").to_owned()),
        ecdsa_public_key: Some(fixture!("p256.pem").to_owned()),
        ed25519_public_key: Some(fixture!("ed25519.pem").to_owned()),
        ..with_secret(SECRET)
    }
}

#[track_caller]
fn assert_accepted(config: VerifierConfig, token: &str) {
    let verifier = Verifier::new(config).expect("usable keys");
    let claims = verifier.verify_connection(token, NOW).expect("accepted");
    assert_eq!(claims.user, "42");
    assert_eq!(claims.expire_at, Some(UnixMillis(4_102_444_800_000)));
}

#[test]
fn tokens_of_another_implementation_are_accepted() {
    for token in [
        fixture!("HS256.jwt"),
        fixture!("HS384.jwt"),
        fixture!("HS512.jwt"),
        fixture!("RS256.jwt"),
        fixture!("RS384.jwt"),
        fixture!("RS512.jwt"),
        fixture!("PS256.jwt"),
        fixture!("PS384.jwt"),
        fixture!("PS512.jwt"),
        fixture!("ES256.jwt"),
        fixture!("EdDSA.jwt"),
    ] {
        assert_accepted(with_all_keys(), token);
    }
    let p384 = VerifierConfig {
        ecdsa_public_key: Some(fixture!("p384.pem").to_owned()),
        ..VerifierConfig::default()
    };
    assert_accepted(p384, fixture!("ES384.jwt"));
}

#[test]
fn an_rsa_key_may_be_pkcs1_too() {
    let config = VerifierConfig {
        rsa_public_key: Some(fixture!("rsa_pkcs1.pem").to_owned()),
        ..VerifierConfig::default()
    };
    assert_accepted(config, fixture!("RS256.jwt"));
}

#[test]
fn a_token_is_refused_when_one_bit_of_any_part_is_changed() {
    let verifier = Verifier::new(with_all_keys()).expect("usable keys");
    for token in [
        fixture!("HS256.jwt"),
        fixture!("RS256.jwt"),
        fixture!("PS256.jwt"),
        fixture!("ES256.jwt"),
        fixture!("EdDSA.jwt"),
    ] {
        assert!(verifier.verify_connection(token, NOW).is_ok());
        for place in 0..token.len() {
            let mut bytes = token.as_bytes().to_vec();
            bytes[place] ^= 1;
            let changed = String::from_utf8(bytes).expect("still ASCII");
            assert!(
                verifier.verify_connection(&changed, NOW).is_err(),
                "byte {place} of {token}"
            );
        }
    }
}

#[test]
fn es256_and_es384_are_for_their_curve_only() {
    let config = |pem: &str| VerifierConfig {
        ecdsa_public_key: Some(pem.to_owned()),
        ..VerifierConfig::default()
    };
    let p256 = Verifier::new(config(fixture!("p256.pem"))).expect("a usable key");
    assert_invalid(
        p256.verify_connection(fixture!("ES384.jwt"), NOW),
        "no key for ES384 is configured",
    );
    let p384 = Verifier::new(config(fixture!("p384.pem"))).expect("a usable key");
    assert_invalid(
        p384.verify_connection(fixture!("ES256.jwt"), NOW),
        "no key for ES256 is configured",
    );
}

#[test]
fn es512_is_said_not_to_be_supported() {
    assert_invalid(
        verifier().verify_connection(fixture!("ES512.jwt"), NOW),
        "ES512 isn't supported",
    );
}

/// RFC 7515, appendix A.3.
#[test]
fn the_example_of_rfc_7515_is_accepted() {
    // `iss` is joe, `exp` is 1300819380.
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let es256 = format!(
        "eyJhbGciOiJFUzI1NiJ9.{claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let config = VerifierConfig {
        // The point of appendix A.3.1 as SubjectPublicKeyInfo.
        ecdsa_public_key: Some(
            "-----BEGIN PUBLIC KEY-----\n\
             MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n\
             6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n\
             -----END PUBLIC KEY-----\n"
                .to_owned(),
        ),
        issuer: Some("joe".to_owned()),
        ..VerifierConfig::default()
    };
    let verifier = Verifier::new(config).expect("a usable key");
    let before = UnixMillis(1_300_819_379_000);
    let claims = verifier
        .verify_connection(&es256, before)
        .expect("accepted");
    assert_eq!(claims.registered.issuer.as_deref(), Some("joe"));
    assert_eq!(claims.user, "");
}
