//! An HTML document with its style, texts and script inside, built and compressed when the server starts.

mod compact;
mod rename;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use libdeflater::{CompressionLvl, Compressor};
use sha2::{Digest as _, Sha256};

/// A page in both forms in which it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    plain: Representation,
    gzip: Representation,
}

/// A body with its response headers.
#[derive(Clone, Debug)]
struct Representation {
    body: Bytes,
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
    /// The variables outside of every function that keep their names, so that the console and tests reach them.
    pub(crate) reachable: &'static [&'static str],
}

impl Page {
    /// Builds a page. `filled` has the page's own placeholders, without braces, and their values.
    pub(crate) fn join(sources: Sources, filled: &[(&str, &str)]) -> Self {
        let script = [sources.texts, SCRIPT, sources.script].join("\n");
        let script = compact::script(&script, sources.reachable);
        let style = [STYLE, sources.style].map(compact::style).concat();
        let mut html = compact::markup(&sources.html.replace("{head}", HEAD));
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
        let digest = BASE64.encode(&Sha256::digest(&html)[..ETAG_BYTES]);
        let fields = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (header::CONTENT_SECURITY_POLICY, policy),
            // The page changes with the binary, so browsers ask each time and mostly get 304.
            (header::CACHE_CONTROL, "no-cache".to_owned()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::REFERRER_POLICY, "no-referrer".to_owned()),
            (header::VARY, "Accept-Encoding".to_owned()),
        ];
        let fields: HeaderMap = fields
            .into_iter()
            .map(|(name, value)| (name, ascii(&value)))
            .collect();
        let represent = |body: Vec<u8>, etag: String| {
            let mut headers = fields.clone();
            headers.insert(header::ETAG, ascii(&etag));
            Representation {
                body: body.into(),
                headers,
            }
        };
        // RFC 9110 section 8.8.3.3: each encoding has a strong tag of its own.
        let mut gzip = represent(compress(&html), format!("\"{digest}-gzip\""));
        let encoding = HeaderValue::from_static("gzip");
        gzip.headers.insert(header::CONTENT_ENCODING, encoding);
        Self {
            plain: represent(html.into_bytes(), format!("\"{digest}\"")),
            gzip,
        }
    }

    /// Answers a GET or HEAD with these headers.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        let Representation { body, headers } = self.chosen(request);
        let etag = &headers[header::ETAG];
        let known = request
            .get(header::IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok());
        // Compares weak tags too (RFC 9110 section 13.1.2), since a proxy that compresses makes the tag weak.
        let known = known.is_some_and(|tags| {
            tags.split(',')
                .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == etag.as_bytes())
        });
        if known {
            return (StatusCode::NOT_MODIFIED, headers.clone()).into_response();
        }
        (headers.clone(), body.clone()).into_response()
    }

    /// Answers with another status than 200: the page, and nothing that a cache can compare.
    pub(crate) fn respond_with(&self, status: StatusCode, request: &HeaderMap) -> Response {
        let Representation { body, headers } = self.chosen(request);
        let mut headers = headers.clone();
        headers.remove(header::ETAG);
        (status, headers, body.clone()).into_response()
    }

    fn chosen(&self, request: &HeaderMap) -> &Representation {
        match accepts_gzip(request) {
            true => &self.gzip,
            false => &self.plain,
        }
    }
}

/// Returns whether the request accepts gzip (RFC 9110 section 12.5.3). A coding with the weight 0 is refused.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut any_other = false;
    for coding in codings {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = parameters.trim().strip_prefix("q=").unwrap_or("1");
        let accepted = weight.trim().parse().unwrap_or(0.0) > 0.0;
        match name.trim().to_ascii_lowercase().as_str() {
            // The names mean the same (section 8.4.1.3).
            "gzip" | "x-gzip" => return accepted,
            "*" => any_other = accepted,
            _ => {}
        }
    }
    any_other
}

/// Compresses with the highest level, which takes some milliseconds once. It is 5 % better than that of zlib.
fn compress(html: &str) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut compressed = vec![0; compressor.gzip_compress_bound(html.len())];
    let length = compressor
        .gzip_compress(html.as_bytes(), &mut compressed)
        .expect("the bound is high enough");
    compressed.truncate(length);
    compressed
}

