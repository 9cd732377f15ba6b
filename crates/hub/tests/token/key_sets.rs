//! Keys that issuers publish: which are used, when they are asked for, and how often.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use sockeye_hub::{
    UnixMillis,
    token::{JwksEndpoint, JwksSource, TokenError, Verifier, VerifierConfig},
};
use tokio::sync::Semaphore;

use super::{NOW, assert_invalid, fixture, signed_with_header};

const URL: &str = "https://a.example/keys";
const KEYS: &str = include_str!("fixtures/jwks.json");

/// Answers with what the test has put there, and writes down what it was asked for.
#[derive(Default)]
struct Issuer {
    asked: Mutex<Vec<String>>,
    answer: Mutex<Option<Result<String, String>>>,
    /// A request needs a permit of this, if it is there.
    gate: Option<Arc<Semaphore>>,
}

impl Issuer {
    fn answering(answer: &str) -> Arc<Self> {
        let issuer = Self::default();
        issuer.answer(Ok(answer));
        Arc::new(issuer)
    }

    fn answer(&self, answer: Result<&str, &str>) {
        *self.answer.lock().expect("no panic") =
            Some(answer.map(str::to_owned).map_err(str::to_owned));
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

impl Issuer {
    fn source(self: &Arc<Self>) -> Arc<dyn JwksSource> {
        let issuer = Arc::clone(self);
        Arc::new(move |url: String| {
            let issuer = Arc::clone(&issuer);
            async move {
                issuer.asked.lock().expect("no panic").push(url);
                if let Some(gate) = &issuer.gate {
                    gate.acquire().await.expect("open").forget();
                }
                let answer = issuer.answer.lock().expect("no panic").clone();
                answer.expect("an answer").map(Bytes::from)
            }
        })
    }
}

fn endpoint(url: &str, issuer: Option<&str>) -> JwksEndpoint {
    JwksEndpoint {
        url: url.to_owned(),
        issuer: issuer.map(str::to_owned),
    }
}

fn verifier(issuer: &Arc<Issuer>) -> Verifier {
    with_endpoints(vec![endpoint(URL, None)], issuer.source())
}

fn with_endpoints(jwks: Vec<JwksEndpoint>, source: Arc<dyn JwksSource>) -> Verifier {
    let config = VerifierConfig {
        jwks,
        ..VerifierConfig::default()
    };
    Verifier::with_jwks_source(config, source).expect("usable")
}

async fn verify(verifier: &Verifier, token: &str, now: UnixMillis) -> Result<(), TokenError> {
    verifier.fetch_keys(token, now).await?;
    verifier.verify_connection(token, now).map(|_| ())
}

/// Returns a token that names this key, which nobody has signed.
fn naming(key_id: &str) -> String {
    let header = format!(r#"{{"alg":"RS256","kid":"{key_id}"}}"#);
    signed_with_header(b"nobody", header.as_bytes(), br#"{"sub":"42"}"#)
}

fn later(seconds: u64) -> UnixMillis {
    UnixMillis(NOW.0 + seconds * 1000)
}

#[tokio::test(start_paused = true)]
async fn keys_of_each_kind_are_fetched_once_and_used() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    for token in [
        fixture!("RS256.jwt"),
        fixture!("RS512.jwt"),
        fixture!("PS384.jwt"),
        fixture!("ES256.jwt"),
        fixture!("ES384.jwt"),
        fixture!("EdDSA.jwt"),
    ] {
        assert_eq!(verify(&verifier, token, NOW).await, Ok(()));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_symmetric_key_and_one_for_encryption_are_not_used() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    let header = br#"{"alg":"HS256","kid":"oct"}"#;
    let with_published_secret = signed_with_header(b"secret", header, b"{}");
    assert_invalid(
        verify(&verifier, &with_published_secret, NOW).await,
        "no key for HS256 is configured",
    );
    assert_eq!(issuer.asked(), 0, "HMAC has no public keys");
    assert_invalid(
        verify(&verifier, &naming("for-encryption"), NOW).await,
        "its key (`kid`) isn't known",
    );
}

#[tokio::test(start_paused = true)]
async fn the_algorithm_of_a_published_key_holds() {
    let only_rs512 = KEYS.replace(r#""use": "sig""#, r#""alg": "RS512""#);
    let issuer = Issuer::answering(&only_rs512);
    let verifier = verifier(&issuer);
    assert_eq!(verify(&verifier, fixture!("RS512.jwt"), NOW).await, Ok(()));
    assert_invalid(
        verify(&verifier, fixture!("RS256.jwt"), NOW).await,
        "the signature is wrong",
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_names_no_key_or_is_signed_with_another_is_refused() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    let unnamed = signed_with_header(b"x", br#"{"alg":"RS256"}"#, b"{}");
    assert_invalid(
        verify(&verifier, &unnamed, NOW).await,
        "it names no key (`kid`)",
    );
    assert_invalid(
        verify(&verifier, &naming("rsa"), NOW).await,
        "the signature is wrong",
    );
    let long = naming(&"k".repeat(257));
    assert_invalid(
        verify(&verifier, &long, NOW).await,
        "the key id (`kid`) is longer than 256 bytes",
    );
}

/// GHSA-g6vg-wj8f-48cj: a cache by key id alone gave one issuer the keys of another.
///
/// HUB 4, scenario 25.
#[tokio::test(start_paused = true)]
async fn the_same_key_id_at_two_issuers_is_two_keys_ghsa_g6vg_wj8f_48cj() {
    let source = Arc::new(|url: String| async move {
        Ok(Bytes::from_static(match url.as_str() {
            "https://a.example/keys" => KEYS.as_bytes(),
            "https://b.example/keys" => include_str!("fixtures/other_jwks.json").as_bytes(),
            other => panic!("asked for {other}"),
        }))
    });
    let verifier = with_endpoints(
        vec![
            endpoint("https://a.example/keys", Some("https://a.example")),
            endpoint("https://b.example/keys", Some("https://b.example")),
        ],
        source,
    );
    for _ in 0..2 {
        assert_eq!(
            verify(&verifier, fixture!("issuer_a.jwt"), NOW).await,
            Ok(())
        );
        assert_eq!(
            verify(&verifier, fixture!("issuer_b.jwt"), NOW).await,
            Ok(())
        );
        assert_invalid(
            verify(&verifier, fixture!("b_claims_to_be_a.jwt"), NOW).await,
            "the signature is wrong",
        );
    }
    // No `iss` at all: no endpoint is for it.
    assert_invalid(
        verify(&verifier, fixture!("RS256.jwt"), NOW).await,
        "its key (`kid`) isn't known",
    );
}

/// GHSA-j77h-rr39-c552: the URL of the keys was built from claims that nobody had verified. That a configured URL has no
/// placeholders is tested with the configuration.
///
/// HUB 4, scenario 25.
#[tokio::test(start_paused = true)]
async fn nothing_in_a_token_decides_which_url_is_asked_ghsa_j77h_rr39_c552() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    for (header, claims) in [
        (r#"{"alg":"RS256","kid":"https://evil.example/"}"#, "{}"),
        (
            r#"{"alg":"RS256","kid":"x","jku":"https://evil.example/"}"#,
            "{}",
        ),
        (
            r#"{"alg":"RS256","kid":"x","x5u":"https://evil.example/"}"#,
            "{}",
        ),
        (
            r#"{"alg":"RS256","kid":"x"}"#,
            r#"{"iss":"https://evil.example","aud":"https://evil.example"}"#,
        ),
        (r#"{"alg":"RS256","kid":"../../evil"}"#, "{}"),
    ] {
        let token = signed_with_header(b"x", header.as_bytes(), claims.as_bytes());
        assert!(verify(&verifier, &token, NOW).await.is_err());
    }
    let asked = issuer.asked.lock().expect("no panic");
    assert!(asked.iter().all(|url| url == URL), "{asked:?}");
    assert!(!asked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_name_unknown_keys_cause_one_request_per_interval() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    assert_invalid(
        verify(&verifier, &naming("unknown"), NOW).await,
        "its key (`kid`) isn't known",
    );
    for number in 0..1000 {
        let verdict = verify(
            &verifier,
            &naming(&format!("k{number}")),
            later(number / 110),
        )
        .await;
        let reason = "the key is unknown, and the endpoint was asked less than 10 s ago";
        assert_eq!(verdict, Err(TokenError::KeysUnavailable(reason.into())));
        assert_eq!(verify(&verifier, fixture!("RS256.jwt"), NOW).await, Ok(()));
    }
    assert_eq!(issuer.asked(), 1);
    assert_invalid(
        verify(&verifier, &naming("unknown"), later(10)).await,
        "its key (`kid`) isn't known",
    );
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_issuer_is_found_and_an_old_one_ends() {
    let issuer = Issuer::answering(include_str!("fixtures/other_jwks.json"));
    let verifier = verifier(&issuer);
    let old = fixture!("issuer_b.jwt");
    assert_eq!(verify(&verifier, old, NOW).await, Ok(()));

    issuer.answer(Ok(KEYS));
    assert_eq!(
        verify(&verifier, fixture!("ES256.jwt"), later(10)).await,
        Ok(())
    );
    assert_eq!(issuer.asked(), 2);
    // Under the old id is another key now.
    assert_invalid(
        verify(&verifier, old, later(11)).await,
        "the signature is wrong",
    );
}

#[tokio::test(start_paused = true)]
async fn keys_are_asked_for_again_when_their_time_to_live_is_over() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    let token = fixture!("RS256.jwt");
    assert_eq!(verify(&verifier, token, NOW).await, Ok(()));
    assert_eq!(verify(&verifier, token, later(3599)).await, Ok(()));
    assert_eq!(issuer.asked(), 1);

    // Withdrawn by the issuer.
    issuer.answer(Ok(r#"{"keys":[]}"#));
    assert_invalid(
        verify(&verifier, token, later(3600)).await,
        "its key (`kid`) isn't known",
    );
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_the_endpoint_fails_old_keys_hold_for_another_time_to_live() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    let token = fixture!("RS256.jwt");
    assert_eq!(verify(&verifier, token, NOW).await, Ok(()));

    issuer.answer(Err("connection refused"));
    assert_eq!(verify(&verifier, token, later(3600)).await, Ok(()));
    assert_eq!(verify(&verifier, token, later(3601)).await, Ok(()));
    assert_eq!(issuer.asked(), 2, "not again within the interval");
    assert_eq!(verify(&verifier, token, later(7199)).await, Ok(()));
    let unavailable = TokenError::KeysUnavailable("connection refused".into());
    assert_eq!(
        verify(&verifier, token, later(7200)).await,
        Err(unavailable)
    );

    issuer.answer(Ok(KEYS));
    assert_eq!(verify(&verifier, token, later(7210)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_a_temporary_error_and_asked_once_per_interval() {
    let issuer = Issuer::answering(KEYS);
    let verifier = verifier(&issuer);
    let token = fixture!("RS256.jwt");
    for (number, (answer, reason)) in [
        (Err("connection refused"), "connection refused"),
        (
            Ok("<html>"),
            "the answer isn't a JSON object with the array `keys`",
        ),
        (
            Ok(r#"{"keys":{}}"#),
            "the answer isn't a JSON object with the array `keys`",
        ),
        (
            Ok(&*format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(64))),
            "the answer has more than 64 keys",
        ),
        (
            Ok(&*format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(262_144))),
            "the answer is longer than 262144 bytes",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        issuer.answer(answer);
        let unavailable = TokenError::KeysUnavailable(reason.to_owned().into());
        let now = later(number as u64 * 10);
        for _ in 0..3 {
            assert_eq!(
                verify(&verifier, token, now).await,
                Err(unavailable.clone())
            );
        }
        assert_eq!(issuer.asked(), number + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_used_are_left_out_and_the_others_used() {
    let odd = r#"
        {"kty":"RSA","kid":"rsa"}, {"kty":"EC","kid":"p256","crv":"P-256","x":"AA","y":"AA"}, {"kty":"quantum","kid":"q"},
        {"kty":"RSA","kid":"rsa","n":"AQAB","e":"AQAB"}, {}, 1, null, {"kty":"OKP","kid":"x","crv":"X25519","x":"AA"},
        {"kty":"RSA","kid":"rsa","alg":"RSA-OAEP","n":"AQAB","e":"AQAB"},"#;
    let issuer = Issuer::answering(&KEYS.replacen('[', &format!("[{odd}"), 1));
    let verifier = verifier(&issuer);
    assert_eq!(verify(&verifier, fixture!("RS256.jwt"), NOW).await, Ok(()));
    assert_eq!(verify(&verifier, fixture!("ES256.jwt"), NOW).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_share_one_request() {
    let gate = Arc::new(Semaphore::new(0));
    let issuer = Arc::new(Issuer {
        gate: Some(Arc::clone(&gate)),
        ..Issuer::default()
    });
    issuer.answer(Ok(KEYS));
    let verifier = Arc::new(verifier(&issuer));
    let waiting: Vec<_> = (0..2000)
        .map(|_| {
            let verifier = Arc::clone(&verifier);
            tokio::spawn(async move { verify(&verifier, fixture!("RS256.jwt"), NOW).await })
        })
        .collect();
    gate.add_permits(1);
    for task in waiting {
        assert_eq!(task.await.expect("no panic"), Ok(()));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_does_not_stop_the_request() {
    let gate = Arc::new(Semaphore::new(0));
    let issuer = Arc::new(Issuer {
        gate: Some(Arc::clone(&gate)),
        ..Issuer::default()
    });
    issuer.answer(Ok(KEYS));
    let verifier = verifier(&issuer);
    let token = fixture!("RS256.jwt");
    let gone = tokio::time::timeout(Duration::from_secs(1), verifier.fetch_keys(token, NOW));
    assert!(gone.await.is_err(), "nobody has answered");
    gate.add_permits(1);
    assert_eq!(verify(&verifier, token, later(2)).await, Ok(()));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_and_so_does_one_that_panics() {
    let issuer = Arc::new(Issuer {
        gate: Some(Arc::new(Semaphore::new(0))),
        ..Issuer::default()
    });
    let token = fixture!("RS256.jwt");
    let silent = verifier(&issuer);
    let unavailable = TokenError::KeysUnavailable("no answer in time".into());
    assert_eq!(verify(&silent, token, NOW).await, Err(unavailable));

    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let panicking = with_endpoints(
        vec![endpoint(URL, None)],
        Arc::new(move |_url: String| {
            let counted = Arc::clone(&counted);
            async move {
                assert!(
                    counted.fetch_add(1, Ordering::Relaxed) > 0,
                    "the first fails"
                );
                Ok(Bytes::from_static(KEYS.as_bytes()))
            }
        }),
    );
    let unavailable = TokenError::KeysUnavailable("the request was given up".into());
    assert_eq!(verify(&panicking, token, NOW).await, Err(unavailable));
    assert_eq!(verify(&panicking, token, later(10)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_does_not_stop_requests() {
    let issuer = Issuer::answering(include_str!("fixtures/other_jwks.json"));
    let verifier = verifier(&issuer);
    assert_eq!(
        verify(&verifier, fixture!("issuer_b.jwt"), later(86_400)).await,
        Ok(())
    );
    issuer.answer(Ok(KEYS));
    assert_eq!(verify(&verifier, fixture!("ES256.jwt"), NOW).await, Ok(()));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_signed_with_a_configured_key_needs_no_request() {
    let issuer = Issuer::answering(KEYS);
    let config = VerifierConfig {
        hmac_secret_key: Some("secret".to_owned()),
        rsa_public_key: Some(fixture!("rsa.pem").to_owned()),
        jwks: vec![endpoint(URL, None)],
        ..VerifierConfig::default()
    };
    let verifier = Verifier::with_jwks_source(config, issuer.source()).expect("usable");
    assert_eq!(verify(&verifier, fixture!("HS256.jwt"), NOW).await, Ok(()));
    assert_eq!(verify(&verifier, fixture!("RS256.jwt"), NOW).await, Ok(()));
    assert!(verify(&verifier, "garbage", NOW).await.is_err());
    assert_eq!(issuer.asked(), 0);
    // And one of an issuer's other keys does.
    assert_eq!(verify(&verifier, fixture!("ES256.jwt"), NOW).await, Ok(()));
    assert_eq!(issuer.asked(), 1);
}
