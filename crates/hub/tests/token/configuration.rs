//! What is said about a configuration that can't be used.

use sockeye_hub::token::{JwksEndpoint, Verifier, VerifierConfig};

use super::{fixture, with_secret};

#[track_caller]
fn assert_unusable(config: VerifierConfig, message: &str) {
    let error = Verifier::new(config).expect_err("unusable");
    assert_eq!(error.to_string(), message);
}

fn with_rsa(pem: &str) -> VerifierConfig {
    VerifierConfig {
        rsa_public_key: Some(pem.to_owned()),
        ..VerifierConfig::default()
    }
}

fn with_ecdsa(pem: &str) -> VerifierConfig {
    VerifierConfig {
        ecdsa_public_key: Some(pem.to_owned()),
        ..VerifierConfig::default()
    }
}

#[test]
fn a_secret_is_not_empty_and_not_a_public_key() {
    assert_unusable(with_secret(""), "hmac_secret_key: is empty");
    let previous = VerifierConfig {
        hmac_previous_secret_key: Some(String::new()),
        ..with_secret("secret")
    };
    assert_unusable(previous, "hmac_previous_secret_key: is empty");
    assert_unusable(
        with_secret(fixture!("rsa.pem")),
        "hmac_secret_key: is a key in PEM; a secret shared with the application belongs here",
    );
}

#[test]
fn a_public_key_that_cannot_be_used_is_named_with_the_reason() {
    assert_unusable(
        with_rsa("secret"),
        "rsa_public_key: isn't PEM: it has no lines -----BEGIN PUBLIC KEY----- and -----END PUBLIC KEY-----",
    );
    assert_unusable(
        with_rsa("-----BEGIN PUBLIC KEY-----\nAA!A\n-----END PUBLIC KEY-----"),
        "rsa_public_key: isn't base64 between its first and last line: Invalid symbol 33, offset 2.",
    );
    assert_unusable(
        with_rsa("-----BEGIN PUBLIC KEY-----\nMAAA\n-----END PUBLIC KEY-----"),
        "rsa_public_key: isn't a public key for RSA, for ECDSA with P-256 or P-384, or for Ed25519",
    );
    assert_unusable(
        with_rsa("-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----"),
        "rsa_public_key: holds a private key, which the server must not have; take the public one out of it: openssl pkey -in FILE -pubout",
    );
    assert_unusable(
        with_rsa("-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----"),
        "rsa_public_key: holds a certificate; take the key out of it: openssl x509 -in FILE -noout -pubkey",
    );
    assert_unusable(
        with_rsa(fixture!("rsa1024.pem")),
        "rsa_public_key: is an RSA key of 1024 bits; 2048 to 8192 are accepted",
    );
    assert_unusable(
        with_rsa(fixture!("p256.pem")),
        "rsa_public_key: is a key for ECDSA, not for RSA",
    );
    assert_unusable(
        with_ecdsa(fixture!("rsa.pem")),
        "ecdsa_public_key: is a key for RSA, not for ECDSA",
    );
    assert_unusable(
        with_ecdsa(fixture!("p521.pem")),
        "ecdsa_public_key: is a key on the curve P-521, which isn't supported",
    );
    assert_unusable(
        with_ecdsa(fixture!("p256_compressed.pem")),
        "ecdsa_public_key: is an ECDSA key with a compressed point; write it uncompressed: openssl ec -pubin -in FILE -conv_form uncompressed",
    );
    let ed25519 = VerifierConfig {
        ed25519_public_key: Some(fixture!("p384.pem").to_owned()),
        ..VerifierConfig::default()
    };
    assert_unusable(
        ed25519,
        "ed25519_public_key: is a key for ECDSA, not for Ed25519",
    );
}

#[test]
fn a_key_that_is_cut_off_anywhere_is_refused() {
    let pem = fixture!("rsa.pem");
    for end in 0..pem.len() {
        assert!(Verifier::new(with_rsa(&pem[..end])).is_err(), "{end}");
    }
}

#[test]
fn endpoints_need_a_source_and_their_urls_are_fixed() {
    let with_endpoints = |urls: &[&str]| VerifierConfig {
        jwks: urls
            .iter()
            .map(|url| JwksEndpoint {
                url: (*url).to_owned(),
                issuer: None,
            })
            .collect(),
        ..VerifierConfig::default()
    };
    let url = "https://a.example/keys";
    assert_unusable(
        with_endpoints(&[url]),
        "jwks: needs something that fetches: Verifier::with_jwks_source",
    );
    for (config, message) in [
        (
            with_endpoints(&["file:///etc/keys"]),
            r#"jwks: "file:///etc/keys" doesn't begin with https:// or http://"#,
        ),
        (
            with_endpoints(&["https://{{iss}}/keys"]),
            r#"jwks: "https://{{iss}}/keys" has a placeholder; URLs are fixed, because claims aren't verified when keys are fetched; list one endpoint per issuer"#,
        ),
        (
            with_endpoints(&[url; 17]),
            "jwks: has more than 16 endpoints",
        ),
    ] {
        let source = std::sync::Arc::new(|_url: String| async { Err("unused".to_owned()) });
        let error = Verifier::with_jwks_source(config, source).expect_err("unusable");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn without_keys_no_token_is_valid() {
    let verifier = Verifier::new(VerifierConfig::default()).expect("usable");
    assert!(!verifier.has_keys());
    super::assert_invalid(
        verifier.verify_connection(&super::signed("{}"), super::NOW),
        "no key for HS256 is configured",
    );
    assert!(super::verifier().has_keys());
}

#[test]
fn debug_output_shows_no_secret() {
    let config = VerifierConfig {
        hmac_previous_secret_key: Some("hidden-too".to_owned()),
        ..with_secret("hidden")
    };
    let shown = format!("{config:?} {:?}", Verifier::new(config.clone()));
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn a_regular_expression_is_valid_and_stands_alone() {
    let both = VerifierConfig {
        issuer: Some("a".to_owned()),
        issuer_regex: Some("a".to_owned()),
        ..VerifierConfig::default()
    };
    assert_unusable(
        both,
        "issuer_regex: is there together with its form without _regex",
    );
    let open = VerifierConfig {
        audience_regex: Some("(a".to_owned()),
        ..VerifierConfig::default()
    };
    assert_unusable(open, "audience_regex: unclosed group");
}
