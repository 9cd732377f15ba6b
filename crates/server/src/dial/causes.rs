//! The text for an error of connecting.

use sockeye::{Error, Printable};

/// Returns why connecting failed, in one line, with the start of the server's answer.
pub(crate) fn reason(error: &Error) -> String {
    let body = error
        .rejection()
        .map(|refused| String::from_utf8_lossy(&refused.body).into_owned());
    let body = body
        .as_deref()
        .map(str::trim)
        .filter(|body| !body.is_empty());
    let body = body
        .map(|body| format!(": {}", Printable(first_line(body))))
        .unwrap_or_default();
    format!("{}{body}", error.report())
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
