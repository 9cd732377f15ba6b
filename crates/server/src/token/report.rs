//! What `inspect` says about a token.

use std::time::Duration;

use serde_json::Value;
use sockeye::Printable;
use sockeye_hub::{
    UnixMillis,
    token::{LEEWAY_DEFAULT, TokenError, Verifier, decode_unverified},
};

use super::{
    keys::Kind,
    lifetime::{date, in_words},
    pretty::indented,
};

/// A token in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) verdict: Verdict,
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Valid,
    Invalid,
    /// There was no key.
    Unverified,
}

impl Report {
    /// Returns what a token is for, by what it says.
    pub(crate) fn kind(token: &str) -> Kind {
        let claims = decode_unverified(token).ok();
        let claims = claims.and_then(|parts| serde_json::from_slice(&parts.claims).ok());
        match claims.is_some_and(|claims| is_subscription(&claims)) {
            true => Kind::Subscription,
            false => Kind::Connection,
        }
    }

    /// Describes a token. Without a verifier the signature isn't verified.
    pub(crate) fn new(token: &str, verifier: Option<&Verifier>, now: UnixMillis) -> Self {
        let parts = match decode_unverified(token) {
            Ok(parts) => parts,
            Err(error) => {
                return Self {
                    text: format!("Verdict:  {error}\n"),
                    verdict: Verdict::Invalid,
                };
            }
        };
        let claims: Value = serde_json::from_slice(&parts.claims).unwrap_or_default();
        let (verdict, words) = verdict(token, &claims, verifier, now);
        let mut text = format!(
            "Header:\n{}\n\nClaims:\n{}\n\n",
            shown(&parts.header),
            shown(&parts.claims)
        );
        let mut line = |label: &str, value: &str| {
            text.push_str(&format!("{label:<9} {}\n", Printable(value)));
        };
        if is_subscription(&claims) {
            line("Kind:", "subscription token");
            line("Channel:", claims["channel"].as_str().unwrap_or_default());
        } else {
            line("Kind:", "connection token");
        }
        match claims["sub"].as_str() {
            Some(user) if !user.is_empty() => line("User:", user),
            _ => line("User:", "nobody in `sub`: an anonymous client"),
        }
        if let Some(issued) = claims["iat"].as_f64() {
            line("Issued:", &moment(issued, now));
        }
        if let Some(start) = claims["nbf"].as_f64() {
            line("Begins:", &moment(start, now));
        }
        match claims["exp"].as_f64() {
            Some(end) => line("Expires:", &moment(end, now)),
            None => line("Expires:", "never"),
        }
        // It is what counts after the token was accepted.
        if let Some(end) = claims["expire_at"].as_f64() {
            let ends = match end > 0.0 {
                true => moment(end, now),
                false => "never".to_owned(),
            };
            let what = match is_subscription(&claims) {
                true => "subscription",
                false => "connection",
            };
            line("Ends:", &format!("{ends} (the {what}, by `expire_at`)"));
        }
        line("Verdict:", &words);
        Self { text, verdict }
    }
}

fn verdict(
    token: &str,
    claims: &Value,
    verifier: Option<&Verifier>,
    now: UnixMillis,
) -> (Verdict, String) {
    let Some(verifier) = verifier else {
        let words = "not verified, because no key was given";
        return (Verdict::Unverified, words.to_owned());
    };
    let verified = match is_subscription(claims) {
        true => verifier.verify_subscription(token, now).map(|_| ()),
        false => verifier.verify_connection(token, now).map(|_| ()),
    };
    match verified {
        Ok(()) => {
            let end = claims["exp"].as_f64();
            let words = match end.is_some_and(|end| millis(end).0 <= now.0) {
                true => format!(
                    "valid, for clocks may differ by {} s",
                    LEEWAY_DEFAULT.as_secs()
                ),
                false => "valid".to_owned(),
            };
            (Verdict::Valid, words)
        }
        Err(TokenError::Expired) => {
            let start = claims["nbf"].as_f64();
            let is_early = start.is_some_and(|start| millis(start).0 > now.0);
            let words = match is_early {
                true => "not valid yet",
                false => "expired",
            };
            (Verdict::Invalid, words.to_owned())
        }
        Err(error) => (Verdict::Invalid, error.to_string()),
    }
}

fn is_subscription(claims: &Value) -> bool {
    claims["channel"]
        .as_str()
        .is_some_and(|channel| !channel.is_empty())
}

