//! What is there beside sessions: the greeting, what the client asks first, and the page for frames of other sites.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    json::push_string,
    settings::{SessionCookie, SockJsSettings, SockJsWebSocket},
};
use crate::{
    error::{Error, ErrorKind},
    server::{polling::allow_caching, route::Origins},
};

/// The text at SockJS's own path.
pub(super) const GREETING: &str = "Welcome to SockJS!\n";

/// Returns the answer to `GET …/info`. `entropy` is new each time: old browsers have no random numbers of their own.
pub(super) fn info(settings: &SockJsSettings, entropy: u32) -> Vec<u8> {
    let websocket = settings.websocket == SockJsWebSocket::Served;
    let cookie_needed = settings.session_cookie == SessionCookie::Sent;
    let mut json = format!(
        "{{\"websocket\":{websocket},\"origins\":[\"*:*\"],\"cookie_needed\":{cookie_needed},\"entropy\":{entropy}"
    )
    .into_bytes();
    if let Some(base_url) = &settings.base_url {
        json.extend_from_slice(b",\"base_url\":");
        push_string(base_url, &mut json);
    }
    json.push(b'}');
    json
}

/// The page by which the client reaches this server from a page of another site: it runs the client's script in a frame, in
/// this server's origin.
pub(super) struct IframePage {
    page: Vec<u8>,
    etag: HeaderValue,
    /// Which pages may have it in a frame: those that may connect. Without it any could act in this server's origin.
    policy: Option<HeaderValue>,
}

impl IframePage {
    /// # Errors
    ///
    /// `script_url` can't stand in the page.
    pub(super) fn new(script_url: &str, origins: &Origins) -> Result<Self, Error> {
        let is_allowed = |letter: char| letter.is_ascii_graphic() && !"\"'<>&\\`".contains(letter);
        if script_url.is_empty() || !script_url.chars().all(is_allowed) {
            let message = format!("{script_url:?} is not the URL of a script");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let policy = match origins {
            Origins::Any => None,
            Origins::Same => Some("frame-ancestors 'self'".to_owned()),
            Origins::List(list) | Origins::SameAnd(list) => {
                let listed = list.iter().filter(|origin| *origin != "null");
                let sources: Vec<&str> = listed.map(String::as_str).collect();
                Some(format!("frame-ancestors 'self' {}", sources.join(" ")))
            }
        };
        let policy = policy.map(HeaderValue::try_from).transpose();
        let policy = policy.map_err(|_| {
            Error::new(ErrorKind::Config, "an origin can't stand in a header field")
        })?;
        let page = PAGE.replace("SCRIPT_URL", script_url).into_bytes();
        let etag = HeaderValue::try_from(format!("\"{:016x}\"", fnv(&page)));
        let etag = etag.map_err(|_| Error::new(ErrorKind::Config, "no entity tag"))?;
        Ok(Self { page, etag, policy })
    }

    /// Returns the answer to a request with these fields.
    pub(super) fn respond(&self, request: &HeaderMap) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut fields = HeaderMap::new();
        allow_caching(&mut fields);
        fields.insert(header::ETAG, self.etag.clone());
        if let Some(policy) = &self.policy {
            fields.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        let known = request.get_all(header::IF_NONE_MATCH).iter();
        let mut known = known
            .filter_map(|tags| tags.to_str().ok())
            .flat_map(|tags| tags.split(','));
        // RFC 9110 section 13.1.2: weak comparison.
        let is_known = known.any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes()
        });
        if is_known {
            return (StatusCode::NOT_MODIFIED, fields, Vec::new());
        }
        let content_type = HeaderValue::from_static("text/html; charset=UTF-8");
        fields.insert(header::CONTENT_TYPE, content_type);
        (StatusCode::OK, fields, self.page.clone())
    }
}

/// Returns a hash that is the same in each process (FNV-1a): a load balancer may send the request for validation elsewhere.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

const PAGE: &str = "<!DOCTYPE html>
<html>
<head>
  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />
  <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />
  <script src=\"SCRIPT_URL\"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_tells_what_the_settings_say() {
        let settings = SockJsSettings::default();
        let json: serde_json::Value = serde_json::from_slice(&info(&settings, u32::MAX)).unwrap();
        let expected = serde_json::json!({
            "websocket": true, "origins": ["*:*"], "cookie_needed": false, "entropy": 4_294_967_295_u32,
        });
        assert_eq!(json, expected);
        let settings = settings
            .with_websocket(SockJsWebSocket::Absent)
            .with_session_cookie(SessionCookie::Sent)
            .with_base_url("https://node1.example/\"".to_owned());
        let json: serde_json::Value = serde_json::from_slice(&info(&settings, 0)).unwrap();
        assert_eq!(json["websocket"], false);
        assert_eq!(json["cookie_needed"], true);
        assert_eq!(json["base_url"], "https://node1.example/\"");
    }

    #[test]
    fn the_page_for_frames_can_be_had_by_those_that_may_connect() {
        let policy = |origins: &Origins| {
            let page = IframePage::new("https://cdn.example/sockjs.js", origins).unwrap();
            let (status, fields, body) = page.respond(&HeaderMap::new());
            assert_eq!(status, StatusCode::OK);
            let body = String::from_utf8(body).unwrap();
            assert!(body.contains("<script src=\"https://cdn.example/sockjs.js\"></script>"));
            let policy = fields.get(header::CONTENT_SECURITY_POLICY);
            policy.map(|policy| policy.to_str().unwrap().to_owned())
        };
        assert_eq!(policy(&Origins::Any), None);
        assert_eq!(policy(&Origins::Same).unwrap(), "frame-ancestors 'self'");
        let list = Origins::List(vec!["null".to_owned(), "https://b.example".to_owned()]);
        let expected = "frame-ancestors 'self' https://b.example";
        assert_eq!(policy(&list).unwrap(), expected);
        let both = Origins::SameAnd(vec!["https://b.example".to_owned()]);
        assert_eq!(policy(&both).unwrap(), expected);
    }

    #[test]
    fn a_page_that_the_browser_has_is_not_sent_again() {
        let page = IframePage::new("/sockjs.js", &Origins::Any).unwrap();
        let (_, fields, _) = page.respond(&HeaderMap::new());
        let etag = fields[header::ETAG].to_str().unwrap();
        for known in [etag, &format!("\"x\", {etag}"), &format!("W/{etag}"), "*"] {
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            let (status, fields, body) = page.respond(&request);
            assert_eq!(status, StatusCode::NOT_MODIFIED, "{known}");
            assert!(body.is_empty() && !fields.contains_key(header::CONTENT_TYPE));
        }
        let other = IframePage::new("/sockjs-2.js", &Origins::Any).unwrap();
        assert_ne!(other.etag, page.etag);
    }

    #[test]
    fn a_script_url_that_would_be_more_than_one_is_refused() {
        for bad in ["", "a b", "\"><script>", "x'y", "\u{e9}"] {
            let refused = IframePage::new(bad, &Origins::Any).err();
            assert_eq!(refused.unwrap().kind(), ErrorKind::Config, "{bad}");
        }
    }
}
