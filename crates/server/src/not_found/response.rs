//! Chooses between a redirect, the page and a line of text.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::document::page;
use crate::page::Page;

/// Answers requests for paths that have nothing.
#[derive(Clone, Debug)]
pub(crate) struct NotFound {
    page: Page,
    /// The paths of pages, without a slash at the end.
    paths: &'static [&'static str],
    /// Paths that a setting switches off, with what to say of them.
    switched_off: Vec<(String, &'static str)>,
}

impl NotFound {
    /// Creates it. A path of `paths` with a slash at its end is redirected to the page. `switched_off` has the paths that a
    /// setting switches off, with what to say of them.
    pub(crate) fn new(
        paths: &'static [&'static str],
        switched_off: Vec<(String, &'static str)>,
    ) -> Self {
        let page = page();
        Self {
            page,
            paths,
            switched_off,
        }
    }

    /// Answers with a redirect, or with 404: browsers get a page, programs a line.
    pub(crate) fn respond(&self, request: &Request) -> Response {
        let uri = request.uri();
        let without_slash = uri.path().strip_suffix('/');
        if let Some(path) = without_slash.filter(|path| self.paths.contains(path)) {
            let location = match uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            };
            if let Ok(location) = HeaderValue::try_from(location) {
                let fields = [(header::LOCATION, location)];
                return (StatusCode::PERMANENT_REDIRECT, fields).into_response();
            }
        }
        let accepted = request.headers().get(header::ACCEPT);
        let accepted = accepted.and_then(|value| value.to_str().ok());
        let off = self
            .switched_off
            .iter()
            .find(|(path, _)| path == uri.path());
        if let Some((_, text)) = off {
            return (StatusCode::NOT_FOUND, format!("{text}\n")).into_response();
        }
        if !accepted.is_some_and(|types| types.contains("text/html")) {
            let text = "There is nothing on this path. / says what this server offers; docs/reference/hub.md and \
                        docs/reference/api.md list the endpoints.\n";
            return (StatusCode::NOT_FOUND, text).into_response();
        }
        self.page
            .respond_with(StatusCode::NOT_FOUND, request.headers())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn respond(path: &str, accepted: &str) -> Response {
        let request = Request::get(path).header(header::ACCEPT, accepted);
        let off = vec![("/metrics".to_owned(), "metrics are off")];
        NotFound::new(&["/chat"], off).respond(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_a_line() {
        for (accepted, content_type) in [
            ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
            ("*/*", "text/plain; charset=utf-8"),
        ] {
            let response = respond("/nothing", accepted);
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
            // A page may be there tomorrow, so browsers must not compare tags with it.
            assert!(!response.headers().contains_key(header::ETAG));
        }
    }

    #[test]
    fn a_page_with_a_slash_at_its_end_is_redirected_and_nothing_else() {
        for (path, location) in [
            ("/chat/", Some("/chat")),
            ("/chat/?lang=zh", Some("/chat?lang=zh")),
            ("//chat/", None),
            ("/chat//", None),
            ("/nothing/", None),
        ] {
            let response = respond(path, "*/*");
            let sent = response.headers().get(header::LOCATION);
            assert_eq!(
                sent.map(|value| value.to_str().unwrap()),
                location,
                "{path}"
            );
            let status = match location {
                Some(_) => StatusCode::PERMANENT_REDIRECT,
                None => StatusCode::NOT_FOUND,
            };
            assert_eq!(response.status(), status, "{path}");
        }
    }
}