/// Returns JSON on several lines, or whatever it is on one. Control characters are escaped.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let is_json = serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok();
    let text = match is_json {
        true => indented(&text),
        false => format!("(not JSON) {text}"),
    };
    let lines = text.lines().map(|line| Printable(line).to_string());
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a moment as a date and as the time until or since then.
fn moment(unix_seconds: f64, now: UnixMillis) -> String {
    let then = millis(unix_seconds);
    let date = date(then.0 / 1000).unwrap_or_else(|| "after the year 9999".to_owned());
    match then.0 > now.0 {
        true => format!("{date}, in {}", in_words(then.since(now))),
        false => match now.since(then) {
            ago if ago < Duration::from_secs(1) => format!("{date}, now"),
            ago => format!("{date}, {} ago", in_words(ago)),
        },
    }
}

fn millis(unix_seconds: f64) -> UnixMillis {
    // Stops at both ends.
    UnixMillis((unix_seconds * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use sockeye_hub::token::{VerifierConfig, sign_hs256};

    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

    fn report(claims: &str, secret: Option<&str>) -> Report {
        let token = sign_hs256(b"secret", claims.as_bytes()).unwrap();
        let verifier = secret.map(|secret| {
            Verifier::new(VerifierConfig {
                hmac_secret_key: Some(secret.to_owned()),
                ..VerifierConfig::default()
            })
            .unwrap()
        });
        Report::new(&token, verifier.as_ref(), NOW)
    }

    #[test]
    fn a_valid_connection_token_is_told_in_words() {
        let claims = r#"{"sub":"42","iat":1767225300,"exp":1767229200,"expire_at":0}"#;
        let expected = r#"Header:
{
  "alg": "HS256",
  "typ": "JWT"
}

Claims:
{
  "sub": "42",
  "iat": 1767225300,
  "exp": 1767229200,
  "expire_at": 0
}

Kind:     connection token
User:     42
Issued:   2025-12-31T23:55:00Z, 5 minutes ago
Expires:  2026-01-01T01:00:00Z, in 1 hour
Ends:     never (the connection, by `expire_at`)
Verdict:  valid
"#;
        let report = report(claims, Some("secret"));
        assert_eq!(report.text, expected);
        assert_eq!(report.verdict, Verdict::Valid);
    }

    #[track_caller]
    fn assert_ends_with(report: &Report, verdict: Verdict, end: &str) {
        assert!(report.text.ends_with(end), "{}", report.text);
        assert_eq!(report.verdict, verdict);
    }

    #[test]
    fn what_is_wrong_with_a_token_is_its_verdict() {
        assert_ends_with(
            &report(r#"{"channel":"news","exp":1767225000}"#, Some("secret")),
            Verdict::Invalid,
            "\nKind:     subscription token\nChannel:  news\nUser:     nobody in `sub`: an anonymous client\n\
             Expires:  2025-12-31T23:50:00Z, 10 minutes ago\nVerdict:  expired\n",
        );
        assert_ends_with(
            &report(r#"{"exp":1767225598}"#, Some("secret")),
            Verdict::Valid,
            "\nExpires:  2025-12-31T23:59:58Z, 2 seconds ago\nVerdict:  valid, for clocks may differ by 5 s\n",
        );
        assert_ends_with(
            &report(r#"{"nbf":1767312000}"#, Some("secret")),
            Verdict::Invalid,
            "\nBegins:   2026-01-02T00:00:00Z, in 1 day\nExpires:  never\nVerdict:  not valid yet\n",
        );
        assert_ends_with(
            &report("{}", Some("another")),
            Verdict::Invalid,
            "\nVerdict:  invalid token: the signature is wrong\n",
        );
        assert_ends_with(
            &report("{}", None),
            Verdict::Unverified,
            "\nVerdict:  not verified, because no key was given\n",
        );
        let malformed = Report::new("a.b", None, NOW);
        assert_ends_with(
            &malformed,
            Verdict::Invalid,
            "Verdict:  invalid token: it isn't three parts with points between them\n",
        );
    }

    #[test]
    fn a_token_that_holds_no_json_or_control_characters_is_shown_harmlessly() {
        // `\x1b[2J`, and a header that is no JSON: in base64url "G1sySg" and "aGk".
        let report = Report::new("aGk.G1sySg.", None, NOW);
        assert!(report.text.starts_with("Header:\n(not JSON) hi\n"));
        assert!(!report.text.contains('\x1b'), "{:?}", report.text);
    }
}
