//! The header fields of a client's request, as handlers of the application see them.

use std::collections::BTreeMap;

use axum::http::HeaderMap;

/// Returns the fields whose values are text, by lower-case name. Of several with one name the last stays.
pub(super) fn request_fields(headers: &HeaderMap) -> BTreeMap<String, String> {
    let fields = headers.iter();
    fields
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect()
}
