//! The cookie by which the login recognises a browser or a phone.

use axum::http::HeaderMap;

use super::key::Key;
use crate::identity::{Cookie, Cookies, Lifetime, SameSite};

/// The cookie by which the login recognises a browser or a phone. `Lax`: the phone's camera opens the page, which counts as
/// a link from another site. With `Strict` the page would not see the cookie and would set a new one.
pub(crate) const BROWSER_COOKIE: Cookie = Cookie {
    name: "login_key",
    same_site: SameSite::Lax,
    lifetime: Lifetime::Session,
};

/// Returns the key in the request's cookie.
pub(crate) fn key_of(request: &HeaderMap, cookies: Cookies) -> Option<Key> {
    cookies.find(request, BROWSER_COOKIE).and_then(Key::parse)
}
