//! One HTML document with its style and script inside, built when the server starts.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest as _, Sha256};

/// The page as it is served, with the headers that go with it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    html: axum::body::Bytes,
    headers: HeaderMap,
}

impl Page {
    /// `message_bytes_max` is told to the page, which refuses larger files before it sends them.
    pub(crate) fn new(message_bytes_max: usize) -> Self {
        let script = format!("{TEXTS}{SCRIPT}");
        let html = HTML
            .replace("{message-bytes-max}", &message_bytes_max.to_string())
            .replace("{style}", STYLE)
            .replace("{texts}{script}", &script);
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; \
             connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source_hash(&script),
            source_hash(STYLE),
        );
        let etag = format!(
            "\"{}\"",
            BASE64.encode(&Sha256::digest(&html)[..ETAG_BYTES])
        );
        let fields = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::ETAG, etag),
            // The page belongs to the running binary: ask each time, and mostly hear 304.
            (header::CACHE_CONTROL, "no-cache".to_owned()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::REFERRER_POLICY, "no-referrer".to_owned()),
        ];
        let fields = fields.map(|(name, value)| {
            (
                name,
                HeaderValue::try_from(value).expect("base64 and our own ASCII"),
            )
        });
        Self {
            html: html.into(),
            headers: fields.into_iter().collect(),
        }
    }

    /// Answers a GET or HEAD with these headers.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        let etag = &self.headers[header::ETAG];
        let known = request
            .get(header::IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok());
        // A comparison of weak tags too (RFC 9110 section 13.1.2): a proxy that compresses makes ours weak.
        let known = known.is_some_and(|tags| {
            tags.split(',')
                .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == etag.as_bytes())
        });
        if known {
            return (StatusCode::NOT_MODIFIED, self.headers.clone()).into_response();
        }
        (self.headers.clone(), self.html.clone()).into_response()
    }
}

/// A source expression of Content Security Policy Level 3, section 2.3.1.
fn source_hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text)))
}

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const TEXTS: &str = include_str!("texts.js");
const SCRIPT: &str = include_str!("page.js");

/// Bytes. Half a SHA-256 tells two builds apart well enough.
const ETAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_filled() {
        let page = Page::new(7);
        let html = std::str::from_utf8(&page.html).unwrap();
        assert!(html.contains("data-message-bytes-max=\"7\""));
        for placeholder in ["{message-bytes-max}", "{style}", "{texts}", "{script}"] {
            assert!(!html.contains(placeholder), "{placeholder}");
        }
    }

    #[test]
    fn page_loads_nothing_from_elsewhere() {
        for source in [HTML, STYLE, SCRIPT] {
            assert!(
                !source.contains("src=") && !source.contains("url(") && !source.contains("@import")
            );
        }
        for part in HTML.split("href=\"").skip(1) {
            assert!(
                part.starts_with(['#', 'd']),
                "{}",
                &part[..part.len().min(40)]
            );
        }
    }

    #[test]
    fn page_never_parses_what_it_receives() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        let (english, chinese) = TEXTS.split_once("  zh: {").unwrap();
        let keys = |text: &str| {
            let mut keys: Vec<_> = text
                .split(|c: char| !c.is_ascii_alphanumeric() && c != ':')
                .filter_map(|word| word.strip_suffix(':'))
                .filter(|key| !key.is_empty() && *key != "en")
                .map(str::to_owned)
                .collect();
            keys.sort_unstable();
            keys
        };
        // What looks like a key but is text ends with a colon too; there is such text in English only.
        let english: Vec<_> = keys(english)
            .into_iter()
            .filter(|key| key != "connected")
            .collect();
        assert_eq!(english, keys(chinese));
    }

    #[test]
    fn a_known_page_is_not_sent_again() {
        let page = Page::new(1);
        let etag = page.headers[header::ETAG].to_str().unwrap();
        let asked =
            |tags: String| HeaderMap::from_iter([(header::IF_NONE_MATCH, tags.parse().unwrap())]);
        assert_eq!(page.respond(&HeaderMap::new()).status(), StatusCode::OK);
        assert_eq!(
            page.respond(&asked("\"other\"".into())).status(),
            StatusCode::OK
        );
        assert_eq!(
            page.respond(&asked(format!("\"other\", W/{etag}")))
                .status(),
            StatusCode::NOT_MODIFIED
        );
    }
}
