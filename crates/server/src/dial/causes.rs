//! Texts for errors of connecting.

use std::error::Error as _;

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
    format!("{}{body}", with_causes(error))
}

/// Returns an error with its sources, in one line.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    Printable(text).to_string()
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
