//! Where the keys of tokens are fetched that issuers publish.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use sockeye::ClientTls;
use sockeye_hub::token::{JwksSource, KeyCacheLimits};
use url::Url;

use crate::http_client::HttpClient;

/// Fetches the key set of one endpoint.
pub(crate) struct KeySource(Arc<HttpClient>);

impl KeySource {
    pub(crate) fn new(url: Url) -> Self {
        let bytes_max = KeyCacheLimits::default().response_bytes_max;
        Self(Arc::new(HttpClient::new(
            url,
            ClientTls::new(),
            None,
            bytes_max,
        )))
    }
}

impl JwksSource for KeySource {
    /// The URL is the one that the source was made for, since a verifier of the configuration has one endpoint.
    fn fetch(&self, _: String) -> BoxFuture<'static, Result<Bytes, String>> {
        let client = Arc::clone(&self.0);
        async move {
            let mut request = Request::new(Full::default());
            let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
            request.headers_mut().insert(header::ACCEPT, accepted);
            let answer = client.send(request).await;
            answer.map_err(|error| error.to_string())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Mutex, time::Duration};

    use axum::{
        Router,
        extract::State,
        http::{HeaderMap, StatusCode},
        routing,
    };
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
    use serde_json::json;
    use sockeye_hub::{
        UnixMillis,
        token::{JwksEndpoint, TokenError, Verifier, VerifierConfig},
    };

    use super::*;

    /// What the issuer answers, and how often it was asked.
    #[derive(Clone, Default)]
    struct Issuer(Arc<Mutex<(StatusCode, String, usize)>>);

    impl Issuer {
        fn publish(&self, status: StatusCode, body: impl ToString) {
            let mut state = self.0.lock().unwrap();
            (state.0, state.1) = (status, body.to_string());
        }

        fn asked(&self) -> usize {
            self.0.lock().unwrap().2
        }

        /// Starts the issuer's server.
        async fn serve(&self) -> sockeye::ServerHandle {
            async fn answer(
                State(issuer): State<Issuer>,
                headers: HeaderMap,
            ) -> (StatusCode, String) {
                assert!(!headers.contains_key(header::AUTHORIZATION));
                let mut state = issuer.0.lock().unwrap();
                state.2 += 1;
                (state.0, state.1.clone())
            }
            let router = Router::new()
                .route("/keys", routing::get(answer))
                .with_state(self.clone());
            let server = sockeye::Server::bind("127.0.0.1:0").fallback(router);
            server.start().await.unwrap()
        }
    }

    /// A key of the issuer, and a token that it signs.
    struct IssuedKey(&'static str, KeyPair);

    impl IssuedKey {
        fn new(id: &'static str) -> Self {
            Self(id, KeyPair::generate_for(&PKCS_ED25519).unwrap())
        }

        fn public(&self) -> serde_json::Value {
            let public = URL_SAFE_NO_PAD.encode(self.1.der_bytes());
            json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.0, "x": public })
        }

        fn token(&self) -> String {
            let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
            let signed = format!(
                "{}.{}",
                part(json!({ "alg": "EdDSA", "kid": self.0 })),
                part(json!({ "sub": "ann" }))
            );
            let signature = self.1.sign(signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn verifier(server: &sockeye::ServerHandle) -> Verifier {
        let addr: SocketAddr = server.local_addrs()[0];
        let url = format!("http://{addr}/keys");
        let config = VerifierConfig {
            jwks: vec![JwksEndpoint {
                url: url.clone(),
                issuer: None,
            }],
            ..VerifierConfig::default()
        };
        let source = KeySource::new(Url::parse(&url).unwrap());
        Verifier::with_jwks_source(config, Arc::new(source)).unwrap()
    }

    async fn user(verifier: &Verifier, token: &str, now: UnixMillis) -> Result<String, TokenError> {
        verifier.fetch_keys(token, now).await?;
        Ok(verifier.verify_connection(token, now)?.user)
    }

    const START: UnixMillis = UnixMillis(1_700_000_000_000);

    fn after(time: Duration) -> UnixMillis {
        UnixMillis(START.0 + time.as_millis() as u64)
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_again_when_they_rotate() {
        let issuer = Issuer::default();
        let (old, new) = (IssuedKey::new("old"), IssuedKey::new("new"));
        issuer.publish(StatusCode::OK, json!({ "keys": [old.public()] }));
        let server = issuer.serve().await;
        let verifier = verifier(&server);
        for _ in 0..3 {
            assert_eq!(
                user(&verifier, &old.token(), START).await,
                Ok("ann".to_owned())
            );
        }
        assert_eq!(issuer.asked(), 1);
        issuer.publish(StatusCode::OK, json!({ "keys": [new.public()] }));
        // The endpoint was asked a moment ago, and isn't asked for every unknown key.
        let early = user(&verifier, &new.token(), after(Duration::from_secs(5))).await;
        assert!(
            matches!(early, Err(TokenError::KeysUnavailable(_))),
            "{early:?}"
        );
        assert_eq!(issuer.asked(), 1);
        let late = after(Duration::from_secs(11));
        assert_eq!(
            user(&verifier, &new.token(), late).await,
            Ok("ann".to_owned())
        );
        assert_eq!(issuer.asked(), 2);
        let withdrawn = user(&verifier, &old.token(), after(Duration::from_secs(30))).await;
        assert!(
            matches!(withdrawn, Err(TokenError::Invalid(_))),
            "{withdrawn:?}"
        );
    }

    #[tokio::test]
    async fn an_endpoint_that_fails_makes_no_token_invalid() {
        let issuer = Issuer::default();
        let key = IssuedKey::new("key");
        let server = issuer.serve().await;
        let verifier = verifier(&server);
        let mut now = START;
        for (status, body) in [
            (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            (StatusCode::OK, "<html>".to_owned()),
            (StatusCode::OK, " ".repeat(300_000)),
            (StatusCode::FOUND, String::new()),
        ] {
            issuer.publish(status, &body);
            let failed = user(&verifier, &key.token(), now).await;
            assert!(
                matches!(failed, Err(TokenError::KeysUnavailable(_))),
                "{failed:?}"
            );
            now = UnixMillis(now.0 + 11_000);
        }
        assert_eq!(issuer.asked(), 4);
        issuer.publish(StatusCode::OK, json!({ "keys": [key.public()] }));
        assert_eq!(
            user(&verifier, &key.token(), now).await,
            Ok("ann".to_owned())
        );
    }
}