fn ascii(value: &str) -> HeaderValue {
    HeaderValue::try_from(value).expect("base64 and our own ASCII")
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
    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn every_placeholder_is_filled() {
        for (name, page, _) in pages() {
            let html = std::str::from_utf8(&page.plain.body).unwrap();
            let filled = [
                "{echo-message-bytes-max}",
                "{hub-path}",
                "{hub-access}",
                "{version}",
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
    fn no_page_says_what_readers_misread() {
        for (name, _, sources) in pages() {
            for misread in MISREAD {
                assert!(!sources.texts.contains(misread), "{name}: {misread}");
            }
        }
    }

    /// Found when people tried the pages: their words for it are in the tables.
    const MISREAD: [&str; 38] = [
        "Least",
        "gets, you too",
        "not clean",
        "it broke off",
        "What is served",
        "the server lives",
        "again in",
        "not let in",
        "Show it",
        "Click on somebody",
        ", privately",
        " came`",
        " went`",
        "gets it later",
        "Too much is waiting",
        "too many and are gone",
        "lends this browser",
        "Good for",
        "said no",
        "is tried again",
        "Log in a browser",
        "Looking who",
        "Yes, log it in",
        "Whoever sent you",
        "stays outside",
        "已与发送它的服务器相连",
        "每秒一条",
        "异常断开",
        "无，连接中断",
        "服务器存活",
        "欢迎页",
        "未获准进入",
        "给某人写信",
        "稍后会收到",
        "消息太多了",
        "(我)",
        "有效时间",
        "正在查询是谁",
    ];

    #[test]
    fn every_text_comes_from_the_table() {
        for (name, _, sources) in pages() {
            let html = sources.html.replace("{head}", "");
            let (noscript, after) = html.split_once("<noscript>").unwrap_or((&html, ""));
            let rest = after.split_once("</noscript>").map_or("", |(_, rest)| rest);
            let html = format!("{noscript}{rest}");
            // Between tags: nothing but what is the same in all languages, or is replaced (`data-text`).
            for part in html.split('<').skip(1) {
                let (tag, text) = part.split_once('>').unwrap_or((part, ""));
                let words = ["English", "中文", "Sockeye", "–", "←", "{script}"];
                let text = text.trim();
                let is_replaced = tag.contains("data-text=");
                assert!(
                    text.is_empty()
                        || is_replaced
                        || words.contains(&text)
                        || tag.starts_with("!--"),
                    "{name}: {text}"
                );
                for attribute in [" aria-label=\"", " placeholder=\"", " title=\"", " alt=\""] {
                    assert!(!tag.contains(attribute), "{name}: <{tag}>");
                }
            }
            // What the script sets, it doesn't write itself.
            for script in [sources.script, SCRIPT] {
                let written: Vec<_> = script.lines().flat_map(written).collect();
                assert!(written.is_empty(), "{name}: {written:?}");
                assert!(
                    !script
                        .chars()
                        .any(|letter| ('\u{4E00}'..='\u{9FFF}').contains(&letter)),
                    "{name}"
                );
            }
            for (key, element) in keys_in(&html) {
                assert!(
                    sources.texts.contains(&format!("{key}:")),
                    "{name}: {key} of <{element}>"
                );
            }
        }
    }

    /// The quoted words that a line of a script gives to an element as they stand.
    fn written(line: &str) -> Vec<(&str, &str)> {
        let properties = ["textContent", "placeholder", "title", "ariaLabel"];
        let starts = properties
            .iter()
            .flat_map(|name| [format!("{name}: '"), format!("{name} = '")]);
        let mut found = Vec::new();
        for start in starts {
            for (at, _) in line.match_indices(&start) {
                let text = line[at + start.len()..].split('\'').next().unwrap();
                let is_symbol = text.chars().all(|letter| !letter.is_alphabetic());
                if !is_symbol {
                    found.push((line, text));
                }
            }
        }
        found
    }

    /// The keys of texts that a document names, with their elements.
    fn keys_in(html: &str) -> Vec<(&str, &str)> {
        let attributes = ["data-text=\"", "data-label=\"", "data-hint=\""];
        let elements = html.split('<').filter_map(|part| part.split('>').next());
        let keys = elements.flat_map(|element| {
            attributes.iter().filter_map(move |attribute| {
                let (_, rest) = element.split_once(attribute)?;
                Some((rest.split('"').next()?, element))
            })
        });
        keys.collect()
    }

    #[test]
    fn a_known_page_is_not_sent_again() {
        let [(_, page, _), ..] = pages();
        let etag = page.plain.headers[header::ETAG].to_str().unwrap();
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

    #[test]
    fn a_page_is_compressed_for_browsers_that_take_it() {
        let [(_, page, _), ..] = pages();
        for (accepted, encoding) in [
            (None, None),
            (Some("identity"), None),
            (Some("br"), None),
            (Some("gzip;q=0, *"), None),
            (Some("*;q=0"), None),
            (Some("gzip"), Some("gzip")),
            (Some("deflate, GZIP;q=0.5"), Some("gzip")),
            (Some("gzip, deflate, br, zstd"), Some("gzip")),
            (Some("br;q=1, *;q=0.1"), Some("gzip")),
        ] {
            let request = accepted.map(|value| (header::ACCEPT_ENCODING, value.parse().unwrap()));
            let response = page.respond(&request.into_iter().collect());
            let sent = response.headers().get(header::CONTENT_ENCODING);
            let sent = sent.map(|value| value.to_str().unwrap());
            assert_eq!(sent, encoding, "{accepted:?}");
            assert_eq!(response.headers()[header::VARY], "Accept-Encoding");
        }
        assert_ne!(
            page.plain.headers[header::ETAG],
            page.gzip.headers[header::ETAG]
        );
        let mut html = Vec::new();
        std::io::copy(&mut GzDecoder::new(&page.gzip.body[..]), &mut html).unwrap();
        assert_eq!(html, page.plain.body);
    }

    #[test]
    fn a_page_has_at_most_16_kb_compressed() {
        for (name, page, _) in pages() {
            let bytes = page.gzip.body.len();
            assert!(bytes <= 16_000, "{name}: {bytes} bytes");
        }
    }

    fn pages() -> [(&'static str, Page, Sources); 5] {
        let [login, confirm] = crate::login::sources();
        [
            (
                "welcome",
                crate::welcome::page(7, "/hub", crate::welcome::HubAccess::Token),
                crate::welcome::SOURCES,
            ),
            ("chat", crate::chat::page("/chat"), crate::chat::SOURCES),
            ("login", crate::login::login_page(), login),
            ("confirm", crate::login::confirm_page(), confirm),
            (
                "not found",
                crate::not_found::page(),
                crate::not_found::SOURCES,
            ),
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
