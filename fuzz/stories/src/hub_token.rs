//! A token that a client sends, claims that an application signs, and a public key in a configuration.

use sockeye_hub::{
    UnixMillis,
    token::{Verifier, VerifierConfig, decode_unverified, sign_hs256},
};

/// Takes what follows the first byte of `data` for a token (`t`), for claims (`c`) or for a public key (`k`).
///
/// # Panics
/// If a payload could split a line, or two verifications differ.
pub fn hub_token(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind {
        b't' => verify(&String::from_utf8_lossy(data)),
        b'c' => {
            if let Ok(token) = sign_hs256(SECRET.as_bytes(), data) {
                verify(&token);
            }
        }
        b'k' => {
            let key = Some(String::from_utf8_lossy(data).into_owned());
            let _ = Verifier::new(VerifierConfig {
                rsa_public_key: key.clone(),
                ..VerifierConfig::default()
            });
            let _ = Verifier::new(VerifierConfig {
                ecdsa_public_key: key,
                ..VerifierConfig::default()
            });
        }
        _ => {}
    }
}

fn verify(token: &str) {
    let verifier = Verifier::new(VerifierConfig {
        hmac_secret_key: Some(SECRET.to_owned()),
        rsa_public_key: Some(RSA.to_owned()),
        ..VerifierConfig::default()
    })
    .expect("usable keys");
    let _ = decode_unverified(token);
    let connection = verifier.verify_connection(token, NOW);
    assert_eq!(connection, verifier.verify_connection(token, NOW));
    if let Ok(claims) = connection {
        assert!(claims.meta.is_none_or(|meta| is_one_line_of_json(&meta)));
        for (channel, _) in &claims.subs {
            let same = claims.subs.iter().filter(|(other, _)| other == channel);
            assert_eq!(same.count(), 1, "a channel is there twice");
        }
    }
    if let Ok(claims) = verifier.verify_subscription(token, NOW) {
        assert!(!claims.channel.is_empty(), "no channel");
        assert!(
            verifier.verify_connection(token, NOW).is_err(),
            "a token for both"
        );
    }
}

fn is_one_line_of_json(payload: &[u8]) -> bool {
    !payload.is_empty() && !payload.contains(&b'\n') && !payload.contains(&b'\r')
}

const SECRET: &str = "secret";
const RSA: &str = include_str!("../../../crates/hub/tests/token/fixtures/rsa.pem");

/// 2026-01-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);
