//! The header fields of a client's request, as handlers of the application see them.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

/// Returns the fields whose values are text, by lower-case name. Several with one name are joined as RFC 9110 (section 5.2)
/// has it; cookies, which HTTP/2 may split, by RFC 9113 (section 8.2.3).
pub(super) fn request_fields(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        let separator = if name == header::COOKIE { "; " } else { ", " };
        fields
            .entry(name.as_str().to_owned())
            .and_modify(|joined| {
                joined.push_str(separator);
                joined.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    fields
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn fields_with_one_name_are_joined() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::COOKIE, "a=1"),
            (header::COOKIE, "b=2"),
            (header::FORWARDED, "for=1"),
            (header::FORWARDED, "for=2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append(header::ORIGIN, HeaderValue::from_bytes(b"\xff").unwrap());
        let fields = request_fields(&headers);
        assert_eq!(fields["cookie"], "a=1; b=2");
        assert_eq!(fields["forwarded"], "for=1, for=2");
        assert!(!fields.contains_key("origin"));
    }
}
