//! An HTML document with its style, texts and script inside, built when the server starts.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest as _, Sha256};

/// A page with its response headers.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    html: axum::body::Bytes,
    headers: HeaderMap,
}

/// The sources of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources {
    /// The document, with `{head}`, `{script}` and other placeholders.
    pub(crate) html: &'static str,
    /// Follows what all pages share.
    pub(crate) style: &'static str,
    /// `const TEXTS = { en: {…}, zh: {…} };`
    pub(crate) texts: &'static str,
    /// Follows the texts and what all pages share.
    pub(crate) script: &'static str,
}

impl Page {
    /// Builds a page. `filled` has the page's own placeholders, without braces, and their values.
    pub(crate) fn join(sources: Sources, filled: &[(&str, &str)]) -> Self {
        let script = [sources.texts, SCRIPT, sources.script].concat();
        let style = [STYLE, sources.style].concat();
        let mut html = sources.html.replace("{head}", HEAD);
        for (name, value) in filled {
            html = html.replace(&format!("{{{name}}}"), value);
        }
        let html = html.replace("{style}", &style).replace("{script}", &script);
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; \
             connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source_hash(&script),
            source_hash(&style),
        );
        let etag = format!(
            "\"{}\"",
            BASE64.encode(&Sha256::digest(&html)[..ETAG_BYTES])
        );
        let fields = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::ETAG, etag),
            // The page changes with the binary, so browsers ask each time and mostly get 304.
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
        // Compares weak tags too (RFC 9110 section 13.1.2), since a proxy that compresses makes the tag weak.
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

/// The head of all pages, with the placeholder `{style}`.
const HEAD: &str = include_str!("page/head.html");
const STYLE: &str = include_str!("page/base.css");
const SCRIPT: &str = include_str!("page/base.js");

/// Bytes of the tag. Half of a SHA-256 tells two builds apart.
const ETAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_filled() {
        for (name, page, _) in pages() {
            let html = std::str::from_utf8(&page.html).unwrap();
            let filled = [
                "{message-bytes-max}",
                "{echo-message-bytes-max}",
                "{chat-path}",
                "{head}",
                "{style}",
                "{script}",
            ];
            for placeholder in filled {
                assert!(!html.contains(placeholder), "{name}: {placeholder}");
            }
        }
    }

    #[test]
    fn a_page_loads_nothing_from_elsewhere() {
        for (name, _, sources) in pages() {
            for source in [HEAD, sources.html, sources.style, sources.script] {
                for forbidden in ["src=", "url(", "@import"] {
                    assert!(!source.contains(forbidden), "{name}: {forbidden}");
                }
            }
            let html = sources.html.replace("{head}", HEAD);
            for link in html.split("href=\"").skip(1) {
                let own = ["#", "data:", "/"];
                assert!(
                    own.iter().any(|own| link.starts_with(own)) && !link.starts_with("//"),
                    "{name}: {}",
                    link.split('"').next().unwrap()
                );
            }
        }
    }

    #[test]
    fn a_page_never_parses_what_it_receives() {
        for (name, _, sources) in pages() {
            for script in [sources.script, SCRIPT] {
                for forbidden in [
                    "innerHTML",
                    "outerHTML",
                    "insertAdjacentHTML",
                    "document.write",
                    "eval(",
                ] {
                    assert!(!script.contains(forbidden), "{name}: {forbidden}");
                }
            }
        }
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        for (name, _, sources) in pages() {
            let (english, chinese) = sources.texts.split_once("  zh: {").unwrap();
            assert_eq!(keys(english), keys(chinese), "{name}");
        }
    }

    #[test]
    fn a_known_page_is_not_sent_again() {
        let [(_, page, _), ..] = pages();
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

    fn pages() -> [(&'static str, Page, Sources); 4] {
        let [login, confirm] = crate::login::sources();
        [
            (
                "welcome",
                crate::welcome::page(7, 8),
                crate::welcome::SOURCES,
            ),
            ("chat", crate::chat::page("/chat"), crate::chat::SOURCES),
            ("login", crate::login::login_page(), login),
            ("confirm", crate::login::confirm_page(), confirm),
        ]
    }

    /// What stands before a colon, outside of quotes.
    fn keys(texts: &str) -> Vec<String> {
        let mut code = String::new();
        let mut quote = None;
        for letter in texts.chars() {
            match quote {
                Some(open) if letter == open => quote = None,
                Some(_) => {}
                None if "'`\"".contains(letter) => quote = Some(letter),
                None => code.push(letter),
            }
        }
        let mut keys: Vec<_> = code
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != ':')
            .filter_map(|word| word.strip_suffix(':'))
            .filter(|key| !key.is_empty() && *key != "en")
            .map(str::to_owned)
            .collect();
        keys.sort_unstable();
        keys
    }
}
